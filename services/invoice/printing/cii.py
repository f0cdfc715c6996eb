"""Issued documents as e-invoices: UN/CEFACT CII XML by the rules of EN 16931, which Factur-X embeds. Pure.

Every amount is the frozen document's own. BT and BG are the names of EN 16931's fields.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from xml.etree import ElementTree as ET

from contracts.currencies import CURRENCIES
from contracts.http import shown
from contracts.http.clients import BillingAddress
from contracts.http.invoices import BillTo, DocumentOut, EInvoice, InvoiceOut, InvoiceTax, LineOut, Seller
from contracts.vocabulary import EXEMPT_CATEGORIES, TaxCategory
from services.chassis.errors import DomainError
from services.chassis.locale.formats import Formats, countries
from services.invoice.invoices.totals import half_up

GUIDELINE = "urn:cen.eu:en16931:2017"
_SPACES = {
    "rsm": "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100",
    "ram": "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100",
    "udt": "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100",
    "qdt": "urn:un:unece:uncefact:data:standard:QualifiedDataType:100",
}
for _prefix, _space in _SPACES.items():
    ET.register_namespace(_prefix, _space)
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INVOICE, _CREDIT_NOTE = "380", "381"
_PIECE = "C62"
_WRITTEN = {"XK": "1A", "AC": "SH", "TA": "SH", "IC": "ES", "EA": "ES", "DG": "IO", "CP": "FR", "CQ": "GG"}
"""Codes beside ISO 3166, by the ones that EN 16931 has for these places."""
_NO_PREFIX = {*_WRITTEN, "SS"}
"""By EN 16931 (BR-CO-09) no VAT number begins so."""
_VAT_NUMBER = re.compile(r"([A-Z]{2})[A-Z0-9+*]{2,}", re.ASCII)
_PUNCTUATION = re.compile(r"[\s./-]")
_EU = (
    "132 132-1A 132-1B 132-1C 132-1D 132-1E 132-1F 132-1G 132-1H 132-1I 132-1J 132-1K 132-1L 132-1M 132-1N 132-1O "
    "132-1P 132-1Q 143 143-1A 143-1B 143-1C 143-1D 143-1E 143-1F 143-1FA 143-1G 143-1H 143-1I 143-1J 143-1K 143-1L "
    "148 148-A 148-B 148-C 148-D 148-E 148-F 148-G 151 151-1A 151-1AA 151-1B 151-1C 151-1D 151-1E 309 79-C AE D F G I "
    "IC J O"
)
EXEMPTION_CODES = frozenset(f"VATEX-EU-{each}" for each in _EU.split())
"""The codes of VATEX that readers of EN 16931 of any age know. Another one is written as text."""

Fields = Sequence["tuple[str, str | Fields]"]


class NoEInvoice(DomainError):
    """`missing` says why the document is none; it is empty where the clinic issued none then."""

    code = "no_e_invoice"
    status = 409


@dataclass(frozen=True, slots=True)
class _Tax:
    """A category with its percent: lines of one are taxed together, whatever the clinic calls their rates."""

    category: TaxCategory
    percent: Decimal


@dataclass(frozen=True, slots=True)
class _Line:
    """`net` is BT-131: after the line's own discount, and before its share of the invoice's, `share`."""

    name: str
    description: str
    quantity: Decimal
    price: Decimal
    discount: int
    reason: str
    net: int
    share: int
    tax: _Tax


@dataclass(frozen=True, slots=True)
class _Group:
    base: int
    tax: int
    reasons: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sheet:
    """A document as EN 16931 has it. `terms` stands for the day on which a credit note's sum is due."""

    type_code: str
    number: str
    issued_on: date
    note: str
    seller: Seller
    buyer: BillTo
    buyer_reference: str
    currency: str
    lines: Sequence[_Line]
    groups: Mapping[_Tax, _Group]
    net: int
    tax: int
    rounding: int
    total: int
    due_on: date | None = None
    terms: str = ""
    delivered_on: date | None = None
    discount_reason: str = ""
    of_invoice: tuple[str, date] | None = None

    @property
    def is_taxed(self) -> bool:
        return all(tax.category != "O" for tax in self.groups)


