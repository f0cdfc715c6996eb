"""The calls to Stripe. No database connection is held during any of them.

Every POST carries an idempotency key that was committed before, so that a crash or a lost answer is healed by asking
again. Errors come out named: what Stripe refused for good, what may be asked again, and what nobody knows yet.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import stripe
from opentelemetry.trace import SpanKind
from stripe import StripeClient

from services.chassis.errors import DomainError, Unavailable
from services.chassis.money import to_stripe
from services.chassis.telemetry import tracer
from services.payment import seal
from services.payment.domain import Customer, Payment, SavedMethod
from services.payment.refunds import Refund
from services.payment.seal import Seal

API_VERSION = "2026-08-26.dahlia"
"""The version whose published OpenAPI document the sandbox and the tests are held against."""
KEY_LIFE = timedelta(hours=23)
"""Stripe may forget an idempotency key after a day: beyond this nothing is replayed, it is looked up."""


class StripeRefused(DomainError):
    """Stripe refused for good: nothing was made, and the same call will be refused again."""

    code = "stripe_refused"
    status = 502


class IntentMoved(StripeRefused):
    """The PaymentIntent is past the state that the call needs: it has succeeded, or is being processed."""

    code = "payment_in_progress"
    status = 409


class StripeBusy(Unavailable):
    """Too many calls at once, or the same call is still running. Nothing was done by this one."""

    code = "stripe_busy"


class StripeMisconfigured(Unavailable):
    """Stripe does not accept the key or the account. Nothing was done."""

    code = "stripe_misconfigured"


class StripeUnavailable(Unavailable):
    """No answer, or an error of Stripe's own: whether it was done is unknown until it is asked again."""

    code = "stripe_unavailable"


class StripeFailed(StripeUnavailable):
    """Stripe answered with an error of its own, which it keeps under the call's key and says again for a day."""


@dataclass(frozen=True, slots=True)
class Intent:
    """A PaymentIntent: what a page needs of it, and `body`, Stripe's own JSON object."""

    id: str
    status: str
    client_secret: str | None
    body: Mapping[str, Any]


class StripeApi:
    """A client for one secret key. Close it when done. What only reads needs no `signer`."""

    def __init__(
        self, secret_key: str, api_base: str, timeout: float = 20, signer: Seal | None = None
    ) -> None:
        self.signer = signer
        self.livemode = secret_key.startswith(("sk_live_", "rk_live_"))
        self._http = stripe.HTTPXClient(timeout=timeout)
        self._stripe = StripeClient(
            secret_key,
            stripe_version=API_VERSION,
            base_addresses={"api": api_base.rstrip("/")},
            http_client=self._http,
            max_network_retries=2,
        )

    async def close(self) -> None:
        await self._http.close_async()  # type: ignore[no-untyped-call]

    async def create_customer(self, customer: Customer) -> str:
        """The id of the client's customer. Opaque ids only: no name, no address."""
        params = {
            "metadata": {"clinic_id": str(customer.clinic_id), "client_id": str(customer.client_id)},
        }
        async with _calling("customers.create"):
            made = await self._stripe.v1.customers.create_async(
                params,  # type: ignore[arg-type]
                _options(customer.account, customer.idempotency_key),
            )
        return made.id

    async def create_intent(self, payment: Payment, customer: str | None) -> Intent:
        """Make the payment's PaymentIntent, or get the one that an earlier call with its key made."""
        async with _calling("payment_intents.create"):
            made = await self._stripe.v1.payment_intents.create_async(
                _intent_params(payment, customer),  # type: ignore[arg-type]
                _options(payment.account, payment.idempotency_key),
            )
        return _intent(made)

    async def retrieve_intent(self, account: str, intent_id: str) -> Intent:
        """The intent as it is now, with how its newest charge was paid."""
        async with _calling("payment_intents.retrieve"):
            found = await self._stripe.v1.payment_intents.retrieve_async(
                intent_id, {"expand": ["latest_charge"]}, _options(account)
            )
        return _intent(found)

    async def find_intent(self, payment: Payment) -> Intent | None:
        """The payment's intent when its key may be forgotten: by metadata, among those of its time."""
        around = payment.created_at
        params = {
            "created": {
                "gte": int((around - timedelta(minutes=10)).timestamp()),
                "lte": int((around + KEY_LIFE + timedelta(hours=2)).timestamp()),
            },
            "limit": 100,
        }
        async with _calling("payment_intents.list"):
            page = await self._stripe.v1.payment_intents.list_async(
                params,  # type: ignore[arg-type]
                _options(payment.account),
            )
            async for found in page.auto_paging_iter():
                intent = _intent(found)
                if seal.is_on(intent.body, seal.of_payment(payment)):
                    return intent
        return None

    async def cancel_intent(self, payment: Payment) -> Intent:
        """Cancel the intent; answers once Stripe has. Raises `IntentMoved` when it is too late for that."""
        assert payment.intent_id is not None
        async with _calling("payment_intents.cancel"):
            canceled = await self._stripe.v1.payment_intents.cancel_async(
                payment.intent_id,
                {"cancellation_reason": "abandoned"},
                # No key of ours: a cancel is the same however often it is done, and a stored key would
                # replay an early refusal when it could be canceled later.
                _options(payment.account),
            )
        return _intent(canceled)

    async def create_setup_intent(self, customer: Customer, stripe_id: str, key: str) -> str:
        """The client secret of a new SetupIntent, with which a page keeps a card without paying."""
        params = {
            "customer": stripe_id,
            "payment_method_types": ["card"],
            "usage": "off_session",
            "metadata": {"clinic_id": str(customer.clinic_id), "client_id": str(customer.client_id)},
        }
        async with _calling("setup_intents.create"):
            made = await self._stripe.v1.setup_intents.create_async(
                params,  # type: ignore[arg-type]
                _options(customer.account, key),
            )
        return str(made.client_secret)

    async def detach_method(self, method: SavedMethod) -> None:
        """Take a saved method from its customer. One that is gone already is fine."""
        try:
            async with _calling("payment_methods.detach"):
                await self._stripe.v1.payment_methods.detach_async(
                    method.stripe_id, None, _options(method.account, f"detach-{method.id}")
                )
        except StripeRefused:
            return

    async def retrieve_method(self, method: SavedMethod) -> dict[str, Any]:
        """The payment method as Stripe's own JSON object."""
        async with _calling("payment_methods.retrieve"):
            found = await self._stripe.v1.payment_methods.retrieve_async(
                method.stripe_id, None, _options(method.account)
            )
        return found.to_dict()

    async def create_refund(self, refund: Refund) -> dict[str, Any]:
        """Send the refund back, or get the one that an earlier call with its key made; Stripe's own JSON object."""
        async with _calling("refunds.create"):
            made = await self._stripe.v1.refunds.create_async(
                _refund_params(refund),  # type: ignore[arg-type]
                _options(refund.account, refund.idempotency_key),
            )
        return made.to_dict()

    async def retrieve_refund(self, refund: Refund) -> dict[str, Any]:
        """The refund as Stripe's own JSON object."""
        assert refund.stripe_refund_id is not None
        async with _calling("refunds.retrieve"):
            found = await self._stripe.v1.refunds.retrieve_async(
                refund.stripe_refund_id, None, _options(refund.account)
            )
        return found.to_dict()

    async def find_refund(self, refund: Refund) -> dict[str, Any] | None:
        """What an earlier call made, when its key may be forgotten: by metadata, among the payment's refunds."""
        async with _calling("refunds.list"):
            page = await self._stripe.v1.refunds.list_async(
                {"payment_intent": refund.intent_id, "limit": 100}, _options(refund.account)
            )
            async for found in page.auto_paging_iter():
                body = found.to_dict()
                if seal.is_on(body, seal.of_refund(refund)):
                    return body
        return None


