"""Attempts of payments that failed. A payment's row keeps the newest one alone; all are kept for support. Pure."""

from dataclasses import dataclass
from datetime import datetime

from contracts.events.envelope import Method
from contracts.events.stripe import StripeEvent
from services.chassis.ids import Key
from services.payment.payments.domain import Payment
from services.payment.stripe.observations import observed_by

FAILED = "payment_intent.payment_failed"


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """An attempt of a payment that the bank declined, or that failed there later.

    `name` is the charge that it left, else the event that brought it: the same attempt is kept once.
    """

    payment: Key
    name: str
    charge: str | None
    failed_at: datetime
    code: str | None
    method: Method | None
    observed_by: str


def failed_attempt(before: Payment, after: Payment, seen: StripeEvent) -> FailedAttempt | None:
    """The attempt that an event of a failure is about.

    A failure that comes late changes no payment, and is an attempt still if its charge tells it from others.
    """
    moved = (before.status, before.declines) != (after.status, after.declines)
    if not moved and seen.charge is None:
        return None
    return FailedAttempt(
        payment=after.key,
        name=seen.charge or seen.stripe_event_id,
        charge=seen.charge,
        failed_at=seen.created,
        code=seen.decline_code or seen.failure_code,
        method=seen.method,
        observed_by=observed_by(seen),
    )
