"""Subscribing to topics: the only way for a service. The parts of FastStream are in `adapter`."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from faststream.kafka import KafkaBroker
from stamina.instrumentation import set_on_retry_hooks

from services.chassis.incidents import incidents
from services.chassis.kafka.adapter.fetching import stop_prefetching
from services.chassis.kafka.adapter.subscriber import assert_safe, new_broker, subscribe, subscribers_of
from services.chassis.kafka.consume import Consumer
from services.chassis.kafka.progress import NoProgress, Progress
from services.chassis.settings import OPEN, KafkaSecurity

set_on_retry_hooks([])

LOOK_SECONDS = 10.0
"""Between two looks at which records wait in the topics."""


def broker_of(
    bootstrap_servers: str,
    client_id: str,
    consumers: Sequence[Consumer],
    instance_id: str | None = None,
    security: KafkaSecurity = OPEN,
) -> KafkaBroker:
    """A broker with one batch subscriber for each consumer. Not started."""
    broker = new_broker(bootstrap_servers, client_id, security)
    for consumer in consumers:
        subscribe(
            broker,
            consumer.topics,
            consumer.group,
            consumer.consume,
            instance_id=instance_id,
            delay_tolerant=consumer.delay_tolerant,
        )
    assert_safe(broker)
    return broker


@asynccontextmanager
async def running(broker: KafkaBroker) -> AsyncIterator[None]:
    """The broker started, and watched: a consumer that stands still before waiting events ends the process."""
    await broker.start()
    subscribers = subscribers_of(broker)
    for each in subscribers:
        stop_prefetching(each.consumer)
    tasks = [asyncio.create_task(watch(broker))]
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
    for subscriber in subscribers_of(broker):
        if subscriber.consumer is None or not subscriber.consumer.assignment():
            raise ConnectionError("no partitions are assigned yet")


async def check_progress(broker: KafkaBroker) -> None:
    """Raise `NoProgress` unless every group makes progress with the records that wait for it."""
    for subscriber in subscribers_of(broker):
        subscriber.progress.check()


async def watch(broker: KafkaBroker) -> None:
    """End the process (SystemExit) when a consumer stands still: a new process starts well.

    aiokafka#1154: a consumer may stand still for good after a restart of the broker.
    """
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        for subscriber in subscribers_of(broker):
            progress = subscriber.progress
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await _look(subscriber.consumer, progress)
            except (KafkaError, AssertionError, TimeoutError) as error:
                # A broker is unreachable, or the partition just went to another process.
                incidents.failed("progress_unknown", progress.group, error=type(error).__name__)
                progress.unknown()
            else:
                incidents.worked("progress_unknown", progress.group)
            _act_on(progress)


async def _look(consumer: AIOKafkaConsumer | None, progress: Progress) -> None:
    """Note the partitions with records that were not fetched.

    The broker is asked where they end. A consumer knows that from its fetches, and one that stands still makes none.
    """
    if consumer is None:
        return progress.looked((), ())
    assigned = consumer.assignment()
    ends = await consumer.end_offsets(assigned) if assigned else {}
    waiting = [each for each, end in ends.items() if end > await consumer.position(each)]
    return progress.looked(assigned, waiting)


def _act_on(progress: Progress) -> None:
    """Log that a group makes no progress. SystemExit if a new process may do better."""
    if reason := progress.stuck():
        raise SystemExit(reason)
    try:
        progress.check()
    except NoProgress as trouble:
        incidents.failed("no_progress", progress.group, group=progress.group, reason=str(trouble))
    else:
        incidents.worked("no_progress", progress.group)
