"""Gauges of work that waits: in outbox and queue, parked, as exceptions, in Kafka before each consumer group."""

import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import ModuleType

from services.chassis.db.database import Connection
from services.chassis.http.app import Lifespan
from services.chassis.jobs.sampling import Read, Sampler
from services.chassis.kafka import waiting
from services.chassis.kafka.consume import topics_by_group
from services.chassis.kafka.lag import Lag, LagReader
from services.chassis.queue import queue
from services.chassis.settings import KafkaSecurity, ProcessSettings
from services.chassis.telemetry.metrics import Gauge, Values

_outbox = Gauge(
    "clinicpay.outbox.events", "{event}", f"Events that the outbox holds, at most {waiting.MOST_COUNTED}"
)
_outbox_age = Gauge("clinicpay.outbox.age", "s", "Age of the oldest event in the outbox; 0 when it is empty")
_due = Gauge("clinicpay.queue.tasks", "{task}", "Tasks whose time has come, by kind", "kind")
_overdue = Gauge(
    "clinicpay.queue.overdue", "s", "For how long the oldest task that is due has been so", "kind"
)
_parked = Gauge(
    "clinicpay.parked.events", "{event}", "Parked events that wait for a person", "group", "reason"
)
_parked_age = Gauge("clinicpay.parked.age", "s", "Age of the oldest parked event that waits; 0 without any")
_exceptions = Gauge("clinicpay.exceptions", "{exception}", "Exceptions that nobody has settled", "kind")
_exceptions_age = Gauge("clinicpay.exceptions.age", "s", "Age of the oldest open exception", "kind")
_lag = Gauge(
    "clinicpay.consumer.lag",
    "{event}",
    "Events in Kafka that a consumer group has not applied",
    "group",
    "topic",
)
_lag_age = Gauge(
    "clinicpay.consumer.lag.age",
    "s",
    "For how long the oldest of these has waited, seen by this process; 0 without any",
    "group",
    "topic",
)


async def read_outbox(connection: Connection) -> None:
    found = await waiting.outbox(connection)
    _outbox.show({(): found.count})
    _outbox_age.show({(): found.age})


async def read_queue(connection: Connection) -> None:
    depths = await queue.depths(connection)
    _due.show({(each.kind,): each.count for each in depths})
    _overdue.show({(each.kind,): each.oldest.total_seconds() for each in depths})


async def read_parked(connection: Connection) -> None:
    found = await waiting.parked(connection)
    _parked.show({names: each.count for names, each in found.items()})
    _parked_age.show({(): waiting.together(found.values()).age})


async def read_exceptions(connection: Connection) -> None:
    found = await waiting.exceptions(connection)
    _exceptions.show({(kind,): each.count for kind, each in found.items()})
    _exceptions_age.show({(kind,): each.age for kind, each in found.items()})


READS = (
    Read((_outbox, _outbox_age), read_outbox),
    Read((_due, _overdue), read_queue),
    Read((_parked, _parked_age), read_parked),
    Read((_exceptions, _exceptions_age), read_exceptions),
)
"""Of every service's worker."""


def watching_lag(settings: ProcessSettings, consumers: ModuleType) -> list[Lifespan]:
    """The lifespan of a process that shows the lag of a `consumers` module, if somebody asks for its metrics."""
    if not settings.is_measured:
        return []
    groups = topics_by_group(consumers)
    return [LagWatch(settings.kafka_bootstrap_servers, settings.kafka_security, groups).running]


class LagWatch:
    """Shows the lag of consumer groups. It is for a process that lives on when the groups' own worker does not."""

    def __init__(
        self,
        servers: str,
        security: KafkaSecurity,
        groups: Mapping[str, Sequence[str]],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`groups`: the topics that each group reads."""
        self._servers, self._security, self._groups, self._now = servers, security, groups, now
        self._ends: dict[tuple[str, str, int], deque[tuple[float, int]]] = {}
        self._reader: LagReader | None = None

    @asynccontextmanager
    async def running(self, _: object = None) -> AsyncIterator[None]:
        async with Sampler("lag", self._look, (_lag, _lag_age)).running():
            yield
        if self._reader is not None:
            await self._reader.__aexit__()

    async def _look(self) -> None:
        if self._reader is None:
            self._reader = await LagReader(self._servers, self._security, self._groups).__aenter__()
        self.show(await self._reader.lag())

    def show(self, behind: Iterable[Lag]) -> dict[Values, float]:
        """Show the partitions that are behind, and 0 for all that are not. Answers the ages by group and topic."""
        known = self._ends
        self._ends = {}
        waiting: dict[Values, float] = {
            (group, topic): 0.0 for group, topics in self._groups.items() for topic in topics
        }
        ages = dict(waiting)
        for each in behind:
            ends = self._ends[each.group, each.topic, each.partition] = known.get(
                (each.group, each.topic, each.partition), deque()
            )
            waiting[each.group, each.topic] += each.waiting
            ages[each.group, each.topic] = max(ages[each.group, each.topic], self._age(each, ends))
        _lag.show(waiting)
        _lag_age.show(ages)
        return ages

    def _age(self, lag: Lag, ends: deque[tuple[float, int]]) -> float:
        """Since the first look that found the partition's end beyond what is applied now."""
        now = self._now()
        if not ends or ends[-1][1] != lag.end:
            ends.append((now, lag.end))
        while ends[0][1] <= lag.end - lag.waiting:
            ends.popleft()
        return now - ends[0][0]
