"""The webhook edge: raw bytes in, a verified `stripe.event` on Kafka out. It needs no database.

Bad input is a 400 with a stable code, since an unsigned request must never make a 500. An event that Stripe signed
is always acknowledged: Stripe disables an endpoint that keeps refusing, and would then send no events at all.
"""

import re
import time
from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Any

import msgspec
import stripe
import structlog
from litestar.exceptions import ClientException, MethodNotAllowedException
from litestar.types import ASGIApp, HTTPResponseBodyEvent, HTTPResponseStartEvent, Receive, Scope, Send
from opentelemetry.trace import SpanKind
from pydantic import ValidationError

from contracts.events.stripe import StripeEvent
from services.chassis.errors import DomainError, Unavailable
from services.chassis.http import problems
from services.chassis.http.heads import check_head
from services.chassis.incidents import incidents
from services.chassis.telemetry import attributes
from services.chassis.telemetry.metrics import Counter
from services.chassis.telemetry.spans import is_late
from services.chassis.telemetry.traces import span_from, traceparent_of
from services.payment.stripe import fields, observations
from services.payment.stripe.events import StripeEvents
from services.payment.stripe.seal import Seal

log = structlog.get_logger()

PATH = "/webhooks/stripe"
LARGEST_BODY = 256 * 1024
TOLERANCE_SECONDS = 300
LARGEST_IN_FLIGHT = 128
"""The most webhooks in one process at once; Stripe is asked to repeat further ones."""


class SignatureInvalid(DomainError):
    code = "stripe_signature_invalid"
    status = 400


class SignatureFromTheFuture(SignatureInvalid):
    code = "stripe_signature_from_the_future"


class WebhookUnreadable(DomainError):
    code = "stripe_event_unreadable"
    status = 400


class WebhookTooLarge(DomainError):
    code = "body_too_large"
    status = 413


_EVENT_ID = re.compile(rb'"id"\s*:\s*"(evt_[A-Za-z0-9_]{1,60})"')


class EdgeBusy(Unavailable):
    code = "webhooks_busy"


class Ignored(StrEnum):
    """Why a signed event is acknowledged and not published."""

    THIN = "ignored_thin"
    """A thin event of Stripe's v2 API, which holds no object: the account has a v2 destination at this address."""
    TYPE = "ignored_type"
    MODE = "ignored_mode"
    SHAPE = "ignored_shape"
    """No snapshot event, or one without the fields of its type. The sweeper asks Stripe instead."""


_received = Counter(
    "clinicpay.stripe.webhook",
    "{webhook}",
    "Webhooks by what became of them",
    "outcome",
    known=[("published",), ("refused",), *((each.value,) for each in Ignored)],
)


class WebhookEdge:
    """An ASGI app that handles Stripe's webhooks, the bulk of all requests, before any framework."""

    def __init__(
        self,
        secrets: Sequence[str],
        livemode: bool,
        events: StripeEvents,
        acted_on: Collection[str],
        seal: Seal | None = None,
    ) -> None:
        """`acted_on`: Stripe's event types to publish."""
        self._secrets, self._livemode, self._events = secrets, livemode, events
        self._acted_on, self._seal = acted_on, seal
        self._in_flight = 0

    def before(self, others: ASGIApp) -> ASGIApp:
        """An app that handles webhooks itself and passes all other requests to `others`."""

        async def either(scope: Scope, receive: Receive, send: Send) -> None:
            await (self if scope["path"] == PATH else others)(scope, receive, send)

        return either

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """200 once Kafka has the event; else a problem."""
        try:
            await self._receive(scope, receive)
        except Exception as error:
            _received.add(1, "refused")
            await problems.answer(error, scope, receive, send)
        else:
            for message in _taken():
                await send(message)

    async def _receive(self, scope: Scope, receive: Receive) -> None:
        """Raises what `receive_webhook` and `check_head` raise, and `EdgeBusy`."""
        if scope.get("method") != "POST":
            raise MethodNotAllowedException(headers={"Allow": "POST"})
        if self._in_flight >= LARGEST_IN_FLIGHT:
            raise EdgeBusy("Too many webhooks at once. Send it again.", retry_after=5)
        check_head(scope["headers"])
        self._in_flight += 1
        try:
            body, signature = await _body(receive), _signature(scope)
            await receive_webhook(
                body, signature, self._secrets, self._livemode, self._events, self._acted_on, self._seal
            )
        finally:
            self._in_flight -= 1


def _taken() -> tuple[HTTPResponseStartEvent, HTTPResponseBodyEvent]:
    """The answer, each time a new one: whatever looks at it on its way may add headers to it."""
    return (
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"application/json"), (b"content-length", b"2")],
        },
        {"type": "http.response.body", "body": b"{}", "more_body": False},
    )


