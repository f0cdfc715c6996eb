"""Limits that Stripe sets, known here without asking it."""

from datetime import UTC, datetime, timedelta
from typing import ClassVar

from services.chassis.errors import DomainError


class AmountTooSmall(DomainError):
    """Less than can be charged online; `minimum` says what can, if that is known."""

    code = "amount_too_small"
    status = 422
    message: ClassVar[str] = "This is less than can be paid online. Please contact the clinic."


class AmountTooLarge(DomainError):
    """More than this way of paying takes; `maximum` says what it takes, if that is known."""

    code = "amount_too_large"
    status = 422
    message: ClassVar[str] = (
        "This is more than can be paid at once in this way. Please choose another, or contact the clinic."
    )


NEVER = datetime.fromtimestamp(0, UTC)
"""Earlier than any event of Stripe: the time of details that no event has brought."""
KEY_LIFE = timedelta(hours=23)
"""Stripe may forget an idempotency key after a day: beyond this a call is not sent again, its object is looked for."""
MADE_BEFORE, MADE_AFTER = timedelta(minutes=10), KEY_LIFE + timedelta(hours=2)
"""An intent is made within this time of its payment's id: later its idempotency key is not sent any more."""
