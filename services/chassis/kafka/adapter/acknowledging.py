"""When a finished batch is confirmed to Kafka: in the place of the commit in FastStream's message."""

import asyncio
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from faststream.kafka.message import KafkaAckableMessage
from faststream.message import StreamMessage

from services.chassis.incidents import incidents

ACKNOWLEDGE_SECONDS = 0.5
"""After a crash the events of this period are delivered again, and the inbox finds them claimed."""


class Acknowledgements:
    """The offsets of a subscriber's finished batches, committed twice a second."""

    def __init__(self) -> None:
        self._finished: dict[TopicPartition, int] = {}

    def message(self, records: Sequence[Any], consumer: Any) -> KafkaAckableMessage:
        """The batch as FastStream handles it: not acknowledged until its handler has returned."""
        return _Batch(self, raw_message=records, body=b"", consumer=consumer)

    def note(self, records: Sequence[Any]) -> None:
        """These records are finished."""
        for record in records:
            self._finished[TopicPartition(record.topic, record.partition)] = record.offset + 1

    async def commit(self, consumer: AIOKafkaConsumer | None) -> None:
        """Commit to Kafka what is finished. If that fails, the offsets are kept for the next commit.

        Offsets of a partition that has gone to another process are dropped: it reads these records again.
        """
        if consumer is None or not self._finished:
            return
        assigned = consumer.assignment()
        offsets = {partition: offset for partition, offset in self._finished.items() if partition in assigned}
        self._finished = {}
        try:
            if offsets:
                await consumer.commit(offsets)
                incidents.worked("acknowledgement_delayed")
        except KafkaError as error:
            incidents.failed("acknowledgement_delayed", error=type(error).__name__)
            self._finished = offsets | self._finished

    async def keep_committing(self, subscriber: Any) -> None:
        while True:
            await asyncio.sleep(ACKNOWLEDGE_SECONDS)
            await self.commit(subscriber.consumer)


class _Batch(KafkaAckableMessage):
    """A batch whose acknowledgement notes its own offsets.

    FastStream's own is aiokafka's bare commit: of every partition, as far as the consumer has fetched by then, which
    confirms records that no handler has seen.
    """

    def __init__(self, acknowledgements: Acknowledgements, **message: Any) -> None:
        super().__init__(**message)
        self._acknowledgements = acknowledgements

    async def ack(self) -> None:
        if not self.committed:
            self._acknowledgements.note(self.raw_message)
        await StreamMessage.ack(self)
