"""FastStream's broker and its subscribers, set up so that nothing is acknowledged before it is committed."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, cast

from aiokafka import AIOKafkaConsumer, TopicPartition
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaAckableMessage
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from services.chassis.kafka.adapter.acknowledging import Acknowledgements
from services.chassis.kafka.adapter.any_headers import read_any_headers
from services.chassis.kafka.adapter.fetching import LARGEST_BATCH, LONGEST_WAIT_MS, Fetches
from services.chassis.kafka.park import Record
from services.chassis.kafka.progress import Progress
from services.chassis.settings import KafkaSecurity, Mechanism

METADATA_MS = 10_000
"""How often topics are asked for, so that rebuilt ones are found soon. aiokafka's default is five minutes."""
_SASL: dict[Mechanism, type[SASLPlaintext] | type[SASLScram256] | type[SASLScram512]] = {
    "PLAIN": SASLPlaintext,
    "SCRAM-SHA-256": SASLScram256,
    "SCRAM-SHA-512": SASLScram512,
}


class UnsafeSubscriber(AssertionError):
    """A subscriber that could lose events. The process must not start."""


class Subscriber(Protocol):
    """A FastStream subscriber as the chassis uses it, with the attributes that `subscribe` adds."""

    consumer: AIOKafkaConsumer | None
    acknowledgements: Acknowledgements
    progress: Progress


def new_broker(bootstrap_servers: str, client_id: str, security: KafkaSecurity) -> KafkaBroker:
    """A broker without subscribers. Not started."""
    read_any_headers()
    return KafkaBroker(
        bootstrap_servers.split(","),
        client_id=client_id,
        security=security_of(security),
        allow_auto_create_topics=False,  # topics are made by `deploy.cli topics`, with their partitions
        metadata_max_age_ms=METADATA_MS,
        graceful_timeout=15.0,
        logger=None,
    )


def security_of(security: KafkaSecurity) -> BaseSecurity | None:
    """The same security in FastStream's own type."""
    context = security.ssl_context() if security.tls else None
    if security.sasl:
        kind = _SASL[security.mechanism]
        return kind(security.username, security.password, ssl_context=context, use_ssl=security.tls)
    return BaseSecurity(ssl_context=context, use_ssl=True) if security.tls else None


def subscribers_of(broker: KafkaBroker) -> Sequence[Subscriber]:
    """A broker's subscribers, each made by `subscribe`."""
    return cast("Sequence[Subscriber]", broker.subscribers)


def subscribe(
    broker: KafkaBroker,
    topics: Sequence[str],
    group: str,
    consume: Callable[[list[Record]], Awaitable[None]],
    *,
    instance_id: str | None = None,
    delay_tolerant: bool = False,
) -> None:
    """Add a batch subscriber. `consume` gets raw records; what it raises makes FastStream seek back to the batch."""
    acknowledgements, progress = Acknowledgements(), Progress(group)

    async def parse(records: Any) -> KafkaAckableMessage:
        # FastStream's own parser decodes headers before any handler, and one bad header skips the whole batch.
        return acknowledgements.message(records, subscriber.consumer)

    async def leave_undecoded(message: KafkaAckableMessage) -> Any:
        return message.raw_message

    async def handle(records: Any) -> None:
        with progress.of({TopicPartition(each.topic, each.partition) for each in records}):
            await consume([_record(each) for each in records])

    subscriber: Any = broker.subscriber(
        *topics,
        batch=True,
        group_id=group,
        group_instance_id=instance_id,
        ack_policy=AckPolicy.NACK_ON_ERROR,  # the default acknowledges first, `ACK` acknowledges failures too
        auto_offset_reset="earliest",  # a new group would begin at the end
        isolation_level="read_committed",
        max_records=LARGEST_BATCH,
        fetch_max_wait_ms=LONGEST_WAIT_MS,
        session_timeout_ms=30_000,
        heartbeat_interval_ms=3_000,
        parser=parse,
        decoder=leave_undecoded,
    )
    subscriber(handle)
    if not hasattr(subscriber, "get_msg"):
        raise TypeError("FastStream's subscriber is another than this was written for")
    subscriber.get_msg = Fetches(delay_tolerant=delay_tolerant)
    subscriber.acknowledgements = acknowledgements
    subscriber.progress = progress


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


def _record(raw: Any) -> Record:
    return Record(raw.topic, raw.partition, raw.offset, raw.key, raw.value, tuple(raw.headers), raw.timestamp)
