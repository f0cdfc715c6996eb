"""The e-mail about a credit note."""

from typing import Any
from uuid import UUID

from contracts.events.invoice import InvoiceCredited
from contracts.events.payment import Share
from services.notification.emails.domain import Delivery, Document, Email, EmailData, EmailKind, Links
from services.notification.emails.messages.parts import (
    formats,
    invoice_action,
    invoice_number,
    question,
    seller_name,
)


def data_of(event: InvoiceCredited) -> EmailData:
    share = Share(invoice_id=event.invoice_id, amount=event.document.total)
    return EmailData(amount=event.document.total, at=event.time, invoices=(share,))


def document_id(event: InvoiceCredited) -> UUID:
    return event.document.id


def is_credit_note(event: InvoiceCredited) -> bool:
    """A write-off is the clinic's own affair: its client gets no letter about it."""
    return event.document.kind == "credit_note"


def content(email: Email, links: Links) -> dict[str, Any]:
    [share] = email.delivery.data.invoices
    invoice = email.invoices[share.invoice_id]
    write, number = formats(email), invoice_number(invoice)
    amount = write.money(email.delivery.data.amount)
    due = f"{write.money(invoice.due)} is still to be paid." if invoice.due.minor > 0 else ""
    return {
        "subject": f"Credit note for invoice {number}",
        "preview": f"{amount} less on invoice {number}",
        "lead": f"{seller_name(email)} took {amount} off invoice {number}.",
        "amount": amount,
        "due_words": due or "Nothing more is to be paid on this invoice.",
        "note": "If you paid more than it comes to now, the rest is kept as your credit.",
        "action": invoice_action(email.clinic, invoice, links.portal, write),
        "question": question(email.clinic, "credit note"),
    }


def documents(delivery: Delivery) -> list[Document]:
    [share] = delivery.data.invoices
    return [Document(f"/invoices/{share.invoice_id}/credit-notes/{delivery.subject_id}/pdf")]


KIND = EmailKind(
    "credit_note",
    InvoiceCredited,
    document_id,
    data_of,
    content,
    needs_invoices=True,
    applies=is_credit_note,
    documents=documents,
)
