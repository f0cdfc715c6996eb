"""The e-mail about a new invoice."""

from operator import attrgetter
from typing import Any

from contracts.events.invoice import InvoiceCreated
from contracts.events.payment import Share
from contracts.vocabulary import is_payable
from services.chassis.locale.formats import Formats
from services.notification.emails.domain import Email, EmailData, EmailKind
from services.notification.emails.messages.parts import (
    ASK_CLINIC,
    invoice_action,
    invoice_number,
    is_payable_online,
    one_line,
)
from services.notification.projections.domain import Clinic, Invoice


def data_of(event: InvoiceCreated) -> EmailData:
    due = event.due
    return EmailData(amount=due, at=event.time, invoices=(Share(invoice_id=event.invoice_id, amount=due),))


def content(email: Email, portal: str) -> dict[str, Any]:
    clinic = email.clinic
    invoice = email.invoices[email.delivery.subject_id]
    formats = Formats.of(clinic)
    amount = formats.money(invoice.due)
    return {
        "subject": f"Invoice {invoice_number(invoice)} is ready",
        "preview": f"{amount}, due by {formats.day(invoice.due_on)}",
        "lead": f"Invoice {invoice_number(invoice)} from {one_line(clinic.name)} is ready for you.",
        "amount": amount,
        "due_words": f"Due by {formats.day(invoice.due_on)}",
        "action": invoice_action(clinic, invoice, portal),
        "note": _note(clinic, invoice),
        "question": "Questions about this invoice? Contact the clinic.",
    }


def _note(clinic: Clinic, invoice: Invoice) -> str | None:
    if invoice.status == "processing":
        return "A payment for it is on its way, so there is nothing you need to do now."
    if not clinic.billing_shown:
        return "To see this invoice or to pay it, please contact the clinic: its details are below."
    return None if is_payable_online(clinic, invoice) or not is_payable(invoice.status) else ASK_CLINIC


KIND = EmailKind(
    "invoice_ready",
    InvoiceCreated,
    attrgetter("invoice_id"),
    data_of,
    content,
    asks_for_money=True,
    needs_invoices=True,
)
