"""Fetching batches: no empty ones, and a breath after those whose successors are better taken together."""

import asyncio
from typing import Any

import pytest
from aiokafka import TopicPartition

from services.chassis import kafka

PARTITION = TopicPartition("payment.settled", 0)


class Fetched:
    """aiokafka's consumer, that answers with sets of so many records, one after the other."""

    def __init__(self, *sizes: int) -> None:
        self._sizes = list(sizes)

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[str]]:
        size = self._sizes.pop(0)
        assert size <= max_records
        return {PARTITION: ["record"] * size} if size else {}


async def test_it_waits_through_empty_fetches() -> None:
    consumer: Any = Fetched(0, 0, 2)
    assert len(await kafka.Fetches()(consumer)) == 2


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
    consumer: Any = Fetched(size, 1, 1)
    fetches = kafka.Fetches()

    await fetches(consumer)
    assert not breaths
    await fetches(consumer)
    assert breaths == ([kafka.GATHER_SECONDS] if gathers else [])
    await fetches(consumer)
    assert len(breaths) == gathers, "once a batch"