def invoice(found: InvoiceOut) -> str:
    """The invoice as it was issued. Raises `NoEInvoice`."""
    seller, buyer = _parties(found.seller, found.bill_to, found.e_invoice)
    write = Formats.of(found)
    seen = [write.local(line.appointment.starts_at).date() for line in found.lines if line.appointment]
    return _xml(
        _Sheet(
            type_code=_INVOICE,
            number=found.number,
            issued_on=found.issued_on,
            note=found.note,
            seller=seller,
            buyer=buyer,
            buyer_reference=found.insurer_reference,
            currency=found.currency,
            lines=[_line(line, found) for line in found.lines],
            groups=_groups(found.taxes, found),
            net=found.subtotal.minor,
            tax=sum(tax.tax.minor for tax in found.taxes),
            rounding=found.rounding.minor if found.rounding else 0,
            total=found.total.minor,
            due_on=found.due_on,
            delivered_on=max(seen, default=None),
            discount_reason=found.discount.reason if found.discount else "",
            of_invoice=None,
        )
    )


def credit_note(found: InvoiceOut, document: DocumentOut) -> str:
    """A credit note of the invoice as it was issued: what it takes off is above zero. Raises `NoEInvoice`."""
    seller, buyer = _parties(document.seller, found.bill_to, document.e_invoice)
    groups = _groups(document.taxes, found)
    return _xml(
        _Sheet(
            type_code=_CREDIT_NOTE,
            number=document.number or "",
            issued_on=document.issued_on,
            note=document.explanation,
            seller=seller,
            buyer=buyer,
            buyer_reference=found.insurer_reference,
            currency=found.currency,
            lines=_credited(found, document, groups),
            groups=groups,
            net=document.net.minor,
            tax=document.tax.minor,
            rounding=document.rounding.minor if document.rounding else 0,
            total=document.total.minor,
            terms=f"It is taken off invoice {found.number}.",
            of_invoice=(found.number, found.issued_on),
        )
    )


def _parties(seller: Seller | None, buyer: BillTo | None, state: EInvoice | None) -> tuple[Seller, BillTo]:
    if state is None or not state.available or seller is None or buyer is None:
        missing = state.missing if state else ()
        words = (
            "This document has no e-invoice; `missing` says why."
            if missing
            else "This document has no e-invoice: its clinic issued none then."
        )
        raise NoEInvoice(words, missing=list(missing))
    return seller, buyer


def _line(line: LineOut, found: InvoiceOut) -> _Line:
    tax = _Tax(line.taxes[0].category, Decimal(line.taxes[0].percent))
    price = _major(line.unit_price.minor, found.currency)
    if found.prices == "gross":
        price = price * 100 / (100 + tax.percent)

    def without_tax(amount: int) -> int:
        if found.prices == "net":
            return amount
        return half_up(amount * 100_000, 100_000 + int(tax.percent * 1000))

    share = without_tax(line.invoice_discount.minor if line.invoice_discount else 0)
    return _Line(
        name=line.service,
        description=f"Employee: {line.practitioner}" if line.practitioner else "",
        quantity=Decimal(line.quantity),
        price=price,
        discount=without_tax(line.discount.amount.minor) if line.discount else 0,
        reason=line.discount.reason if line.discount else "",
        net=line.net.minor + share,
        share=share,
        tax=tax,
    )


