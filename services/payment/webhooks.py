"""The webhook edge: raw bytes in, a verified `stripe.event` on Kafka out. It needs no database.

Every bad input is a 400 with a stable code, since an unsigned request must never make a 500.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import stripe
import structlog
from aiokafka import AIOKafkaProducer
from opentelemetry import metrics
from opentelemetry.trace import SpanKind
from pydantic import ValidationError

from contracts.stripe import StripeEvent
from services.chassis.errors import DomainError, Unavailable
from services.chassis.kafka_security import OPEN, KafkaSecurity
from services.chassis.telemetry import span_from, traceparent_of
from services.payment import observations, stripe_json

log = structlog.get_logger()
_received = metrics.get_meter("clinicpay").create_counter(
    "stripe_webhooks", description="Verified webhooks by what became of them"
)

LARGEST_BODY = 256 * 1024
TOLERANCE_SECONDS = 300
SEND_SECONDS = 8
"""How long Stripe waits on Kafka. It retries what gets a 503."""


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


class EventsUnavailable(Unavailable):
    code = "events_unavailable"


class StripeEvents:
    """The writer of `stripe.event`: one producer, started by its first use, given up after any failure.

    An idempotent producer whose partition was without a leader for too long fails for ever (and so may its `stop`);
    a new one works at once. A send that timed out may have been done: Stripe's retry is then the same event id.
    """

    def __init__(self, bootstrap_servers: str, security: KafkaSecurity = OPEN) -> None:
        self._bootstrap_servers = bootstrap_servers.split(",")
        self._security = security
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._stopping: set[asyncio.Task[None]] = set()

    async def send(self, event: StripeEvent) -> None:
        """Return once all in-sync replicas have the event. Raises `EventsUnavailable`."""
        producer: AIOKafkaProducer | None = None
        try:
            async with asyncio.timeout(SEND_SECONDS):
                producer = await self._started()
                await producer.send_and_wait(event.topic.name, event.encode(), key=str(event.key).encode())
        except Exception as error:
            log.error("stripe_event_not_sent", error=type(error).__name__, event_id=str(event.id))
            self._give_up(producer)
            raise EventsUnavailable("The event could not be kept. Send it again.", retry_after=5) from error

    async def close(self) -> None:
        self._give_up(self._producer)
        if self._stopping:
            await asyncio.wait(self._stopping, timeout=5)

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._bootstrap_servers,
                    client_id="payment-webhooks",
                    acks="all",
                    enable_idempotence=True,
                    request_timeout_ms=5_000,
                    **self._security.options(),
                )
                try:
                    await producer.start()
                except BaseException:
                    self._stop_aside(producer)
                    raise
                self._producer = producer
            return self._producer

    def _give_up(self, producer: AIOKafkaProducer | None) -> None:
        if producer is not None and producer is self._producer:
            self._producer = None
            self._stop_aside(producer)

    def _stop_aside(self, producer: AIOKafkaProducer) -> None:
        """Stop it without waiting: while Kafka is away, stopping can hang."""
        task = asyncio.create_task(_stop(producer))
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)


async def _stop(producer: AIOKafkaProducer) -> None:
    with contextlib.suppress(Exception):
        async with asyncio.timeout(30):
            await producer.stop()


async def take(
    body: bytes, signature: str | None, secrets: Sequence[str], livemode: bool, events: StripeEvents
) -> None:
    """Verify a webhook and publish it, unless it is of the other mode or of a type that nothing acts on.

    Raises `SignatureInvalid`, `WebhookUnreadable`, `WebhookTooLarge`, `EventsUnavailable`.
    """
    if len(body) > LARGEST_BODY:
        raise WebhookTooLarge("A webhook may have 256 KiB.")
    verify(body, signature, secrets)
    snapshot = parse(body)
    outcome = _outcome(snapshot, livemode)
    if outcome == "published":
        await _publish(read(snapshot), events)
    else:
        log.info("webhook_ignored", reason=outcome, event_type=str(snapshot.get("type"))[:80])
    _received.add(1, {"outcome": outcome})


async def _publish(event: StripeEvent, events: StripeEvents) -> None:
    """Go on with the trace that began with the client's click, which our metadata carries."""
    with span_from("stripe.event publish", event.traceparent, kind=SpanKind.PRODUCER) as span:
        await events.send(event.model_copy(update={"traceparent": traceparent_of(span)}))


def _outcome(snapshot: Mapping[str, Any], livemode: bool) -> str:
    if snapshot.get("object") != "event":
        raise WebhookUnreadable("This is no snapshot event.")
    if stripe_json.text_of(snapshot.get("type")) not in observations.ACTED_ON:
        return "ignored_type"
    # A production Connect endpoint gets its accounts' test events too.
    return "published" if snapshot.get("livemode") is livemode else "ignored_mode"


def verify(body: bytes, signature: str | None, secrets: Sequence[str]) -> None:
    """Refuse what none of the secrets signed within five minutes. Raises `SignatureInvalid`."""
    if not any(_signed_by(secret, body, signature) for secret in secrets):
        raise SignatureInvalid("The Stripe-Signature header does not fit the body, or is too old.")
    if _signed_at(signature or "") > time.time() + TOLERANCE_SECONDS:
        raise SignatureFromTheFuture("The Stripe-Signature header is from the future.")


def _signed_by(secret: str, body: bytes, signature: str | None) -> bool:
    try:
        return bool(stripe.WebhookSignature.verify_header(body, signature, secret, TOLERANCE_SECONDS))
    except Exception:  # the SDK raises five kinds on bad input, of which one is its own
        return False


def _signed_at(signature: str) -> int:
    """The header's first `t`, which is the one that the SDK verified."""
    return next(int(part[2:]) for part in signature.split(",") if part.split("=", 2)[0] == "t")


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object of a body. Raises `WebhookUnreadable`."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise WebhookUnreadable("The body is not a JSON object.") from None


def read(snapshot: Mapping[str, Any]) -> StripeEvent:
    """The allow-listed facts of a snapshot event. Raises `WebhookUnreadable`."""
    try:
        return observations.read_event(snapshot)
    except (observations.Unreadable, ValidationError):
        raise WebhookUnreadable("The event lacks what every snapshot event has.") from None
