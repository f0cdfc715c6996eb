"""Invoices as Factur-X XML (UN/CEFACT CII, profile EN 16931), written from the totals of `services.invoice`.

Only what the rules of EN 16931 on sums, taxes and discounts look at; amounts are in a currency with two decimals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from xml.etree import ElementTree as ET

from contracts.vocabulary import EXEMPT_CATEGORIES, PriceMode
from services.invoice.invoices.totals import Item, LineTotals, TaxRate, Totals, half_up

_RSM = "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100"
_RAM = "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100"
_UDT = "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100"
Fields = Sequence[tuple[str, "str | Fields"]]


@dataclass(frozen=True)
class Document:
    items: Sequence[Item]
    totals: Totals
    prices: PriceMode
    currency: str = "EUR"


@dataclass(frozen=True)
class _Line:
    """A line as EN 16931 has it: its net amount is before the invoice's discount, whose part of it is net too."""

    item: Item
    totals: LineTotals
    allowance: int

    @property
    def net(self) -> int:
        return self.totals.net + self.allowance


def xml_of(document: Document) -> str:
    """The invoice. Each line bears one tax: EN 16931 knows no second."""
    lines = [
        _Line(item, totals, _without_tax(totals.invoice_discount, item, document.prices))
        for item, totals in zip(document.items, document.totals.lines, strict=True)
    ]
    categories = {item.rates[0].category for item in document.items}
    root = ET.Element(f"{{{_RSM}}}CrossIndustryInvoice")
    context = _fields("GuidelineSpecifiedDocumentContextParameter", ("ID", "urn:cen.eu:en16931:2017"))
    _add(root, _RSM, "ExchangedDocumentContext", [context])
    head: Fields = [("ID", "2026-000001"), ("TypeCode", "380"), ("IssueDateTime", _day("20261129"))]
    _add(root, _RSM, "ExchangedDocument", head)
    transaction = ET.SubElement(root, f"{{{_RSM}}}SupplyChainTradeTransaction")
    for at, line in enumerate(lines, start=1):
        _add(transaction, _RAM, "IncludedSupplyChainTradeLineItem", _line(at, line, document.prices))
    _add(transaction, _RAM, "ApplicableHeaderTradeAgreement", _parties(taxed="O" not in categories))
    delivered = ("OccurrenceDateTime", _day("20261128"))
    _add(
        transaction,
        _RAM,
        "ApplicableHeaderTradeDelivery",
        [_fields("ActualDeliverySupplyChainEvent", delivered)],
    )
    _add(transaction, _RAM, "ApplicableHeaderTradeSettlement", _settlement(document, lines))
    return ET.tostring(root, encoding="unicode")


def _line(at: int, line: _Line, prices: PriceMode) -> Fields:
    rate, discount = line.item.rates[0], _without_tax(line.totals.discount, line.item, prices)
    price = Decimal(line.item.unit_amount) / 100
    if prices == "gross":
        price = price * 100 / (100 + rate.percent)
    allowance: Fields = [
        _fields("ChargeIndicator", ("udt:Indicator", "false")),
        ("ActualAmount", _money(discount)),
        ("Reason", "Discount"),
    ]
    return [
        _fields("AssociatedDocumentLineDocument", ("LineID", str(at))),
        _fields("SpecifiedTradeProduct", ("Name", "Physiotherapy")),
        (
            "SpecifiedLineTradeAgreement",
            [_fields("NetPriceProductTradePrice", ("ChargeAmount", f"{price:.6f}"))],
        ),
        _fields("SpecifiedLineTradeDelivery", ("BilledQuantity unitCode=C62", f"{line.item.quantity:f}")),
        (
            "SpecifiedLineTradeSettlement",
            [
                ("ApplicableTradeTax", [("TypeCode", "VAT"), *_rate(rate)]),
                *([("SpecifiedTradeAllowanceCharge", allowance)] if discount else []),
                _fields(
                    "SpecifiedTradeSettlementLineMonetarySummation", ("LineTotalAmount", _money(line.net))
                ),
            ],
        ),
    ]