def _credited(found: InvoiceOut, document: DocumentOut, groups: Mapping[_Tax, _Group]) -> list[_Line]:
    """The lines that it names; one for each tax where it is over a sum, or where its lines are not all of it."""
    taxes = {line.position: line.taxes[0] for line in found.lines}

    def line(name: str, quantity: Decimal, net: int, tax: _Tax) -> _Line:
        price = _major(net, found.currency) / quantity
        if price < 0:  # a price never is, by BR-27
            price, quantity = -price, -quantity
        return _Line(name, "", quantity, price, 0, "", net, 0, tax)

    named = [
        line(
            each.service,
            Decimal(each.quantity),
            each.net.minor,
            _Tax(taxes[each.position].category, Decimal(taxes[each.position].percent)),
        )
        for each in document.lines
    ]
    named = [each for each in named if each.tax in groups]  # what takes nothing off at its tax has no group
    if named and all(
        sum(each.net for each in named if each.tax == tax) == group.base for tax, group in groups.items()
    ):
        return named
    name = shown.reason(document) or f"Taken off invoice {found.number}"
    return [line(name, Decimal(1), group.base, tax) for tax, group in groups.items()]


def _groups(taxes: Sequence[InvoiceTax], found: InvoiceOut) -> dict[_Tax, _Group]:
    """The document's taxes by category and percent. A credit note's have their category from the invoice."""
    known = {tax.code: tax for tax in found.taxes}
    groups: dict[_Tax, _Group] = {}
    for tax in taxes:
        category, reason = tax.category, known.get(tax.code, tax)
        if category is None:
            category = reason.category or ("S" if Decimal(tax.percent) > 0 else "Z")
        key = _Tax(category, Decimal(tax.percent))
        before = groups.get(key, _Group(0, 0, ()))
        reasons = dict.fromkeys((*before.reasons, (reason.exemption_code, reason.exemption_text)))
        groups[key] = _Group(before.base + tax.base.minor, before.tax + tax.tax.minor, tuple(reasons))
    return groups


def _xml(sheet: _Sheet) -> str:
    root = ET.Element(f"{{{_SPACES['rsm']}}}CrossIndustryInvoice")
    context = _fields("GuidelineSpecifiedDocumentContextParameter", ("ID", GUIDELINE))
    _add(root, "rsm:ExchangedDocumentContext", [context])
    _add(
        root,
        "rsm:ExchangedDocument",
        [
            ("ID", sheet.number),
            ("TypeCode", sheet.type_code),
            ("IssueDateTime", _day(sheet.issued_on)),
            *([_fields("IncludedNote", ("Content", sheet.note))] if _clean(sheet.note) else []),
        ],
    )
    amounts = _Amounts(sheet.currency)
    transaction: Fields = [
        *[
            ("IncludedSupplyChainTradeLineItem", _item(at, line, amounts))
            for at, line in enumerate(sheet.lines, 1)
        ],
        ("ApplicableHeaderTradeAgreement", _agreement(sheet)),
        ("ApplicableHeaderTradeDelivery", _delivery(sheet)),
        ("ApplicableHeaderTradeSettlement", _settlement(sheet, amounts)),
    ]
    _add(root, "rsm:SupplyChainTradeTransaction", transaction)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode")


def _item(at: int, line: _Line, amounts: "_Amounts") -> Fields:
    product: Fields = [("Name", line.name), *_if("Description", line.description)]
    return [
        _fields("AssociatedDocumentLineDocument", ("LineID", str(at))),
        ("SpecifiedTradeProduct", product),
        (
            "SpecifiedLineTradeAgreement",
            [_fields("NetPriceProductTradePrice", ("ChargeAmount", _number(line.price)))],
        ),
        _fields("SpecifiedLineTradeDelivery", (f"BilledQuantity unitCode={_PIECE}", _number(line.quantity))),
        (
            "SpecifiedLineTradeSettlement",
            [
                ("ApplicableTradeTax", [("TypeCode", "VAT"), *_rate(line.tax)]),
                *_allowance(line.discount, line.reason, amounts),
                _fields(
                    "SpecifiedTradeSettlementLineMonetarySummation", ("LineTotalAmount", amounts.of(line.net))
                ),
            ],
        ),
    ]


def _agreement(sheet: _Sheet) -> Fields:
    return [
        *_if("BuyerReference", sheet.buyer_reference),
        ("SellerTradeParty", _seller(sheet)),
        ("BuyerTradeParty", _buyer(sheet)),
    ]


