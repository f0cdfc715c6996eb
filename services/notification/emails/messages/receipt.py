"""The receipt for a payment, which lists its invoices."""

from operator import attrgetter
from typing import Any

from contracts.events.payment import PaymentSucceeded, receipt_number
from contracts.money import Money
from services.notification.emails.domain import Delivery, Document, Email, EmailKind, Links
from services.notification.emails.messages.parts import (
    Action,
    Row,
    formats,
    invoice_name,
    method_of,
    payment_data,
    question,
    seller_name,
    sum_in_subject,
)


def content(email: Email, links: Links) -> dict[str, Any]:
    clinic, data = email.clinic, email.delivery.data
    write = formats(email)
    amount = write.money(data.amount)
    paid_on = write.day_of(data.at)
    paid_with = method_of(data.method)
    link = f"{links.portal}/payments/{email.delivery.subject_id}"
    return {
        "subject": f"Receipt for your payment{sum_in_subject(email, 'of', amount)}",
        "preview": f"Paid on {paid_on}",
        "lead": f"Thank you. {seller_name(email)} has received your payment.",
        "amount": amount,
        "paid_words": f"Paid on {paid_on}" + (f" with {paid_with}" if paid_with else ""),
        "number": f"Receipt {receipt_number(email.delivery.subject_id)}",
        "rows": _rows(email),
        "action": Action("View receipt", link) if clinic.billing_shown else None,
        "note": None if clinic.billing_shown else "Please keep this e-mail as your receipt.",
        "question": question(clinic, "payment"),
    }


def _rows(email: Email) -> list[Row]:
    data = email.delivery.data
    write = formats(email)

    def row(label: str, amount: Money) -> Row:
        return Row(label, write.money(amount))

    rows = [row(invoice_name(email, share.invoice_id), share.amount) for share in data.invoices]
    if data.surplus is not None and data.surplus.minor > 0:
        rows.append(row("Kept as your credit with the clinic", data.surplus))
    return rows


def documents(delivery: Delivery) -> list[Document]:
    """The receipt of each invoice that it paid, once the payment is on it."""
    paid = {"payment_id": str(delivery.subject_id)}
    return [Document(f"/invoices/{share.invoice_id}/receipt", paid) for share in delivery.data.invoices]


KIND = EmailKind(
    "receipt",
    PaymentSucceeded,
    attrgetter("payment_id"),
    payment_data,
    content,
    ends_failures=True,
    undone_by="payment_reversed",
    documents=documents,
)
