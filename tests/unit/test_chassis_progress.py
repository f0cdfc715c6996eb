"""A consumer that stands still before waiting events ends its process, whatever else happens meanwhile."""

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, KafkaConnectionError

from services.chassis import kafka

PARTITION = TopicPartition("payment.settled", 0)


class Stuck:
    """aiokafka's consumer when it fetches no more: the topic grows, what the consumer knows of it does not.

    `troubles` are raised first: what a rebalance or a broker that is away raises.
    """

    def __init__(self, *troubles: Exception, moving: bool = False) -> None:
        self._troubles, self._moving, self._at = list(troubles), moving, 3

    def assignment(self) -> set[TopicPartition]:
        return {PARTITION}

    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 1_000_000)

    def highwater(self, partition: TopicPartition) -> int:
        return 3

    async def position(self, partition: TopicPartition) -> int:
        if self._troubles:
            raise self._troubles.pop()
        self._at += self._moving
        return self._at


async def watched(consumer: Stuck, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "STUCK_SECONDS", 0.15)
    broker: Any = SimpleNamespace(subscribers=[SimpleNamespace(consumer=consumer)])
    async with asyncio.timeout(1):
        await kafka._watch(broker)


@pytest.mark.parametrize(
    "troubles", [(), (IllegalStateError("moved"), AssertionError(), KafkaConnectionError())]
)
async def test_a_consumer_that_fetches_no_more_ends_the_process(
    troubles: tuple[Exception, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match="no progress"):
        await watched(Stuck(*troubles), monkeypatch)


async def test_a_consumer_that_is_far_behind_and_goes_on_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TimeoutError):
        await watched(Stuck(moving=True), monkeypatch)