def _seller(sheet: _Sheet) -> Fields:
    """By its VAT number, or else by its tax number, also as its id (BR-CO-26). Who is not taxed names no VAT number."""
    seller = sheet.seller
    vat = _vat_number(seller.tax_number) if sheet.is_taxed else ""
    contact = [
        *(
            [_fields("TelephoneUniversalCommunication", ("CompleteNumber", seller.phone))]
            if seller.phone
            else []
        ),
        *([_fields("EmailURIUniversalCommunication", ("URIID", seller.email))] if seller.email else []),
    ]
    return [
        *([] if vat else [("ID", seller.tax_number)]),
        ("Name", seller.name),
        *([("DefinedTradeContact", contact)] if contact else []),
        ("PostalTradeAddress", _address(seller.postal_address)),
        *_registered(vat, seller.tax_number if sheet.is_taxed else ""),
    ]


def _buyer(sheet: _Sheet) -> Fields:
    """A number that is no VAT number is of a register, which a tax that the buyer owes takes too (BR-AE-02)."""
    buyer = sheet.buyer
    vat = _vat_number(buyer.tax_number) if sheet.is_taxed else ""
    legal = "" if vat else buyer.tax_number
    return [
        ("Name", buyer.name),
        *([_fields("SpecifiedLegalOrganization", ("ID", legal))] if _clean(legal) else []),
        ("PostalTradeAddress", _address(buyer.billing_address)),
        *_registered(vat, ""),
    ]


def _registered(vat: str, other: str) -> Fields:
    if vat:
        return [_fields("SpecifiedTaxRegistration", ("ID schemeID=VA", vat))]
    return [_fields("SpecifiedTaxRegistration", ("ID schemeID=FC", other))] if other else []


def _vat_number(number: str) -> str:
    """A number that begins with its country, as VAT numbers do; else empty."""
    written = _PUNCTUATION.sub("", number).upper()
    found = _VAT_NUMBER.fullmatch(written)
    return (
        written
        if found and (found[1] == "EL" or found[1] in countries()) and found[1] not in _NO_PREFIX
        else ""
    )


def _address(address: BillingAddress) -> Fields:
    """Three lines are all that there are: the third has what comes after."""
    given = [line for line in address.lines if _clean(line)]
    lines = [*given[:2], ", ".join(given[2:])]
    named = zip(("LineOne", "LineTwo", "LineThree"), lines, strict=False)
    return [
        *_if("PostcodeCode", address.postcode),
        *[each for name, line in named for each in _if(name, line)],
        *_if("CityName", address.city),
        ("CountryID", _WRITTEN.get(address.country, address.country)),
    ]


def _delivery(sheet: _Sheet) -> Fields:
    """When, where that is known, else to whom: the rules want no empty element."""
    if sheet.delivered_on is None:
        return [_fields("ShipToTradeParty", ("Name", sheet.buyer.name))]
    return [_fields("ActualDeliverySupplyChainEvent", ("OccurrenceDateTime", _day(sheet.delivered_on)))]


def _settlement(sheet: _Sheet, amounts: "_Amounts") -> Fields:
    shares = {tax: sum(line.share for line in sheet.lines if line.tax == tax) for tax in sheet.groups}
    terms: Fields = (
        [("DueDateDateTime", _day(sheet.due_on))] if sheet.due_on else [("Description", sheet.terms)]
    )
    sums: Fields = [
        ("LineTotalAmount", amounts.of(sum(line.net for line in sheet.lines))),
        ("AllowanceTotalAmount", amounts.of(sum(shares.values()))),
        ("TaxBasisTotalAmount", amounts.of(sheet.net)),
        (f"TaxTotalAmount currencyID={sheet.currency}", amounts.of(sheet.tax)),
        *([("RoundingAmount", amounts.of(sheet.rounding))] if sheet.rounding else []),
        ("GrandTotalAmount", amounts.of(sheet.net + sheet.tax)),
        ("DuePayableAmount", amounts.of(sheet.total)),
    ]
    return [
        ("InvoiceCurrencyCode", sheet.currency),
        *[("ApplicableTradeTax", _group(tax, group, amounts)) for tax, group in sheet.groups.items()],
        *[
            each
            for tax, amount in shares.items()
            for each in _allowance(amount, sheet.discount_reason, amounts, tax)
        ],
        ("SpecifiedTradePaymentTerms", terms),
        ("SpecifiedTradeSettlementHeaderMonetarySummation", sums),
        *_preceding(sheet.of_invoice),
    ]


