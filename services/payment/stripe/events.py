"""The writer of `stripe.event`: what the webhook edge has verified, kept by Kafka before Stripe gets its 200."""

import asyncio
import contextlib

from aiokafka import AIOKafkaProducer

from contracts.events import topics
from contracts.events.stripe import StripeEvent
from services.chassis.errors import Unavailable
from services.chassis.incidents import incidents
from services.chassis.leaders import check_leaders
from services.chassis.settings import OPEN, KafkaSecurity

SEND_SECONDS = 8
"""How long Stripe waits on Kafka. It retries what gets a 503."""


class EventsUnavailable(Unavailable):
    code = "events_unavailable"


class StripeEvents:
    """One producer, started by its first use, given up after any failure.

    An idempotent producer whose partition was without a leader for too long fails for ever (and so may its `stop`);
    a new one works at once. A send that timed out may have been done: Stripe's retry is then the same event id.
    """

    def __init__(self, bootstrap_servers: str, security: KafkaSecurity = OPEN) -> None:
        self._bootstrap_servers = bootstrap_servers.split(",")
        self._security = security
        self.producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._stopping: set[asyncio.Task[None]] = set()

    async def send(self, event: StripeEvent, traceparent: str | None = None) -> None:
        """Return once all in-sync replicas have the event, sent with this trace. Raises `EventsUnavailable`."""
        producer: AIOKafkaProducer | None = None
        try:
            async with asyncio.timeout(SEND_SECONDS):
                producer = await self._started()
                value = event.encode(traceparent)
                await producer.send_and_wait(event.topic.name, value, key=str(event.key).encode())
            incidents.worked("kafka_unreachable", "stripe.event")
        except Exception as error:
            incidents.failed(
                "kafka_unreachable", "stripe.event", error=type(error).__name__, event_id=str(event.id)
            )
            self._give_up(producer)
            raise EventsUnavailable("The event could not be kept. Send it again.", retry_after=5) from error

    async def check(self) -> None:
        """Raise unless Kafka can take an event."""
        await check_leaders(await self._started(), [topics.STRIPE_EVENT])

    async def close(self) -> None:
        self._give_up(self.producer)
        if self._stopping:
            await asyncio.wait(self._stopping, timeout=5)

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self.producer is None:
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
                self.producer = producer
            return self.producer

    def _give_up(self, producer: AIOKafkaProducer | None) -> None:
        if producer is not None and producer is self.producer:
            self.producer = None
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