def _options(account: str, key: str | None = None) -> stripe.RequestOptions:
    options: stripe.RequestOptions = {}
    if account:
        options["stripe_account"] = account
    if key is not None:
        options["idempotency_key"] = key
    return options


def _intent_params(payment: Payment, customer: str | None) -> dict[str, Any]:
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


def _refund_params(refund: Refund) -> dict[str, Any]:
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


def _intent(found: stripe.PaymentIntent) -> Intent:
    return Intent(found.id, found.status, found.client_secret, found.to_dict())


@asynccontextmanager
async def _calling(what: str) -> AsyncIterator[None]:
    """A span around a call, and its error by our name."""
    with tracer.start_as_current_span(f"stripe {what}", kind=SpanKind.CLIENT):
        try:
            yield
        except stripe.StripeError as error:
            # Without the cause: its text, and so the span's and the log's, may quote what was sent.
            raise _named(error) from None


def _named(error: stripe.StripeError) -> DomainError:
    """Nothing of Stripe's own text goes on: it may quote what was sent."""
    if isinstance(error, stripe.RateLimitError) or error.http_status in (409, 429):
        return StripeBusy("The payment system is busy. Please try again in a moment.", retry_after=2)
    if isinstance(error, (stripe.AuthenticationError, stripe.PermissionError)):
        return StripeMisconfigured("The clinic's online payment is not set up correctly.", retry_after=60)
    if error.code == "payment_intent_unexpected_state":
        return IntentMoved("A payment for this invoice has already gone through or is on its way.")
    if isinstance(error, (stripe.InvalidRequestError, stripe.CardError, stripe.IdempotencyError)):
        return StripeRefused("The payment system refused this payment.", stripe_code=error.code)
    failed = StripeFailed if (error.http_status or 0) >= 500 else StripeUnavailable
    return failed("The payment system does not answer. You have not been charged twice.", retry_after=5)


def key_is_fresh(payment: Payment, now: datetime) -> bool:
    """Whether Stripe surely still knows the payment's idempotency key."""
    return now.astimezone(UTC) - payment.created_at < KEY_LIFE