async def _body(receive: Receive) -> bytes:
    """The whole body. Raises `WebhookTooLarge`, and `ClientException` if the client disconnects."""
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientException("The request broke off.")
        parts.append(message["body"])
        size += len(message["body"])
        if size > LARGEST_BODY:
            raise WebhookTooLarge("A webhook may have 256 KiB.")
        more = message["more_body"]
    return b"".join(parts)


def _signature(scope: Scope) -> str | None:
    found = next((value for name, value in scope["headers"] if name == b"stripe-signature"), None)
    return None if found is None else found.decode("latin-1")


async def receive_webhook(
    body: bytes,
    signature: str | None,
    secrets: Sequence[str],
    livemode: bool,
    events: StripeEvents,
    acted_on: Collection[str],
    seal: Seal | None = None,
) -> None:
    """Verify a webhook, publish the event if a consumer acts on it, and count the outcome.

    Raises `SignatureInvalid`, `WebhookUnreadable` for a body that is no JSON, `EventsUnavailable`.
    """
    arrived = time.time_ns()
    verify(body, signature, secrets)
    found = parse(body)
    event = read(found, livemode, acted_on, seal)
    if isinstance(event, StripeEvent):
        await _publish(event, events, arrived)
        _received.add(1, "published")
    else:
        ignored = fields.object_of(found)
        event_type, stripe_event_id = str(ignored.get("type"))[:80], str(ignored.get("id"))[:80]
        level = log.warning if event is Ignored.SHAPE else log.info
        level("webhook_ignored", reason=event.value, event_type=event_type, stripe_event_id=stripe_event_id)
        _received.add(1, event.value)


async def _publish(event: StripeEvent, events: StripeEvents, arrived: int) -> None:
    """Publish the event in the trace of the client's click, which our metadata carries.

    The span is of the webhook's receipt: from its arrival until Kafka has the event.
    """
    with span_from(
        "stripe.event publish", event.traceparent, kind=SpanKind.PRODUCER, start_time=arrived
    ) as span:
        if span.is_recording():
            span.set_attributes(attributes.of_fields(event))
            if is_late(event):
                attributes.keep(attributes.SLOW, span)
        await events.send(event, traceparent_of(span))


def verify(body: bytes, signature: str | None, secrets: Sequence[str]) -> None:
    """Refuse a body that none of the secrets signed within five minutes. Raises `SignatureInvalid`."""
    if not any(_signed_by(secret, body, signature) for secret in secrets):
        incidents.failed("webhook_signature_wrong", stripe_event_id=_claimed_id(body))
        raise SignatureInvalid("The Stripe-Signature header does not fit the body, or is too old.")
    if _signed_at(signature or "") > time.time() + TOLERANCE_SECONDS:
        raise SignatureFromTheFuture("The Stripe-Signature header is from the future.")
    incidents.worked("webhook_signature_wrong")


def _claimed_id(body: bytes) -> str | None:
    """The event's id in a body that nobody vouches for: letters and digits alone."""
    found = _EVENT_ID.search(body)
    return found.group(1).decode() if found else None


def _signed_by(secret: str, body: bytes, signature: str | None) -> bool:
    try:
        return bool(stripe.WebhookSignature.verify_header(body, signature, secret, TOLERANCE_SECONDS))
    except Exception:  # the SDK raises five kinds on bad input, of which one is its own
        return False


def _signed_at(signature: str) -> int:
    """The header's first `t`, which the SDK verified."""
    return next(int(part[2:]) for part in signature.split(",") if part.split("=", 2)[0] == "t")


def parse(body: bytes) -> Any:
    """The JSON value of a body. Raises `WebhookUnreadable`."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise WebhookUnreadable("The body is not JSON.") from None


def read(
    found: Any, livemode: bool, acted_on: Collection[str], seal: Seal | None = None
) -> StripeEvent | Ignored:
    """The allow-listed fields of a snapshot event, or why it is ignored."""
    snapshot = fields.object_of(found)
    if snapshot.get("object") != "event":
        return Ignored.THIN if str(snapshot.get("object")).startswith("v2.") else Ignored.SHAPE
    if fields.text_of(snapshot.get("type")) not in acted_on:
        return Ignored.TYPE
    # A Connect endpoint in production gets its accounts' test events too.
    if isinstance(snapshot.get("livemode"), bool) and snapshot["livemode"] is not livemode:
        return Ignored.MODE
    try:
        return observations.read_event(snapshot, seal)
    except (observations.Unreadable, ValidationError):
        return Ignored.SHAPE
