"""Fetching batches: no empty ones, and a breath after those whose successors are better taken together."""

import asyncio
from typing import Any

import pytest
from aiokafka import TopicPartition

from services.chassis.kafka.adapter import fetching

PARTITION = TopicPartition("payment.settled", 0)


class Fetched:
    """aiokafka's consumer, that answers with sets of so many records, one after the other, and then waits in vain."""

    def __init__(self, *sizes: int) -> None:
        self._sizes = list(sizes)

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[str]]:
        size = self._sizes.pop(0) if self._sizes else 0
        assert size <= max_records
        return {PARTITION: ["record"] * size} if size else {}


async def test_it_waits_through_empty_fetches() -> None:
    consumer: Any = Fetched(0, 0, 0, 2)
    assert len(await fetching.Fetches()(consumer)) == 2


async def test_what_came_while_a_record_waited_to_be_taken_is_taken_with_it() -> None:
    consumer: Any = Fetched(1, 30, 7)
    assert len(await fetching.Fetches()(consumer)) == 31


async def test_no_batch_is_larger_than_the_largest() -> None:
    consumer: Any = Fetched(fetching.LARGEST_BATCH, 1)
    assert len(await fetching.Fetches()(consumer)) == fetching.LARGEST_BATCH


@pytest.mark.parametrize(
    ("size", "gathers"), [(1, False), (3, False), (4, True), (249, True), (250, False), (500, False)]
)
async def test_only_a_middling_batch_is_followed_by_a_breath(
    size: int, gathers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaths = []

    async def breathe(seconds: float) -> None:
        breaths.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", breathe)
    consumer: Any = Fetched(size, 0, 1, 0, 1)
    fetches = fetching.Fetches()

    await fetches(consumer)
    assert not breaths
    await fetches(consumer)
    assert breaths == ([fetching.GATHER_SECONDS] if gathers else [])
    await fetches(consumer)
    assert len(breaths) == gathers, "once a batch"
