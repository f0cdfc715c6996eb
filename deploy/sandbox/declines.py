"""Errors of a payment that was tried: as an exception, and as `last_payment_error` keeps them."""

from dataclasses import dataclass
from typing import Any

from deploy.sandbox.errors import Json, StripeError
from deploy.sandbox.unsure import Unsure


@dataclass(frozen=True)
class Decline:
    code: str
    reason: str
    """The decline code."""
    message: str
    advice: str | None = "try_again_later"
    param: str | None = None
    outcome: str = "issuer_declined"


_DECLINED = "Your card was declined."
DECLINES = {
    "generic_decline": Decline("card_declined", "generic_decline", _DECLINED),
    "insufficient_funds": Decline("card_declined", "insufficient_funds", "Your card has insufficient funds."),
    "lost_card": Decline("card_declined", "lost_card", _DECLINED, "do_not_try_again"),
    "stolen_card": Decline("card_declined", "stolen_card", _DECLINED, "do_not_try_again"),
    "blocked": Decline("card_declined", "fraudulent", _DECLINED, "do_not_try_again", outcome="blocked"),
    "velocity": Decline(
        "card_declined",
        "card_velocity_exceeded",
        "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
    ),
    "expired_card": Decline(
        "expired_card", "expired_card", "Your card has expired.", "confirm_card_data", "exp_month"
    ),
    "incorrect_cvc": Decline(
        "incorrect_cvc",
        "incorrect_cvc",
        "Your card's security code is incorrect.",
        "confirm_card_data",
        "cvc",
    ),
    "processing_error": Decline(
        "processing_error",
        "processing_error",
        "An error occurred while processing your card. Try again in a little bit.",
    ),
    "authentication_required": Decline(
        "authentication_required",
        "authentication_required",
        "Your card was declined. This transaction requires authentication.",
        None,
    ),
}
_REPEATED = ("expired_card", "incorrect_cvc", "processing_error")
AUTHENTICATION_FAILED = (
    "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new PaymentMethod "
    "to attempt to fulfill this PaymentIntent again."
)
_DEBIT_FAILED = {
    "debit_not_authorized": "The customer has not authorized the debit.",
    "insufficient_funds": "The customer's account has insufficient funds to cover this payment.",
    "account_closed": "The customer's bank account has been closed.",
    "no_account": "The customer's bank account could not be located.",
    "invalid_currency": "The bank was unable to process this payment in its currency.",
}


def card_error(decline: str, unsure: Unsure, **about: Any) -> StripeError:
    """A decline from DECLINES; `about` are the objects that it names, such as `payment_intent`."""
    known = DECLINES[decline]
    repeats = known.code not in _REPEATED or unsure.decline_code_repeats_code
    return StripeError(
        402,
        "card_error",
        known.message,
        code=known.code,
        decline_code=known.reason if repeats else None,
        advice_code=known.advice,
        param=known.param,
        **about,
    )


def authentication_failed(setup: bool, method: Json) -> StripeError:
    kind = "setup" if setup else "payment"
    message = (
        AUTHENTICATION_FAILED.replace("PaymentIntent", "SetupIntent") if setup else AUTHENTICATION_FAILED
    )
    code = f"{kind}_intent_authentication_failure"
    return StripeError(400, "invalid_request_error", message, code=code, payment_method=method)


def delayed_failure(method: Json, reason: str | None = None) -> StripeError:
    message = _DEBIT_FAILED.get(reason or "", "The customer's bank account could not be debited.")
    return StripeError(
        402, "card_error", message, code="payment_intent_payment_attempt_failed", payment_method=method
    )
