"""FastStream, set up so that nothing is acknowledged before it is committed. The only way to subscribe."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaAckableMessage
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512
from stamina.instrumentation import set_on_retry_hooks

from services.chassis.kafka.any_headers import read_any_headers
from services.chassis.kafka.consume import Consumer
from services.chassis.kafka.fetching import LARGEST_BATCH, Acknowledgements, Fetches, fetch_when_all_is_taken
from services.chassis.kafka.park import Record
from services.chassis.kafka.progress import NoProgress, Progress
from services.chassis.kafka.security import LONGEST_WAIT_MS, OPEN, KafkaSecurity, Mechanism

log = structlog.get_logger()
set_on_retry_hooks([])

METADATA_MS = 10_000
"""A consumer whose topics were deleted sees the rebuilt ones by asking: every five minutes, if it is not told."""
LOOK_SECONDS = 10.0
"""Between two looks for what waits in the topics."""
_SASL: dict[Mechanism, type[SASLPlaintext] | type[SASLScram256] | type[SASLScram512]] = {
    "PLAIN": SASLPlaintext,
    "SCRAM-SHA-256": SASLScram256,
    "SCRAM-SHA-512": SASLScram512,
}


class UnsafeSubscriber(AssertionError):
    """A subscriber that could lose events. The process must not start."""


def broker_of(
    bootstrap_servers: str,
    client_id: str,
    consumers: Sequence[Consumer],
    instance_id: str | None = None,
    security: KafkaSecurity = OPEN,
) -> KafkaBroker:
    """A broker with one batch subscriber for each consumer. Not started."""
    read_any_headers()
    broker = KafkaBroker(
        bootstrap_servers.split(","),
        client_id=client_id,
        security=security_of(security),
        allow_auto_create_topics=False,
        metadata_max_age_ms=METADATA_MS,
        graceful_timeout=15.0,
        logger=None,
    )
    for consumer in consumers:
        _subscribe(broker, consumer, instance_id)
    assert_safe(broker)
    return broker


def security_of(security: KafkaSecurity) -> BaseSecurity | None:
    """As FastStream takes it."""
    context = security.ssl_context() if security.tls else None
    if security.sasl:
        kind = _SASL[security.mechanism]
        return kind(security.username, security.password, ssl_context=context, use_ssl=security.tls)
    return BaseSecurity(ssl_context=context, use_ssl=True) if security.tls else None


def assert_safe(broker: KafkaBroker) -> None:
    """Raise `UnsafeSubscriber` unless every subscriber really acknowledges after its handler, and from the start.

    It reads what each subscriber ended up with: a policy set on a broker does not reach a router's subscribers.
    """
    subscribers: Sequence[Any] = broker.subscribers
    for subscriber in subscribers:
        settings: dict[str, Any] = subscriber._connection_args
        wrong = [
            name
            for name, safe in {
                "ack_policy": subscriber.ack_policy is AckPolicy.NACK_ON_ERROR,
                "enable_auto_commit": settings.get("enable_auto_commit") is False,
                "auto_offset_reset": settings.get("auto_offset_reset") == "earliest",
                "group_id": bool(subscriber.group_id),
                "batch": type(subscriber).__name__ == "BatchSubscriber",
            }.items()
            if not safe
        ]
        if wrong:
            raise UnsafeSubscriber(
                f"subscriber of {subscriber.topic_names_for_subscribe}: {', '.join(wrong)}"
            )


@asynccontextmanager
async def running(broker: KafkaBroker) -> AsyncIterator[None]:
    """The broker started, and watched: a consumer that stands still before waiting events ends the process."""
    await broker.start()
    subscribers: Sequence[Any] = broker.subscribers
    for each in subscribers:
        fetch_when_all_is_taken(each.consumer)
    tasks = [asyncio.create_task(_watch(broker))]
    tasks += [asyncio.create_task(each.acknowledgements.keep_committing(each)) for each in subscribers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for each in subscribers:
            await each.acknowledgements.commit(each.consumer)
        await broker.stop()


async def ping(broker: KafkaBroker) -> None:
    """Raise unless every subscriber has partitions and the cluster answers."""
    if not await broker.ping(timeout=2.0):
        raise ConnectionError("Kafka does not answer")
    subscribers: Sequence[Any] = broker.subscribers
    for subscriber in subscribers:
        consumer = subscriber.consumer
        if consumer is None or not consumer.assignment():
            raise ConnectionError("no partitions are assigned yet")


async def check_progress(broker: KafkaBroker) -> None:
    """Raise `NoProgress` unless every group gets on with what waits for it."""
    subscribers: Sequence[Any] = broker.subscribers
    for subscriber in subscribers:
        subscriber.progress.check()


def _subscribe(broker: KafkaBroker, consumer: Consumer, instance_id: str | None) -> None:
    acknowledgements = Acknowledgements()

    async def untouched(records: Any) -> KafkaAckableMessage:
        # FastStream's own parser decodes headers before any handler, and one bad header skips the whole batch.
        return acknowledgements.message(records, subscriber.consumer)

    async def undecoded(message: KafkaAckableMessage) -> Any:
        return message.raw_message

    subscriber: Any = broker.subscriber(
        *consumer.topics,
        batch=True,
        group_id=consumer.group,
        group_instance_id=instance_id,
        ack_policy=AckPolicy.NACK_ON_ERROR,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        max_records=LARGEST_BATCH,
        fetch_max_wait_ms=LONGEST_WAIT_MS,
        session_timeout_ms=30_000,
        heartbeat_interval_ms=3_000,
        parser=untouched,
        decoder=undecoded,
    )

    progress = Progress(consumer.group)

    async def consume(records: Any) -> None:
        with progress.of({TopicPartition(each.topic, each.partition) for each in records}):
            await consumer.consume([_record(each) for each in records])

    subscriber(consume)
    # FastStream's own sleeps after an empty fetch before it looks again, which delays the next event.
    subscriber.get_msg = Fetches(unhurried=consumer.unhurried)
    subscriber.acknowledgements = acknowledgements
    subscriber.progress = progress


def _record(raw: Any) -> Record:
    return Record(raw.topic, raw.partition, raw.offset, raw.key, raw.value, tuple(raw.headers))


async def _watch(broker: KafkaBroker) -> None:
    """aiokafka#1154: a consumer may stand still for good after a broker's restart. A new process starts well."""
    subscribers: Sequence[Any] = broker.subscribers
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        for subscriber in subscribers:
            progress: Progress = subscriber.progress
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await _look(subscriber.consumer, progress)
            except (KafkaError, AssertionError, TimeoutError) as error:
                # A broker is away, or the partition just went to another process.
                log.warning("progress_unknown", error=type(error).__name__)
                progress.unknown()
            _act_on(progress)


async def _look(consumer: Any, progress: Progress) -> None:
    """Note the partitions with records that were not fetched.

    The broker is asked where they end: what the consumer knows of it comes with fetches, which a stuck one makes none.
    """
    assigned = consumer.assignment() if consumer else ()
    ends = await consumer.end_offsets(assigned) if assigned else {}
    progress.looked(assigned, [each for each, end in ends.items() if end > await consumer.position(each)])


def _act_on(progress: Progress) -> None:
    """Log that a group does not get on. SystemExit if a new process may do better."""
    if reason := progress.stuck():
        raise SystemExit(reason)
    try:
        progress.check()
    except NoProgress as trouble:
        log.error("no_progress", group=progress.group, reason=str(trouble))
