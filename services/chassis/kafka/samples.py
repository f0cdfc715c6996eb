"""Gauges of work that waits: in outbox and queue, parked, as exceptions, in Kafka before each consumer group."""

import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import ModuleType

from services.chassis.db.database import Connection
from services.chassis.http.app import Lifespan
from services.chassis.jobs.sampling import Read, Sampler
from services.chassis.kafka.consume import topics_by_group
from services.chassis.kafka.lag import Lag, LagReader
from services.chassis.queue import queue
from services.chassis.settings import KafkaSecurity, ProcessSettings
from services.chassis.telemetry.metrics import Gauge, Values

MOST_COUNTED = 100_000
"""Rows of the outbox that are counted: a reading has a bound, and beyond this the age says more."""

_outbox = Gauge("clinicpay.outbox.events", "{event}", f"Events that the outbox holds, at most {MOST_COUNTED}")
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
    row = await connection.fetchrow(
        """
        SELECT count(*) AS events, coalesce(extract(epoch FROM now() - min(created_at)), 0) AS age
        FROM (SELECT created_at FROM outbox ORDER BY seq LIMIT $1) AS oldest
        """,
        MOST_COUNTED,
    )
    assert row is not None
    _outbox.show({(): row["events"]})
    _outbox_age.show({(): float(row["age"])})


async def read_queue(connection: Connection) -> None:
    depths = await queue.depths(connection)
    _due.show({(each.kind,): each.count for each in depths})
    _overdue.show({(each.kind,): each.oldest.total_seconds() for each in depths})


async def read_parked(connection: Connection) -> None:
    rows = await connection.fetch(
        """
        SELECT consumer, reason, count(*) AS events, extract(epoch FROM now() - min(parked_at)) AS age
        FROM parked WHERE state = 'waiting' GROUP BY consumer, reason
        """
    )
    _parked.show({(row["consumer"], row["reason"]): row["events"] for row in rows})
    _parked_age.show({(): max((float(row["age"]) for row in rows), default=0.0)})


async def read_exceptions(connection: Connection) -> None:
    rows = await connection.fetch(
        """
        SELECT kind, count(*) AS exceptions, extract(epoch FROM app_now() - min(created_at)) AS age
        FROM exceptions WHERE settled_at IS NULL GROUP BY kind
        """
    )
    _exceptions.show({(row["kind"],): row["exceptions"] for row in rows})
    _exceptions_age.show({(row["kind"],): float(row["age"]) for row in rows})


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
