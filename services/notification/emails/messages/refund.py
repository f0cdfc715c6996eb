"""The e-mail about money that was given back."""

from operator import attrgetter
from typing import Any

from contracts.events.payment import PaymentRefunded
from contracts.money import Money
from services.notification.emails.domain import Email, EmailData, EmailKind, Links
from services.notification.emails.messages.parts import (
    Action,
    Row,
    formats,
    invoice_name,
    method_of,
    question,
    seller_name,
)


def data_of(event: PaymentRefunded) -> EmailData:
    """With what was credit as its surplus, if only a part was of invoices."""
    credit = event.amount.minor - sum(share.amount.minor for share in event.invoices)
    rest = Money(minor=credit, currency=event.amount.currency) if event.invoices and credit else None
    to_credit = event.destination == "credit"
    return EmailData(
        amount=event.amount,
        at=event.time,
        invoices=event.invoices,
        method=None if to_credit else event.method,
        surplus=rest,
        to_credit=to_credit,
    )


def content(email: Email, links: Links) -> dict[str, Any]:
    clinic, data = email.clinic, email.delivery.data
    write = formats(email)
    amount, on = write.money(data.amount), write.day_of(data.at)
    return {
        **(_credited(email, amount, on) if data.to_credit else _sent(email, amount, on)),
        "amount": amount,
        "rows": _rows(email),
        "action": Action("View your payments", f"{links.portal}/billing") if clinic.billing_shown else None,
        "question": question(clinic, "refund"),
    }


def _sent(email: Email, amount: str, on: str) -> dict[str, Any]:
    data = email.delivery.data
    sent_to = method_of(data.method)
    by_card = data.method is not None and data.method.kind == "card"
    place = "your card" if by_card else "where you paid from"
    seller = seller_name(email)
    shown = "Banks take up to ten days to show it."
    paid_too_much = f"You had paid {seller} more than was open. We sent {amount} back to {place}."
    given_back = f"{seller} gives back {amount} of what you paid. We sent it to {place}."
    return {
        "subject": f"We sent {amount if email.clinic.amounts_in_subjects else 'money'} back to {place}",
        "preview": shown if data.invoices else f"You paid more than was open. {shown}",
        "lead": given_back if data.invoices else paid_too_much,
        "done": "Refunded",
        "sent_words": f"Sent on {on}" + (f" to {sent_to}" if sent_to else ""),
        "note": f"{shown} There is nothing you need to do.",
    }


def _credited(email: Email, amount: str, on: str) -> dict[str, Any]:
    seller = seller_name(email)
    return {
        "subject": f"{amount if email.clinic.amounts_in_subjects else 'Your refund'} is now your credit",
        "preview": f"{seller} keeps it for you.",
        "lead": f"{seller} gives back {amount} of what you paid. It is your credit with the clinic.",
        "done": "Your credit",
        "sent_words": f"Credited on {on}",
        "note": "There is nothing you need to do.",
    }


def _rows(email: Email) -> list[Row]:
    data = email.delivery.data
    write = formats(email)
    rows = [Row(invoice_name(email, share.invoice_id), write.money(share.amount)) for share in data.invoices]
    if data.surplus is not None:
        rows.append(Row("Of your credit with the clinic", write.money(data.surplus)))
    return rows


KIND = EmailKind("refund", PaymentRefunded, attrgetter("refund_id"), data_of, content)
