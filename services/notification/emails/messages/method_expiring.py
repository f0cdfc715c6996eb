"""The e-mail about a saved card that expires soon."""

from datetime import datetime
from operator import attrgetter
from typing import Any

from contracts.events.payment import PaymentMethodExpiring
from services.chassis.locale.formats import Formats
from services.chassis.queue.domain import Canceled, Waits
from services.notification.emails.domain import Claim, Email, EmailData, EmailKind, Links
from services.notification.emails.messages.parts import Action, formats, method_of, question, seller_name
from services.notification.projections.domain import Clinic


def data_of(event: PaymentMethodExpiring) -> EmailData:
    return EmailData(at=event.time, invoices=(), method=event.method, expires_on=event.expires_on)


def check(claim: Claim, clinic: Clinic, now: datetime) -> Waits | Canceled | None:
    """Refuse one that is too late, or that leads to a page on which nothing can be done; wait for no contact."""
    expires_on = claim.delivery.data.expires_on
    if expires_on is None or Formats.of(clinic).local(now).date() > expires_on:
        return Canceled("card_expired")
    if not clinic.billing_shown or not clinic.online_payment:
        return Canceled("not_payable_online")
    return None if claim.recipient else Canceled("no_contact")


def content(email: Email, links: Links) -> dict[str, Any]:
    clinic, data = email.clinic, email.delivery.data
    assert data.expires_on is not None, "it was checked"
    day = formats(email).day(data.expires_on)
    action = Action("See your saved cards", f"{links.portal}/methods")
    return {
        "subject": f"Your saved card expires on {day}",
        "preview": "Add your new card, or another one.",
        "lead": (
            f"{method_of(data.method)}, which you have saved with {seller_name(email)}, expires on {day}. "
            "After that you cannot pay with it."
        ),
        "note": (
            "If your bank has sent you a new card, add it. Some banks renew saved cards by themselves: "
            "then there is nothing you need to do."
        ),
        "action": action if clinic.billing_shown else None,
        "question": question(clinic, "card"),
    }


KIND = EmailKind(
    "method_expiring", PaymentMethodExpiring, attrgetter("method_id"), data_of, content, check=check
)
