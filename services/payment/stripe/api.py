"""The calls to Stripe. No database connection is held during any of them.

Every POST carries an idempotency key that was committed before, so after a crash or a lost answer the call can be
repeated. Errors are raised by their meaning: see `answers`.
"""

import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import stripe
import structlog
from opentelemetry.trace import SpanKind
from stripe import StripeClient

from services.chassis.errors import Unavailable
from services.chassis.incidents import incidents
from services.chassis.telemetry.metrics import Seconds
from services.chassis.telemetry.traces import span
from services.payment.stripe import seal
from services.payment.stripe.answers import (
    AccountRefused,
    Answer,
    KeyRefused,
    StripeGone,
    StripeMisconfigured,
    StripeRefused,
    StripeUnavailable,
)
from services.payment.stripe.budget import Budget, CountingClient
from services.payment.stripe.limits import KEY_LIFE, MADE_AFTER, MADE_BEFORE
from services.payment.stripe.params import (
    NewEvidence,
    NewIntent,
    NewRefund,
    call_options,
    evidence_params,
    intent_params,
    refund_params,
)
from services.payment.stripe.seal import Seal

log = structlog.get_logger()
STRIPE = "stripe"
"""Its name among what a process needs."""
_AWAY = "stripe_unreachable"
_called = Seconds(
    "clinicpay.stripe.call.duration",
    "Calls to Stripe with their repetitions, by the meaning of the answer",
    "call",
    "meaning",
)

API_VERSION = "2026-08-26.dahlia"
"""The version whose published OpenAPI document the sandbox and the tests are checked against."""


@dataclass(frozen=True, slots=True)
class Intent:
    """A PaymentIntent: its id and secret for a page, and `body`, Stripe's own JSON object."""

    id: str
    status: str
    client_secret: str | None
    body: Mapping[str, Any]


