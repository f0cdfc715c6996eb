"""The e-mail about money that was sent back."""

from operator import attrgetter
from typing import Any

from contracts.events.payment import PaymentRefunded
from services.chassis.locale.formats import Formats
from services.notification.emails.domain import Email, EmailData, EmailKind
from services.notification.emails.messages.parts import Action, method_of, one_line, question


def data_of(event: PaymentRefunded) -> EmailData:
    return EmailData(amount=event.amount, at=event.time, invoices=(), method=event.method)


def content(email: Email, portal: str) -> dict[str, Any]:
    clinic, data = email.clinic, email.delivery.data
    formats = Formats.of(clinic)
    amount = formats.money(data.amount)
    sent_on = formats.day_of(data.at)
    sent_to = method_of(data.method)
    by_card = data.method is not None and data.method.kind == "card"
    place = "your card" if by_card else "where you paid from"
    return {
        "subject": f"We sent {amount} back to {place}",
        "preview": "You paid more than was open. Banks take up to ten days to show it.",
        "lead": f"You had paid {one_line(clinic.name)} more than was open. We sent the rest back to {place}.",
        "amount": amount,
        "sent_words": f"Sent on {sent_on}" + (f" to {sent_to}" if sent_to else ""),
        "note": "Banks take up to ten days to show it. There is nothing you need to do.",
        "action": Action("View your payments", f"{portal}/billing") if clinic.billing_shown else None,
        "question": question(clinic, "refund"),
    }


KIND = EmailKind("refund", PaymentRefunded, attrgetter("refund_id"), data_of, content)
