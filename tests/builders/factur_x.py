"""Issued invoices and their credit notes as the service answers about them, without a database; e-invoices are on."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from contracts.currencies import CURRENCIES
from contracts.http.common import Money
from contracts.http.invoices import DocumentLine, DocumentOut, InvoiceOut, InvoiceTax
from contracts.http.invoices import Seller as SellerOut
from services.chassis.ids import new_id
from services.invoice.addresses import BillingAddress
from services.invoice.checks import plain
from services.invoice.clients.domain import ClientDetails
from services.invoice.clinics.domain import Clinic, Contact, TaxRate, seller_of, tidy
from services.invoice.documents import domain as documents
from services.invoice.invoices.domain import Invoice
from services.invoice.invoices.drafts import InvoiceDraft, LineDraft, price_draft
from services.invoice.invoices.e_invoices import with_e_invoices
from services.invoice.invoices.totals import TaxRate as Rate
from services.invoice.invoices.views import issued

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
TAX_RATES = (
    TaxRate(code="STD", name="VAT", percent="23"),
    TaxRate(code="ALSO", name="VAT again", percent="23"),
    TaxRate(code="RED", name="VAT", percent="13.5"),
    TaxRate(code="ZERO", name="VAT", percent="0"),
    TaxRate(
        code="MED",
        name="VAT",
        percent="0",
        category="E",
        exemption_code="VATEX-EU-132-1C",
        exemption_text="Medical care",
    ),
    TaxRate(code="MED2", name="VAT", percent="0", category="E", exemption_text="Care of teeth"),
    TaxRate(code="AE", name="VAT", percent="0", category="AE", exemption_code="VATEX-EU-AE"),
    TaxRate(code="NONE", name="No VAT", percent="0", category="O", exemption_code="VATEX-XX-UNKNOWN"),
)
ADDRESS = BillingAddress(lines=("12 Quay Street",), postcode="D02 X285", city="Dublin", country="IE")
CLIENT = ClientDetails(name="Ada Nolan", billing_address=ADDRESS, tax_number="IE7654321T")


def a_clinic(**changes: Any) -> Clinic:
    clinic = Clinic(
        id=new_id(),
        version=1,
        slug="harbour",
        name="Harbour Clinic",
        currency="EUR",
        time_zone="Europe/Dublin",
        locale="en-IE",
        billing_shown=True,
        online_payment=True,
        methods=("card",),
        contact=Contact(phone="+353 1 555 0123", email="billing@harbour.example"),
        accent="#0b6e6e",
        tax_rates=TAX_RATES,
        tax_number="IE1234567T",
        postal_address=ADDRESS,
        e_invoices=True,
    )
    return tidy(replace(clinic, **changes))  # type: ignore[return-value]


CLINIC = a_clinic()


def an_invoice(draft: InvoiceDraft, clinic: Clinic = CLINIC, client: ClientDetails = CLIENT) -> InvoiceOut:
    """The draft as it is issued."""
    priced = price_draft(draft, clinic, NOW)
    invoice = Invoice(
        clinic.id,
        new_id(),
        draft.client_id,
        "2026-000001",
        "unpaid",
        priced.currency,
        priced.totals.total,
        priced.issued_on,
        priced.due_on,
        seller_of(clinic),
        clinic.locale,
        clinic.time_zone,
        NOW,
    )
    return issued(invoice, priced, clinic, client, NOW.date())


def a_draft(lines: Sequence[LineDraft], **more: Any) -> InvoiceDraft:
    return InvoiceDraft(client_id=new_id(), due_on=NOW.date(), lines=tuple(lines), **more)


def with_credit_note(
    found: InvoiceOut, request: documents.CreditRequest, clinic: Clinic = CLINIC
) -> InvoiceOut:
    """The invoice with a credit note that this request makes of it."""
    plan = documents.plan(request, _issued(found, clinic))
    sums: dict[str, list[int]] = {}
    for part in plan.parts:
        for rate, tax in zip(part.rates, part.taxes, strict=True):
            held = sums.setdefault(rate.code, [0, 0])
            held[0], held[1] = held[0] + part.net, held[1] + tax

    def money(minor: int) -> Money:
        return Money(minor, found.currency)

    names = {tax.code: tax for tax in found.taxes}
    note = DocumentOut(
        id=new_id(),
        invoice_id=found.id,
        kind="credit_note",
        number="CN-2026-000001",
        reason=plan.reason,
        explanation=plan.explanation,
        issued_on=found.issued_on,
        net=money(plan.net),
        tax=money(plan.tax),
        total=money(plan.total),
        rounding=money(plan.rounding) if plan.rounding else None,
        taxes=[
            InvoiceTax(
                code=code, name=names[code].name, percent=names[code].percent, base=money(net), tax=money(tax)
            )
            for code, (net, tax) in sums.items()
        ],
        lines=[
            DocumentLine(
                position=line.position,
                service=line.service,
                quantity=plain(line.quantity),
                net=money(line.part.net),
                tax=money(sum(line.part.taxes)),
            )
            for line in plan.lines
        ],
        seller=msgspec.convert(seller_of(clinic), SellerOut, from_attributes=True),
        locale=clinic.locale,
        time_zone=clinic.time_zone,
    )
    return with_e_invoices(msgspec.structs.replace(found, documents=(note,)))


def _issued(found: InvoiceOut, clinic: Clinic) -> documents.Issued:
    rates = {rate.code: Rate(rate.code, rate.name, Decimal(rate.percent)) for rate in clinic.tax_rates}
    parts: dict[tuple[str, ...], documents.Part] = {}
    lines = []
    for line in found.lines:
        codes = tuple(tax.code for tax in line.taxes)
        part = documents.Part(
            tuple(rates[code] for code in codes), line.net.minor, tuple(tax.tax.minor for tax in line.taxes)
        )
        parts[codes] = parts[codes].plus(part) if codes in parts else part
        lines.append(documents.Line(line.position, line.service, Decimal(line.quantity), part))
    invoice = Invoice(
        clinic.id,
        found.id,
        found.client_id,
        found.number,
        "unpaid",
        found.currency,
        found.total.minor,
        found.issued_on,
        found.due_on,
        seller_of(clinic),
        clinic.locale,
        clinic.time_zone,
        NOW,
    )
    rounding = found.rounding.minor if found.rounding else 0
    return documents.Issued(invoice, tuple(lines), tuple(parts.values()), rounding, False, found.prices)


def minor(written: str, currency: str) -> int:
    """An amount of an e-invoice in minor units."""
    return int(Decimal(written).scaleb(CURRENCIES[currency].decimals))
