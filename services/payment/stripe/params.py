"""What the calls to Stripe send, made from committed rows alone."""

from typing import Any

import stripe

from services.chassis.locale.money import to_stripe
from services.payment.payments.domain import Payment
from services.payment.refunds.domain import Refund
from services.payment.stripe import seal
from services.payment.stripe.answers import StripeRefused


def call_options(account: str, key: str | None = None) -> stripe.RequestOptions:
    options: stripe.RequestOptions = {}
    if account:
        options["stripe_account"] = account
    if key is not None:
        options["idempotency_key"] = key
    return options


def intent_params(payment: Payment, customer: str | None) -> dict[str, Any]:
    """Made from the committed row alone: a replay with the same key must send the very same."""
    params: dict[str, Any] = {
        "amount": _amount(payment.amount, payment.currency),
        "currency": payment.currency.lower(),
        "metadata": seal.of_payment(payment),
    }
    if payment.kind == "redirect":
        # The page's form for payment systems leaves cards out too, and Stripe wants both to say the same.
        params["automatic_payment_methods"] = {"enabled": True}
        params["excluded_payment_method_types"] = ["card"]
    else:
        params["payment_method_types"] = ["card"]
    if customer is not None:
        params["customer"] = customer
    if payment.save:
        params["setup_future_usage"] = "off_session"
    return params


def refund_params(refund: Refund) -> dict[str, Any]:
    """Made from the committed row alone, as an intent's."""
    return {
        "payment_intent": refund.intent_id,
        "amount": _amount(refund.amount, refund.currency),
        "metadata": seal.of_refund(refund),
    }


def _amount(minor: int, currency: str) -> int:
    """The amount as Stripe counts it. Raises `StripeRefused` for a part of its smallest unit, as Stripe would."""
    amount = to_stripe(minor, currency)
    if amount is None:
        raise StripeRefused("The payment system cannot charge this amount.")
    return amount
