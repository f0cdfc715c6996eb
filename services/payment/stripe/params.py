"""The parameters of calls to Stripe. Callers give values of committed rows: a replay must send the same parameters."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import stripe

from contracts.vocabulary import DEBIT_TYPES, NOT_REDIRECT, STRIPE_TYPES, AcceptedMethod
from services.chassis.locale.money import to_stripe
from services.payment.stripe.answers import StripeRefused


@dataclass(frozen=True, slots=True)
class NewIntent:
    """The values of a PaymentIntent. `account` '' is the platform's own; `amount` is in minor units of `currency`."""

    account: str
    livemode: bool
    amount: int
    currency: str
    way: AcceptedMethod
    save: bool
    metadata: Mapping[str, str]
    idempotency_key: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewRefund:
    """The values of a refund of an intent. `account` '' is the platform's own; `amount` is in minor units."""

    account: str
    intent_id: str
    amount: int
    currency: str
    metadata: Mapping[str, str]
    idempotency_key: str
    refund_fee: bool = False
    """Whether its part of the application fee goes back too."""


@dataclass(frozen=True, slots=True)
class NewEvidence:
    """The evidence of a dispute, whole. `account` '' is the platform's own; `texts` are by Stripe's names."""

    account: str
    dispute_id: str
    texts: Mapping[str, str]
    metadata: Mapping[str, str]
    idempotency_key: str


def call_options(account: str, key: str | None = None) -> stripe.RequestOptions:
    options: stripe.RequestOptions = {}
    if account:
        options["stripe_account"] = account
    if key is not None:
        options["idempotency_key"] = key
    return options


def intent_params(wanted: NewIntent, customer: str | None) -> dict[str, Any]:
    params: dict[str, Any] = {
        "amount": _amount(wanted.amount, wanted.currency),
        "currency": wanted.currency.lower(),
        "metadata": dict(wanted.metadata),
    }
    types = STRIPE_TYPES[wanted.way]
    if types is None:
        # The page's form for payment systems leaves these out too: the form and the intent must agree.
        params["automatic_payment_methods"] = {"enabled": True}
        params["excluded_payment_method_types"] = list(NOT_REDIRECT)
    else:
        params["payment_method_types"] = (
            [DEBIT_TYPES[wanted.currency]] if wanted.way == "debit" else list(types)
        )
    if customer is not None:
        params["customer"] = customer
    if wanted.save:
        params["setup_future_usage"] = "off_session"
    return params


def evidence_params(wanted: NewEvidence) -> dict[str, Any]:
    return {"evidence": dict(wanted.texts), "metadata": dict(wanted.metadata), "submit": True}


def refund_params(wanted: NewRefund) -> dict[str, Any]:
    params: dict[str, Any] = {
        "payment_intent": wanted.intent_id,
        "amount": _amount(wanted.amount, wanted.currency),
        "metadata": dict(wanted.metadata),
    }
    if wanted.refund_fee:
        # Stripe refuses it for a charge without a fee.
        params["refund_application_fee"] = True
    return params


def _amount(minor: int, currency: str) -> int:
    """The amount in Stripe's minor units. Raises `StripeRefused` for a part of one, as Stripe would."""
    amount = to_stripe(minor, currency)
    if amount is None:
        raise StripeRefused("The payment system cannot charge this amount.")
    return amount
