"""The e-mail about a payment that the clinic had recorded, and took back."""

from datetime import timedelta
from operator import attrgetter
from typing import Any

from contracts.events.payment import PaymentReversed, Share, receipt_number
from contracts.money import Money
from services.notification.emails.domain import Email, EmailData, EmailKind, Links
from services.notification.emails.messages.parts import (
    Action,
    Row,
    formats,
    invoice_name,
    is_payable_online,
    method_of,
    pay_actions,
    question,
    seller_name,
    sum_in_subject,
)


def data_of(event: PaymentReversed) -> EmailData:
    """With what was taken from the client's credit as its surplus."""
    credit = event.amount.minor - sum(share.amount.minor for share in event.invoices)
    return EmailData(
        amount=event.amount,
        at=event.time,
        invoices=tuple(Share(invoice_id=each.invoice_id, amount=each.amount) for each in event.invoices),
        due=tuple(Share(invoice_id=each.invoice_id, amount=each.due) for each in event.invoices),
        method=event.method,
        surplus=Money(minor=credit, currency=event.amount.currency) if credit else None,
    )


def content(email: Email, links: Links) -> dict[str, Any]:
    data, write = email.delivery.data, formats(email)
    amount, on = write.money(data.amount), write.day_of(data.at)
    number = receipt_number(email.delivery.subject_id)
    due = any(share.amount.minor for share in data.due)
    since = "If you have paid since, or the clinic has recorded it again, there is nothing you need to do."
    return {
        "subject": f"A payment{sum_in_subject(email, 'of', amount)} was taken back",
        "preview": "It pays nothing any more.",
        "lead": f"{seller_name(email)} had recorded a payment of yours, and took it back. It pays nothing any more.",
        "amount": amount,
        "taken_words": f"{method_of(data.method)}, receipt {number}. Taken back on {on}",
        "rows": _rows(email),
        "note": since if due else "There is nothing you need to do.",
        **_actions(email, links),
        "question": question(email.clinic, "payment"),
    }


def _rows(email: Email) -> list[Row]:
    """The sum that each invoice lost, the sum due on it since, and the sum that the client's credit lost."""
    data, write = email.delivery.data, formats(email)
    due = {share.invoice_id: share.amount for share in data.due}
    rows = []
    for share in data.invoices:
        name = invoice_name(email, share.invoice_id)
        rows.append(Row(f"Taken off {name}", write.money(share.amount)))
        rows.append(Row(f"Now to be paid on {name}", write.money(due[share.invoice_id])))
    if data.surplus is not None:
        rows.append(Row("Taken from your credit with the clinic", write.money(data.surplus)))
    return rows


def _actions(email: Email, links: Links) -> dict[str, Action | str | None]:
    """To one invoice: with a button that pays it where its copy agrees with what the e-mail says is due."""
    due, clinic = email.delivery.data.due, email.clinic
    if not clinic.billing_shown:
        return {"action": None}
    invoice = email.invoices.get(due[0].invoice_id) if len(due) == 1 else None
    if invoice is None:
        return {"action": Action("View your invoices", f"{links.portal}/billing")}
    known = invoice.due == due[0].amount and not invoice.being_checked
    if known and is_payable_online(clinic, invoice):
        return pay_actions(clinic, invoice, links, formats(email))
    return {"action": Action("View invoice", f"{links.portal}/invoices/{invoice.id}")}


KIND = EmailKind(
    "payment_reversed",
    PaymentReversed,
    attrgetter("payment_id"),
    data_of,
    content,
    delay=timedelta(seconds=10),
    needs_invoices=True,
)
"""Delayed: the copies of its invoices know by then what is due, so that a button can pay it."""