def _parties(*, taxed: bool) -> Fields:
    """Who is not taxed names no VAT number, but another one."""

    def party(number: str) -> Fields:
        legal: Fields = [] if taxed else [_fields("SpecifiedLegalOrganization", ("ID", "123456"))]
        vat: Fields = [_fields("SpecifiedTaxRegistration", ("ID schemeID=VA", number))] if taxed else []
        return [("Name", "Harbour"), *legal, _fields("PostalTradeAddress", ("CountryID", "IE")), *vat]

    return [("SellerTradeParty", party("IE1234567T")), ("BuyerTradeParty", party("IE7654321T"))]


def _settlement(document: Document, lines: Sequence[_Line]) -> Fields:
    totals, rates = document.totals, [group.rate for group in document.totals.groups]
    allowances = {rate: sum(line.allowance for line in lines if line.item.rates[0] == rate) for rate in rates}
    return [
        ("InvoiceCurrencyCode", document.currency),
        *[("ApplicableTradeTax", _group(totals, rate)) for rate in rates],
        *[
            ("SpecifiedTradeAllowanceCharge", _allowance(amount, rate))
            for rate, amount in allowances.items()
            if amount
        ],
        ("SpecifiedTradePaymentTerms", [("DueDateDateTime", _day("20261213"))]),
        (
            "SpecifiedTradeSettlementHeaderMonetarySummation",
            [
                ("LineTotalAmount", _money(sum(line.net for line in lines))),
                ("AllowanceTotalAmount", _money(sum(allowances.values()))),
                ("TaxBasisTotalAmount", _money(totals.subtotal)),
                (f"TaxTotalAmount currencyID={document.currency}", _money(totals.tax)),
                ("RoundingAmount", _money(totals.rounding)),
                ("GrandTotalAmount", _money(totals.subtotal + totals.tax)),
                ("DuePayableAmount", _money(totals.total)),
            ],
        ),
    ]


def _group(totals: Totals, rate: TaxRate) -> Fields:
    [group] = [each for each in totals.groups if each.rate == rate]
    exempt = rate.category in EXEMPT_CATEGORIES
    category, *percent = _rate(rate)
    return [
        ("CalculatedAmount", _money(group.tax)),
        ("TypeCode", "VAT"),
        *([("ExemptionReason", rate.exemption_text)] if exempt and rate.exemption_text else []),
        ("BasisAmount", _money(group.base)),
        category,
        *([("ExemptionReasonCode", rate.exemption_code)] if exempt and rate.exemption_code else []),
        *percent,
    ]


def _allowance(amount: int, rate: TaxRate) -> Fields:
    return [
        _fields("ChargeIndicator", ("udt:Indicator", "false")),
        ("ActualAmount", _money(amount)),
        ("Reason", "Discount"),
        ("CategoryTradeTax", [("TypeCode", "VAT"), *_rate(rate)]),
    ]


def _rate(rate: TaxRate) -> Fields:
    """The category O has no percent; the others have one, also of 0."""
    category = ("CategoryCode", rate.category)
    return [category] if rate.category == "O" else [category, ("RateApplicablePercent", f"{rate.percent:f}")]


def _without_tax(amount: int, item: Item, prices: PriceMode) -> int:
    if prices == "net":
        return amount
    scale = 100_000
    return half_up(amount * scale, scale + int(item.rates[0].percent * 1000))


def _money(minor: int) -> str:
    return f"{Decimal(minor) / 100:.2f}"


def _day(day: str) -> Fields:
    return [("udt:DateTimeString format=102", day)]


def _fields(name: str, *fields: "tuple[str, str | Fields]") -> "tuple[str, Fields]":
    return name, fields


def _add(parent: ET.Element, space: str, name: str, value: "str | Fields") -> None:
    """Add an element; a name may say its namespace before and an attribute after it."""
    tag, _, attribute = name.partition(" ")
    if tag.startswith("udt:"):
        space, tag = _UDT, tag.removeprefix("udt:")
    element = ET.SubElement(parent, f"{{{space}}}{tag}", dict([attribute.split("=")]) if attribute else {})
    if isinstance(value, str):
        element.text = value
    else:
        for field, inner in value:
            _add(element, _RAM, field, inner)
