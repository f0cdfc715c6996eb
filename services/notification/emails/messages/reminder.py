"""The reminder of an unpaid invoice, before or after its due date."""

from datetime import datetime
from typing import Any

from contracts.vocabulary import is_payable
from services.chassis.locale.formats import Formats
from services.chassis.queue.domain import Canceled, Waits
from services.notification.emails import calendar
from services.notification.emails.domain import Claim, Email, Links, TimedKind
from services.notification.emails.messages.parts import (
    formats,
    invoice_number,
    is_payable_online,
    pay_actions,
    question,
    seller_name,
    sum_in_subject,
)
from services.notification.projections.domain import Clinic


def check(claim: Claim, clinic: Clinic, now: datetime) -> Waits | Canceled | None:
    """Refuse a reminder of what is not to be paid, cannot be paid, or whose day was too long ago; wait for the morning.

    A reminder whose day is over, or not in the plan any more, is dropped: the invoice's next one comes by itself.
    """
    local = Formats.of(clinic).local(now)
    invoice = claim.invoices.get(claim.delivery.subject_id)
    if invoice is None or not is_payable(invoice.status):
        return Canceled("nothing_to_pay")
    if invoice.disputed:
        return Canceled("disputed")
    if not clinic.billing_shown or not is_payable_online(clinic, invoice):
        return Canceled("not_payable_online")
    if calendar.reached(clinic.reminders, invoice.due_on, local.date()) != claim.delivery.data.plan_day:
        return Canceled("day_is_over")
    pause = calendar.until_civil(local)
    return Waits("civil_hour", pause) if pause else None


def content(email: Email, links: Links) -> dict[str, Any]:
    clinic = email.clinic
    invoice = email.invoices[email.delivery.subject_id]
    write, number = formats(email), invoice_number(invoice)
    amount, due_on = write.money(invoice.due), write.day(invoice.due_on)
    late = Formats.of(clinic).local(links.site.now).date() > invoice.due_on
    about = f"invoice {number}{sum_in_subject(email, 'over', amount)}"
    return {
        "subject": f"Reminder: {about} {'was' if late else 'is'} due on {due_on}",
        "preview": f"{amount} is still to be paid.",
        "lead": (
            f"Invoice {number} from {seller_name(email)} was due on {due_on}, and is not paid yet."
            if late
            else f"Invoice {number} from {seller_name(email)} is due on {due_on}."
        ),
        "amount": amount,
        "due_words": f"Due by {due_on}",
        **pay_actions(clinic, invoice, links, write),
        "note": "If you have paid in the last days, there is nothing you need to do.",
        "question": question(clinic, "invoice"),
    }


KIND = TimedKind("reminder", content, check)
