"""A consumer group that does not get on: its worker is not ready, and a consumer that stands still ends its process."""

import asyncio
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, KafkaConnectionError

from services.chassis.kafka import progress
from services.chassis.kafka import subscribing as kafka
from services.chassis.kafka.progress import STUCK_SECONDS, UNREADY_SECONDS, NoProgress, Progress

PARTITION, OTHER = TopicPartition("payment.settled", 0), TopicPartition("payment.settled", 1)
BOTH = {PARTITION, OTHER}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def group(clock: Clock) -> Progress:
    return Progress("invoice", clock)


def ready(group: Progress) -> bool:
    try:
        group.check()
    except NoProgress:
        return False
    return True


def test_a_batch_that_goes_round_for_ever_is_not_ready_and_does_not_end_the_process(
    group: Progress, clock: Clock
) -> None:
    """A new process would meet the same batch. Others of the group that succeed do not hide it."""
    for _ in range(5):
        group.began([PARTITION, OTHER])
        clock.now += STUCK_SECONDS / 4
        group.failed([PARTITION, OTHER])
        group.began([OTHER])
        group.finished([OTHER])
        group.looked(BOTH, set())

    with pytest.raises(NoProgress, match=r"invoice on .*partition=0.* for 150 s: its batches fail"):
        group.check()
    assert group.stuck() is None

    group.finished([PARTITION])
    assert ready(group)


def test_a_batch_that_comes_to_no_end_is_not_ready_and_then_ends_the_process(
    group: Progress, clock: Clock
) -> None:
    group.began([PARTITION])
    clock.now = UNREADY_SECONDS
    assert ready(group) and not group.stuck()
    clock.now = UNREADY_SECONDS + 1
    assert not ready(group) and not group.stuck()
    clock.now = STUCK_SECONDS + 1
    assert group.stuck()


def test_records_that_nobody_fetches_are_not_ready_and_then_end_the_process(
    group: Progress, clock: Clock
) -> None:
    group.looked(BOTH, {PARTITION})
    clock.now = UNREADY_SECONDS + 1
    group.looked(BOTH, {PARTITION, OTHER})
    assert not ready(group) and not group.stuck()
    clock.now = STUCK_SECONDS + 1
    assert "partition=0" in (group.stuck() or "")

    group.finished([PARTITION])
    assert ready(group) and not group.stuck(), "the other waits for a moment only"


@pytest.mark.parametrize("ends", ["unknown", "gone", "fetched"])
def test_what_was_not_known_or_is_another_processes_by_now_is_no_trouble(
    group: Progress, clock: Clock, ends: str
) -> None:
    group.looked(BOTH, {PARTITION})
    clock.now = STUCK_SECONDS + 1
    if ends == "unknown":
        group.unknown()
    else:
        group.looked({OTHER} if ends == "gone" else BOTH, set())

    assert ready(group) and not group.stuck()


def test_a_failed_batch_of_a_partition_that_has_gone_is_no_trouble(group: Progress, clock: Clock) -> None:
    group.began([PARTITION])
    group.failed([PARTITION])
    clock.now = STUCK_SECONDS + 1
    group.looked({OTHER}, set())

    assert ready(group)


class Stuck:
    """aiokafka's consumer when it fetches no more: the topic grows, what the consumer knows of it does not.

    `troubles` are raised first: what a rebalance or a broker that is away raises.
    """

    def __init__(self, *troubles: Exception, caught_up: bool = False) -> None:
        self._troubles, self._end = list(troubles), 3 if caught_up else 1_000_000

    def assignment(self) -> set[TopicPartition]:
        return {PARTITION}

    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, self._end)

    def highwater(self, partition: TopicPartition) -> int:
        return 3

    async def position(self, partition: TopicPartition) -> int:
        if self._troubles:
            raise self._troubles.pop()
        return 3


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(progress, "STUCK_SECONDS", 0.1)
    monkeypatch.setattr(kafka, "LOOK_SECONDS", 0.01)
    yield


async def watched(consumer: Stuck) -> None:
    subscriber = SimpleNamespace(consumer=consumer, progress=Progress("invoice"))
    broker: Any = SimpleNamespace(subscribers=[subscriber])
    async with asyncio.timeout(1):
        await kafka.watch(broker)


@pytest.mark.parametrize(
    "troubles", [(), (IllegalStateError("moved"), AssertionError(), KafkaConnectionError())]
)
async def test_a_consumer_that_fetches_no_more_ends_the_process(
    troubles: tuple[Exception, ...], hurried: None
) -> None:
    with pytest.raises(SystemExit, match="no progress"):
        await watched(Stuck(*troubles))


async def test_a_consumer_that_has_fetched_all_does_not(hurried: None) -> None:
    with pytest.raises(TimeoutError):
        await watched(Stuck(caught_up=True))
