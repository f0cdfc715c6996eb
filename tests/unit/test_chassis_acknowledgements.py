"""Offsets of finished batches: told later, and only of what this process still has."""

from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError

from services.chassis.kafka.adapter.acknowledging import Acknowledgements

MINE, MOVED = TopicPartition("payment.settled", 0), TopicPartition("payment.settled", 1)


class Group:
    """aiokafka's consumer as far as committing goes. Refuses while it is `away`."""

    def __init__(self) -> None:
        self.acknowledged: list[dict[TopicPartition, int]] = []
        self.away = False

    def assignment(self) -> set[TopicPartition]:
        return {MINE}

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        if self.away:
            raise CommitFailedError
        self.acknowledged.append(offsets)


def record(partition: TopicPartition, offset: int) -> Any:
    return SimpleNamespace(topic=partition.topic, partition=partition.partition, offset=offset)


async def finished(acknowledgements: Acknowledgements, group: Any, *records: Any) -> None:
    await acknowledgements.message(records, group).ack()


async def test_finished_batches_are_told_together_and_once() -> None:
    acknowledgements, group = Acknowledgements(), Group()
    consumer: Any = group
    await finished(acknowledgements, consumer, record(MINE, 4), record(MINE, 5))
    await finished(acknowledgements, consumer, record(MINE, 6), record(MOVED, 9))
    assert group.acknowledged == [], "an acknowledgement waits for the next round"

    await acknowledgements.commit(consumer)
    await acknowledgements.commit(consumer)
    assert group.acknowledged == [{MINE: 7}], "the other partition is somebody else's by now"


async def test_what_kafka_did_not_take_is_told_again() -> None:
    acknowledgements, group = Acknowledgements(), Group()
    consumer: Any = group
    group.away = True
    await finished(acknowledgements, consumer, record(MINE, 4))
    await acknowledgements.commit(consumer)
    await finished(acknowledgements, consumer, record(MINE, 5))
    group.away = False
    await acknowledgements.commit(consumer)
    assert group.acknowledged == [{MINE: 6}]


async def test_a_batch_that_is_not_acknowledged_is_not_told() -> None:
    acknowledgements, group = Acknowledgements(), Group()
    consumer: Any = group
    acknowledgements.message([record(MINE, 4)], consumer)
    await acknowledgements.commit(consumer)
    assert group.acknowledged == []
