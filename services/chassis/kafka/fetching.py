"""What a subscriber takes from Kafka at a time, and when it says that it is done with it.

Both bound what an event costs when few come: a fetch, a transaction and an acknowledgement each cost the machine as
much as the work on twenty events.
"""

import asyncio
from collections.abc import Sequence
from itertools import chain
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from faststream.kafka.message import KafkaAckableMessage
from faststream.message import StreamMessage

log = structlog.get_logger()

LARGEST_BATCH = 500
LOOK_MS = 1000
MORE_MS = 3
GATHERED = range(4, 250)
GATHER_SECONDS = 0.05
"""After a batch of such a size its successors are let gather: fewer, larger transactions. A lone event never waits, nor
does a backlog, whose batches are larger."""
UNHURRIED = range(1, 250)
UNHURRIED_SECONDS = 0.1
ACKNOWLEDGE_SECONDS = 0.5
"""After a crash the events of so long come again, and are found done."""


class Fetches:
    """Fetches batches, waiting for events without a pause in which they are not seen."""

    def __init__(self, *, unhurried: bool = False) -> None:
        self._gathered = UNHURRIED if unhurried else GATHERED
        self._seconds = UNHURRIED_SECONDS if unhurried else GATHER_SECONDS
        self._last = 0

    async def __call__(self, consumer: AIOKafkaConsumer) -> tuple[Any, ...]:
        """The next batch, of up to `LARGEST_BATCH` records. Raises what aiokafka raises, also when it is stopped."""
        if self._last in self._gathered:
            await asyncio.sleep(self._seconds)
        self._last = 0
        records = await _fetched(consumer, 0, LARGEST_BATCH)
        if records:
            # aiokafka fetches no more while it holds what nobody took: what came since waits at the broker.
            records += await _fetched(consumer, MORE_MS, LARGEST_BATCH - len(records))
        while not records:
            records = await _fetched(consumer, LOOK_MS, LARGEST_BATCH)
        self._last = len(records)
        return records


def fetch_when_all_is_taken(consumer: Any) -> None:
    """Never fetch while the last fetch is not wholly taken. `consumer` is started.

    After a tenth of a second aiokafka would ask for all other partitions, and while the broker keeps that request, no
    more of a partition that is behind would come: 500 events a second at most, or none for as long as a fetch waits.
    """
    fetcher = consumer._fetcher
    if not isinstance(fetcher._prefetch_backoff, float):
        raise TypeError("aiokafka's fetcher is another than this was written for")
    fetcher._prefetch_backoff = 3600.0


async def _fetched(consumer: AIOKafkaConsumer, wait_ms: int, most: int) -> tuple[Any, ...]:
    if not most:
        return ()
    found = await consumer.getmany(timeout_ms=wait_ms, max_records=most)
    return tuple(chain.from_iterable(found.values()))


class Acknowledgements:
    """The offsets of a subscriber's finished batches, committed twice a second."""

    def __init__(self) -> None:
        self._finished: dict[TopicPartition, int] = {}

    def message(self, records: Sequence[Any], consumer: Any) -> KafkaAckableMessage:
        """The batch as FastStream handles it: not acknowledged until its handler has returned."""
        return _Batch(self, raw_message=records, body=b"", consumer=consumer)

    def note(self, records: Sequence[Any]) -> None:
        for record in records:
            self._finished[TopicPartition(record.topic, record.partition)] = record.offset + 1

    async def commit(self, consumer: AIOKafkaConsumer | None) -> None:
        """Tell Kafka. What it does not take now is told again, unless the partition has gone to another process."""
        if consumer is None or not self._finished:
            return
        assigned = consumer.assignment()
        told = {partition: offset for partition, offset in self._finished.items() if partition in assigned}
        self._finished = {}
        try:
            if told:
                await consumer.commit(told)
        except KafkaError as error:
            log.warning("acknowledgement_delayed", error=type(error).__name__)
            self._finished = told | self._finished

    async def keep_committing(self, subscriber: Any) -> None:
        while True:
            await asyncio.sleep(ACKNOWLEDGE_SECONDS)
            await self.commit(subscriber.consumer)


class _Batch(KafkaAckableMessage):
    def __init__(self, acknowledgements: Acknowledgements, **message: Any) -> None:
        super().__init__(**message)
        self._acknowledgements = acknowledgements

    async def ack(self) -> None:
        # Not the library's own, which commits at once whatever the consumer has fetched by now.
        if not self.committed:
            self._acknowledgements.note(self.raw_message)
        await StreamMessage.ack(self)
