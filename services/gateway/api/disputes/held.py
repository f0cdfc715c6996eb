"""Texts for a dispute's evidence from the clinic's records: who paid which invoices when. Pure.

They name services and their days only if staff switch that on: the bank and the payer's family may read them.
"""

from collections.abc import Iterable, Sequence

from contracts.http.clinics import ClinicOut
from contracts.http.contacts import ContactOut
from contracts.http.disputes import TEXT_LIMITS, EvidenceTexts
from contracts.http.invoices import InvoiceOut
from contracts.http.payments import PaymentOut
from contracts.vocabulary import method_name
from services.chassis.locale.formats import Formats


def held_texts(
    clinic: ClinicOut,
    client_name: str,
    contact: ContactOut | None,
    payment: PaymentOut,
    invoices: Sequence[InvoiceOut],
    with_services: bool,
) -> EvidenceTexts:
    """The texts, each within Stripe's limit."""
    write = Formats.of(clinic)
    about = [*_paid(write, payment), *(_issued(write, clinic, invoice) for invoice in invoices)]
    days: list[str] = []
    if with_services:
        about += [line for invoice in invoices for line in _services(write, invoice)]
        days = [
            write.day_of(line.appointment.starts_at)
            for invoice in invoices
            for line in invoice.lines
            if line.appointment
        ]
    return EvidenceTexts(
        customer_name=client_name,
        customer_email_address=contact.email if contact else "",
        product_description=_fitting(about, "\n", "product_description"),
        service_date=_fitting(dict.fromkeys(days), "; ", "service_date"),
    )


def _paid(write: Formats, payment: PaymentOut) -> list[str]:
    """The receipt."""
    if payment.succeeded_at is None:
        return []
    paid = f"Paid on {write.day_of(payment.succeeded_at)}: {write.money(payment.amount)}"
    method = payment.method
    return [f"{paid} with {method_name(method.kind, method.brand, method.last4)}." if method else f"{paid}."]


def _issued(write: Formats, clinic: ClinicOut, invoice: InvoiceOut) -> str:
    seller = invoice.seller.name if invoice.seller else clinic.name
    total = write.money(invoice.total)
    return f"Invoice {invoice.number} of {seller}, issued on {write.day(invoice.issued_on)}, {total}."


def _services(write: Formats, invoice: InvoiceOut) -> list[str]:
    return [
        f"{line.service}, {write.day_of(line.appointment.starts_at)}."
        if line.appointment
        else f"{line.service}."
        for line in invoice.lines
    ]


def _fitting(parts: Iterable[str], between: str, name: str) -> str:
    """As many of the parts as Stripe takes."""
    text = ""
    for part in parts:
        longer = f"{text}{between}{part}" if text else part
        if len(longer) > TEXT_LIMITS[name]:
            break
        text = longer
    return text
