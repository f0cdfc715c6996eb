"""Stripe's refusals as faults: the answers that a test asks for by name, shaped as Stripe shapes them."""

from collections.abc import Callable, Mapping
from typing import Literal

from deploy.sandbox.errors import BadParameter, StripeError, invalid, missing, no_permission, no_such_account
from deploy.sandbox.idempotency import in_use, other_parameters
from deploy.sandbox.unsure import DEFAULT

Early = Literal["401", "401_expired", "403_account", "403_permission", "429", "429_lock", "409", "400_key"]
Late = Literal[
    "400",
    "400_customer",
    "400_state",
    "400_refunded",
    "400_disputed",
    "400_small",
    "400_large",
    "402",
    "404",
    "424",
]
KEY = "sk_test_sandbox_key"


def _lock_timeout() -> StripeError:
    message = (
        "This object cannot be accessed right now because another API request or Stripe process is currently "
        "accessing it. If you see this error intermittently, retry the request."
    )
    return StripeError(429, "invalid_request_error", message, code="lock_timeout")


def _no_permission() -> StripeError:
    return no_permission("rk_test_sandbox_key", "acct_1", DEFAULT)


EARLY: Mapping[str, Callable[[], StripeError]] = {
    "401": lambda: StripeError(401, "invalid_request_error", "Invalid API Key provided: sk_test_***_key"),
    "401_expired": lambda: StripeError(
        401, "invalid_request_error", "Expired API Key provided: sk_test_***_key", code="api_key_expired"
    ),
    "403_account": lambda: no_such_account(KEY, "acct_revoked"),
    "403_permission": _no_permission,
    "429": lambda: StripeError(
        429, "invalid_request_error", "Request rate limit exceeded.", code="rate_limit"
    ),
    "429_lock": _lock_timeout,
    "409": lambda: in_use("k"),
    "400_key": lambda: other_parameters("k"),
}
"""Said before anything is looked up under the idempotency key, and never kept under it."""

LATE: Mapping[str, Callable[[], StripeError]] = {
    "400": lambda: BadParameter("Received unknown parameter: surprise", "surprise", "parameter_unknown"),
    "400_customer": lambda: missing("customer", "cus_gone", "customer"),
    "400_state": lambda: invalid(
        "You cannot cancel this PaymentIntent because it has a status of processing.",
        "payment_intent_unexpected_state",
    ),
    "400_refunded": lambda: invalid("Charge ch_1 has already been refunded.", "charge_already_refunded"),
    "400_disputed": lambda: invalid(
        "Charge ch_1 has been charged back; cannot issue a refund.", "charge_disputed"
    ),
    "400_small": lambda: invalid(
        "Amount must convert to at least 50 cents. €0.60 converts to approximately $0.49.",
        "amount_too_small",
        param="amount",
    ),
    "400_large": lambda: invalid(
        "Amount must be no more than the largest amount allowed.", "amount_too_large", param="amount"
    ),
    "402": lambda: StripeError(
        402,
        "card_error",
        "Your card was declined.",
        code="card_declined",
        decline_code="generic_decline",
    ),
    "404": lambda: missing("payment_intent", "pi_gone", "id", 404),
    "424": lambda: StripeError(424, "api_error", "An external dependency of Stripe did not answer."),
}
"""Said by the endpoint instead of its work, and kept under the key, but for a parameter that it does not take."""
