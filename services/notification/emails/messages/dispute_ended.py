"""The e-mail to a clinic when the bank has decided a dispute."""

from operator import attrgetter
from typing import Any

from contracts.events.payment import PaymentDisputed
from services.notification.emails.domain import Email, EmailKind, Links
from services.notification.emails.messages.dispute_opened import FOOTING, data_of, name_of, occasion, rows_of
from services.notification.emails.messages.parts import formats

_WORDS = {
    "won": ("won", "The bank has decided for your clinic.", "The money comes back. Stripe keeps its fee."),
    "lost": (
        "lost",
        "The bank has decided for the client.",
        "The client keeps the money. Invoices are due again only if your clinic's settings say so.",
    ),
}


def is_decided(event: PaymentDisputed) -> bool:
    return event.status in _WORDS


def outcome(event: PaymentDisputed) -> str:
    """A dispute that was lost may be won late: that is told too."""
    return occasion(event, event.status)


def content(email: Email, links: Links) -> dict[str, Any]:
    data = email.delivery.data
    ended, lead, note = _WORDS[data.dispute.status if data.dispute else "lost"]
    amount = formats(email).money(data.amount)
    return {
        "subject": f"The dispute of {amount} is {ended}",
        "preview": note,
        "lead": lead,
        "done": ended.capitalize(),
        "amount": amount,
        "about": name_of(email),
        "rows": rows_of(email),
        "note": note,
        "action": None,
        "question": FOOTING,
    }


KIND = EmailKind(
    "dispute_ended",
    PaymentDisputed,
    attrgetter("dispute_id"),
    data_of,
    content,
    applies=is_decided,
    occasion=outcome,
    began=attrgetter("opened_at"),
    to_clinic=True,
)
