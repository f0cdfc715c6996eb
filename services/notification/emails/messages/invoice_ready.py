"""The e-mail about a new invoice."""

from operator import attrgetter
from typing import Any

from contracts.events.invoice import InvoiceCreated
from contracts.events.payment import Share
from contracts.vocabulary import is_payable
from services.notification.emails.domain import Delivery, Document, Email, EmailData, EmailKind, Links
from services.notification.emails.messages.parts import (
    ask_clinic,
    formats,
    invoice_number,
    is_payable_online,
    pay_actions,
    question,
    seller_name,
    sum_in_subject,
)
from services.notification.projections.domain import Clinic, Invoice


def data_of(event: InvoiceCreated) -> EmailData:
    due = event.due
    return EmailData(amount=due, at=event.time, invoices=(Share(invoice_id=event.invoice_id, amount=due),))


def content(email: Email, links: Links) -> dict[str, Any]:
    clinic = email.clinic
    invoice = email.invoices[email.delivery.subject_id]
    write = formats(email)
    amount = write.money(invoice.due)
    return {
        "subject": f"Invoice {invoice_number(invoice)}{sum_in_subject(email, 'over', amount)} is ready",
        "preview": f"{amount}, due by {write.day(invoice.due_on)}",
        "lead": f"Invoice {invoice_number(invoice)} from {seller_name(email)} is ready for you.",
        "amount": amount,
        "due_words": f"Due by {write.day(invoice.due_on)}",
        **pay_actions(clinic, invoice, links, write),
        "note": _note(clinic, invoice),
        "question": question(clinic, "invoice"),
    }


def _note(clinic: Clinic, invoice: Invoice) -> str | None:
    if invoice.status == "processing":
        return "A payment for it is on its way, so there is nothing you need to do now."
    if not clinic.billing_shown:
        return ask_clinic(clinic, "To see this invoice or to pay it")
    online = is_payable_online(clinic, invoice)
    return None if online or not is_payable(invoice.status) else ask_clinic(clinic, "To pay")


def documents(delivery: Delivery) -> list[Document]:
    return [Document(f"/invoices/{delivery.subject_id}/pdf")]


KIND = EmailKind(
    "invoice_ready",
    InvoiceCreated,
    attrgetter("invoice_id"),
    data_of,
    content,
    asks_for_money=True,
    needs_invoices=True,
    documents=documents,
)
