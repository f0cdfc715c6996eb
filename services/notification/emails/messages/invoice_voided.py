"""The e-mail about an invoice that was canceled."""

from typing import Any
from uuid import UUID

from contracts.events.invoice import InvoiceVoided
from contracts.events.payment import Share
from services.notification.emails.domain import Email, EmailData, EmailKind, Links
from services.notification.emails.messages.parts import (
    formats,
    invoice_action,
    invoice_number,
    question,
    seller_name,
)


def data_of(event: InvoiceVoided) -> EmailData:
    share = Share(invoice_id=event.invoice_id, amount=event.document.total)
    return EmailData(amount=event.document.total, at=event.time, invoices=(share,))


def document_id(event: InvoiceVoided) -> UUID:
    return event.document.id


def content(email: Email, links: Links) -> dict[str, Any]:
    [share] = email.delivery.data.invoices
    invoice = email.invoices[share.invoice_id]
    write, number = formats(email), invoice_number(invoice)
    return {
        "subject": f"Invoice {number} is cancelled",
        "preview": "There is nothing to pay on it.",
        "lead": f"{seller_name(email)} cancelled invoice {number}. There is nothing to pay on it.",
        "amount": write.money(email.delivery.data.amount),
        "action": invoice_action(email.clinic, invoice, links.portal, write),
        "question": question(email.clinic, "invoice"),
    }


KIND = EmailKind("invoice_voided", InvoiceVoided, document_id, data_of, content, needs_invoices=True)