class StripeApi:
    """A client for one secret key. Close it when done. `signer` may be left out by callers that only read.

    Without a `budget` it sends whatever it is asked to.
    """

    def __init__(
        self,
        secret_key: str,
        api_base: str,
        timeout: float = 20,
        signer: Seal | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.signer = signer
        self.livemode = secret_key.startswith(("sk_live_", "rk_live_"))
        self.budget = budget or Budget(sys.maxsize, sys.maxsize)
        self.http = CountingClient(self.budget, timeout)
        self.sdk = StripeClient(
            secret_key,
            stripe_version=API_VERSION,
            base_addresses={"api": api_base.rstrip("/")},
            http_client=self.http,
            max_network_retries=2,
        )
        self._refused: set[str] = set()

    async def close(self) -> None:
        await self.http.close_async()  # type: ignore[no-untyped-call]

    async def create_customer(self, account: str, metadata: Mapping[str, str], key: str) -> str:
        """The id of a new customer. Opaque ids only: no name, no address."""
        async with self._calling("customers.create", account):
            made = await self.sdk.v1.customers.create_async(
                {"metadata": dict(metadata)}, call_options(account, key)
            )
        return made.id

    async def delete_customer(self, account: str, customer: str) -> None:
        """Delete a customer with its saved methods, for good. No error if Stripe has none of this id any more."""
        with suppress(StripeGone):
            async with self._calling("customers.delete", account):
                # No idempotency key: a deletion may be repeated, and a key would replay an error.
                await self.sdk.v1.customers.delete_async(customer, None, call_options(account))

    async def create_intent(self, wanted: NewIntent, customer: str | None) -> Intent:
        """Make a PaymentIntent, or get the one that an earlier call with its key made."""
        async with self._calling("payment_intents.create", wanted.account):
            made = await self.sdk.v1.payment_intents.create_async(
                intent_params(wanted, customer),  # type: ignore[arg-type]
                call_options(wanted.account, wanted.idempotency_key),
            )
        return _intent(made)

    async def retrieve_intent(self, account: str, intent_id: str) -> Intent:
        """The intent as it is now, with how its newest charge was paid."""
        async with self._calling("payment_intents.retrieve", account):
            found = await self.sdk.v1.payment_intents.retrieve_async(
                intent_id, {"expand": ["latest_charge.balance_transaction"]}, call_options(account)
            )
        return _intent(found)

    async def find_intent(self, wanted: NewIntent) -> Intent | None:
        """The intent when its key may be forgotten: by metadata, among the intents of its time."""
        around = wanted.created_at
        params = _made_within(around - MADE_BEFORE, around + MADE_AFTER)
        async with self._calling("payment_intents.list", wanted.account):
            page = await self.sdk.v1.payment_intents.list_async(
                params,  # type: ignore[arg-type]
                call_options(wanted.account),
            )
            async for found in page.auto_paging_iter():
                intent = _intent(found)
                if seal.is_on(intent.body, wanted.metadata):
                    return intent
        return None

    async def list_intents(self, account: str, since: datetime, until: datetime) -> list[Intent]:
        """The account's intents that were made within that time, ours or not, newest first."""
        async with self._calling("payment_intents.list", account):
            page = await self.sdk.v1.payment_intents.list_async(
                _made_within(since, until),  # type: ignore[arg-type]
                call_options(account),
            )
            return [_intent(found) async for found in page.auto_paging_iter()]

    async def cancel_intent(self, account: str, intent_id: str) -> Intent:
        """Cancel the intent; returns once Stripe has. Raises `StripeMoved` when it is too late."""
        async with self._calling("payment_intents.cancel", account):
            canceled = await self.sdk.v1.payment_intents.cancel_async(
                intent_id,
                {"cancellation_reason": "abandoned"},
                # No idempotency key: a repeated cancel changes nothing, and a key would
                # replay an early refusal when a later cancel could succeed.
                call_options(account),
            )
        return _intent(canceled)

    async def create_setup_intent(
        self, account: str, customer: str, metadata: Mapping[str, str], key: str
    ) -> str:
        """The client secret of a new SetupIntent, with which a page saves a card without paying."""
        params = {
            "customer": customer,
            "payment_method_types": ["card"],
            "usage": "off_session",
            "metadata": dict(metadata),
        }
        async with self._calling("setup_intents.create", account):
            made = await self.sdk.v1.setup_intents.create_async(
                params,  # type: ignore[arg-type]
                call_options(account, key),
            )
        return str(made.client_secret)

    async def detach_method(self, account: str, method_id: str) -> None:
        """Detach a saved method from its customer. No error if it is gone, or we have no access to its account."""
        try:
            async with self._calling("payment_methods.detach", account):
                # No idempotency key, as for a cancel: it may be repeated, and a key would replay an error.
                await self.sdk.v1.payment_methods.detach_async(method_id, None, call_options(account))
        except (StripeRefused, AccountRefused):
            return

    async def retrieve_account(self, account: str) -> dict[str, Any]:
        """The account as Stripe's own JSON object; '' is the platform's own."""
        async with self._calling("account.retrieve", account):
            found = await self.sdk.v1.accounts.retrieve_current_async(None, call_options(account))
        return found.to_dict()

    async def list_methods(self, account: str, customer: str) -> set[str]:
        """The ids of the customer's payment methods."""
        async with self._calling("customers.payment_methods.list", account):
            page = await self.sdk.v1.customers.payment_methods.list_async(
                customer, {"limit": 100}, call_options(account)
            )
            return {found.id async for found in page.auto_paging_iter()}

    async def retrieve_method(self, account: str, method_id: str) -> dict[str, Any]:
        """The payment method as Stripe's own JSON object."""
        async with self._calling("payment_methods.retrieve", account):
            found = await self.sdk.v1.payment_methods.retrieve_async(method_id, None, call_options(account))
        return found.to_dict()

    async def create_refund(self, wanted: NewRefund, *, first: bool = False) -> dict[str, Any]:
        """Make the refund, or get the one that an earlier call with its key made; Stripe's own JSON object.

        The `first` call is one request, so that its refusal proves that nothing was sent.
        """
        options = call_options(wanted.account, key=wanted.idempotency_key)
        if first:
            options["max_network_retries"] = 0
        async with self._calling("refunds.create", wanted.account):
            made = await self.sdk.v1.refunds.create_async(
                refund_params(wanted),  # type: ignore[arg-type]
                options,
            )
        return made.to_dict()

    async def retrieve_refund(self, account: str, refund_id: str) -> dict[str, Any]:
        """The refund as Stripe's own JSON object."""
        async with self._calling("refunds.retrieve", account):
            found = await self.sdk.v1.refunds.retrieve_async(refund_id, None, call_options(account))
        return found.to_dict()

    async def find_refund(self, wanted: NewRefund) -> dict[str, Any] | None:
        """The refund when its key may be forgotten: by metadata, among the refunds of its intent."""
        for body in await self.list_refunds(wanted.account, wanted.intent_id):
            if seal.is_on(body, wanted.metadata):
                return body
        return None

    async def list_refunds(self, account: str, intent_id: str) -> list[dict[str, Any]]:
        """All refunds of an intent, ours or not, as Stripe's own JSON objects."""
        async with self._calling("refunds.list", account):
            page = await self.sdk.v1.refunds.list_async(
                {"payment_intent": intent_id, "limit": 100}, call_options(account)
            )
            return [found.to_dict() async for found in page.auto_paging_iter()]

    async def list_new_refunds(self, account: str, since: datetime) -> AsyncIterator[list[dict[str, Any]]]:
        """The account's refunds that were made since then, ours or not, a page at a time."""
        params: dict[str, Any] = {"limit": 100, "created": {"gte": int(since.timestamp())}}
        while True:
            async with self._calling("refunds.list", account):
                page = await self.sdk.v1.refunds.list_async(params, call_options(account))  # type: ignore[arg-type]
            found = [each.to_dict() for each in page.data]
            if found:
                yield found
            if not page.has_more:
                return
            params["starting_after"] = found[-1]["id"]

    async def retrieve_dispute(self, account: str, dispute_id: str) -> dict[str, Any]:
        """The dispute as Stripe's own JSON object."""
        async with self._calling("disputes.retrieve", account):
            found = await self.sdk.v1.disputes.retrieve_async(dispute_id, None, call_options(account))
        return found.to_dict()

    async def submit_evidence(self, wanted: NewEvidence) -> dict[str, Any]:
        """Submit a dispute's evidence to the bank, once and for good; the dispute as Stripe's own JSON object."""
        async with self._calling("disputes.update", wanted.account):
            made = await self.sdk.v1.disputes.update_async(
                wanted.dispute_id,
                evidence_params(wanted),  # type: ignore[arg-type]
                call_options(wanted.account, key=wanted.idempotency_key),
            )
        return made.to_dict()

    async def list_disputes(self, account: str, since: datetime | None = None) -> list[dict[str, Any]]:
        """The account's disputes, ours or not, that were opened since then, as Stripe's own JSON objects."""
        params: dict[str, Any] = {"limit": 100}
        if since is not None:
            params["created"] = {"gte": int(since.timestamp())}
        async with self._calling("disputes.list", account):
            page = await self.sdk.v1.disputes.list_async(params, call_options(account))  # type: ignore[arg-type]
            return [found.to_dict() async for found in page.auto_paging_iter()]

    async def check(self) -> None:
        """Raise `StripeUnavailable` while Stripe does not answer, or refuses. It is not asked: calls that fail tell."""
        if incidents.is_open(_AWAY):
            raise StripeUnavailable(StripeUnavailable.message)

    @asynccontextmanager
    async def _calling(self, what: str, account: str) -> AsyncIterator[None]:
        """A span around a call; its error is raised by its meaning."""
        began = time.perf_counter()
        with span(f"stripe {what}", kind=SpanKind.CLIENT):
            try:
                yield
            except stripe.StripeError as error:
                named = _named(error, what)
                _called.record(time.perf_counter() - began, what, type(named).__name__)
                self._note_account(account, named)
                # Without the cause: its text, and so the span's and the log's, may quote the request.
                raise named from None
        _called.record(time.perf_counter() - began, what, "success")
        self._note_account(account, None)
        incidents.worked(_AWAY)

    def _note_account(self, account: str, error: Exception | None) -> None:
        """Log once that Stripe refuses an account or our key, and once that it works again, not at each call."""
        if isinstance(error, StripeMisconfigured):
            where = "key" if isinstance(error, KeyRefused) else account
            if where not in self._refused:
                log.error("stripe_refuses_access", account=where or "platform", reason=type(error).__name__)
            self._refused.add(where)
        elif error is None and self._refused & {"key", account}:
            self._refused -= {"key", account}
            log.info("stripe_gives_access_again", account=account or "platform")


def _named(error: stripe.StripeError, what: str) -> StripeRefused | Unavailable:
    """The error by its meaning, logged without Stripe's text."""
    answer = Answer.of(error)
    means = answer.meaning.__name__
    if issubclass(answer.meaning, StripeUnavailable):
        incidents.failed(_AWAY, path=what, reason=means, status=answer.status, request_id=error.request_id)
    else:
        log.info("stripe_error", path=what, reason=means, status=answer.status, stripe_code=answer.code)
    return answer.error()


def _made_within(since: datetime, until: datetime) -> dict[str, Any]:
    """Parameters of a list. Stripe's clock has whole seconds."""
    return {"created": {"gte": int(since.timestamp()), "lte": int(until.timestamp())}, "limit": 100}


def _intent(found: stripe.PaymentIntent) -> Intent:
    return Intent(found.id, found.status, found.client_secret, found.to_dict())


def is_as_wanted(intent: Intent, wanted: NewIntent) -> bool:
    """Whether an intent that an earlier call made charges the wanted sum, and may still be paid.

    An intent that takes or has taken money fits whatever its amount was changed to.
    """
    params = intent_params(wanted, None)
    agreed = intent.body.get("amount") == params["amount"] or intent.status in ("processing", "succeeded")
    same = agreed and intent.body.get("currency") == params["currency"]
    return same and intent.status != "canceled" and intent.body.get("livemode") == wanted.livemode


def key_is_fresh(wanted: NewIntent, now: datetime) -> bool:
    """Whether Stripe surely still knows the intent's idempotency key."""
    return now.astimezone(UTC) - wanted.created_at < KEY_LIFE
