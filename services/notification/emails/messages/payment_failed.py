"""The e-mail about a payment that did not go through."""

from datetime import timedelta
from operator import attrgetter
from typing import Any

from contracts.declines import decline
from contracts.events.payment import PaymentFailed
from services.notification.emails.domain import Email, EmailKind, Links
from services.notification.emails.messages.parts import (
    Action,
    ask_clinic,
    formats,
    invoice_name,
    pay_actions,
    payment_data,
    question,
    seller_name,
    sum_in_subject,
)


def content(email: Email, links: Links) -> dict[str, Any]:
    clinic, data = email.clinic, email.delivery.data
    amount = formats(email).money(data.amount)
    retry = clinic.billing_shown and clinic.online_payment
    why = decline(data.failure_code, data.method.kind if data.method else None)
    return {
        "subject": f"Your payment{sum_in_subject(email, 'of', amount)} did not go through",
        "preview": "No money was taken. Here is what you can do next.",
        "lead": f"Your payment to {seller_name(email)} did not go through. No money was taken.",
        "amount": amount,
        "about": ", ".join(invoice_name(email, share.invoice_id) for share in data.invoices),
        "reason": why.reason,
        "next_step": why.advice if retry else ask_clinic(clinic, "To pay"),
        **(_retry_actions(email, links) if retry else {"action": None}),
        "question": question(clinic, "payment"),
    }


def _retry_actions(email: Email, links: Links) -> dict[str, Action | str | None]:
    shares = email.delivery.data.invoices
    invoice = email.invoices.get(shares[0].invoice_id) if len(shares) == 1 else None
    if invoice is None:
        return {"action": Action("View your invoices", f"{links.portal}/billing")}
    return pay_actions(email.clinic, invoice, links, formats(email))


KIND = EmailKind(
    "payment_failed",
    PaymentFailed,
    attrgetter("payment_id"),
    payment_data,
    content,
    delay=timedelta(seconds=20),
    asks_for_money=True,
    newest_only=True,
)
"""Delayed: a client who is still on the page sees the decline and tries again. The e-mail is for one who left."""
