"""Errors of a payment that was tried: as an exception, and as `last_payment_error` keeps them."""

from typing import Any

from deploy.sandbox.cards import DECLINES
from deploy.sandbox.errors import Json, StripeError

AUTHENTICATION_FAILED = (
    "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new PaymentMethod "
    "to attempt to fulfill this PaymentIntent again."
)


def card_error(decline: str, **about: Any) -> StripeError:
    """A decline from DECLINES; `about` are the objects that it names, such as `payment_intent`."""
    known = DECLINES[decline]
    return StripeError(402, "card_error", known.message, code=known.code, decline_code=known.reason, **about)


def authentication_failed(setup: bool, method: Json) -> StripeError:
    kind = "setup" if setup else "payment"
    message = (
        AUTHENTICATION_FAILED.replace("PaymentIntent", "SetupIntent") if setup else AUTHENTICATION_FAILED
    )
    code = f"{kind}_intent_authentication_failure"
    return StripeError(400, "invalid_request_error", message, code=code, payment_method=method)


def delayed_failure(method: Json) -> StripeError:
    message = "The customer's bank account could not be debited."
    return StripeError(
        402, "card_error", message, code="payment_intent_payment_attempt_failed", payment_method=method
    )