def _preceding(of_invoice: tuple[str, date] | None) -> Fields:
    if of_invoice is None:
        return []
    number, issued_on = of_invoice
    day: Fields = [("qdt:DateTimeString format=102", f"{issued_on:%Y%m%d}")]
    return [("InvoiceReferencedDocument", [("IssuerAssignedID", number), ("FormattedIssueDateTime", day)])]


def _group(tax: _Tax, group: _Group, amounts: "_Amounts") -> Fields:
    category, *percent = _rate(tax)
    code, text = _exemption(group.reasons) if tax.category in EXEMPT_CATEGORIES else ("", "")
    return [
        ("CalculatedAmount", amounts.of(group.tax)),
        ("TypeCode", "VAT"),
        *_if("ExemptionReason", text),
        ("BasisAmount", amounts.of(group.base)),
        category,
        *_if("ExemptionReasonCode", code),
        *percent,
    ]


def _exemption(reasons: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """The code and the text of why a tax is not charged: one code, when the list has it; all else is text."""
    if len(reasons) == 1 and reasons[0][0] in EXEMPTION_CODES:
        return reasons[0]
    return "", "; ".join(part for reason in reasons for part in reason[::-1] if part)


def _allowance(amount: int, reason: str, amounts: "_Amounts", tax: _Tax | None = None) -> Fields:
    """A discount of a line, or with `tax` of the invoice."""
    if not amount:
        return []
    fields: Fields = [
        _fields("ChargeIndicator", ("udt:Indicator", "false")),
        ("ActualAmount", amounts.of(amount)),
        ("Reason", reason if _clean(reason) else "Discount"),
        *([("CategoryTradeTax", [("TypeCode", "VAT"), *_rate(tax)])] if tax else []),
    ]
    return [("SpecifiedTradeAllowanceCharge", fields)]


def _rate(tax: _Tax) -> "list[tuple[str, str | Fields]]":
    """The category O has no percent; the others have one, also of 0."""
    category = ("CategoryCode", tax.category)
    return [category] if tax.category == "O" else [category, ("RateApplicablePercent", _number(tax.percent))]


@dataclass(frozen=True, slots=True)
class _Amounts:
    """Writes amounts of a currency."""

    currency: str

    def of(self, minor: int) -> str:
        return f"{_major(minor, self.currency):f}"


def _major(minor: int, currency: str) -> Decimal:
    return Decimal(minor).scaleb(-CURRENCIES[currency].decimals)


def _number(value: Decimal) -> str:
    """With ten places at most, as BT-146 and BT-129 are not amounts."""
    text = f"{value:.10f}".rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def _day(day: date) -> Fields:
    return [("udt:DateTimeString format=102", f"{day:%Y%m%d}")]


def _fields(name: str, *fields: "tuple[str, str | Fields]") -> "tuple[str, Fields]":
    return name, fields


def _if(name: str, text: str) -> "list[tuple[str, str | Fields]]":
    return [(name, text)] if _clean(text) else []


def _clean(text: str) -> str:
    """The text without what XML cannot hold: control characters, lone surrogates."""
    return _NOT_IN_XML.sub("", text).strip()


def _add(parent: ET.Element, name: str, value: "str | Fields") -> None:
    """Add an element of `ram`, unless the name has another prefix; an attribute may follow it."""
    tag, _, attribute = name.partition(" ")
    prefix, _, local = tag.rpartition(":")
    attributes = dict([attribute.split("=", 1)]) if attribute else {}
    element = ET.SubElement(parent, f"{{{_SPACES[prefix or 'ram']}}}{local}", attributes)
    if isinstance(value, str):
        element.text = _clean(value)
    else:
        for child, inner in value:
            _add(element, child, inner)
