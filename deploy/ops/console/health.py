"""The state of all parts: what answers, what waits, since when."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx2
import msgspec

from deploy.ops.console.jobs import Jobs
from deploy.ops.console.jobs import look as look_at_jobs
from deploy.ops.console.sources import Sources
from deploy.ops.consumers import topics_of_groups
from deploy.ops.database import UNREACHABLE
from deploy.ops.workers import WORKED
from services.chassis import clock
from services.chassis.db.database import Connection, Database
from services.chassis.kafka import waiting
from services.chassis.kafka.lag import KafkaUnreachable
from services.chassis.queue import queue

ANSWERS_WITHIN = 5
"""Seconds: a page that says what does not answer must itself come soon."""
_DEGRADED = "degraded: "
_OF_GATEWAY = ("database", "live", "clocks")
"""The gateway's own checks, beside other processes."""
FRESH, SHOWN = timedelta(seconds=2), timedelta(seconds=20)
"""How old what is shown may be with no new look, and while one is under way."""
LATE = 300.0
"""Seconds after which work that waits is a fault: within them a worker that was restarted has caught up."""
WEBHOOKS_MISSED_WITHIN = 3_600.0
WEBHOOKS_MISSED = (
    "They are booked, since Stripe was asked, but late. “clinicpay stripe check” says whether Stripe's endpoint is "
    "right, Stripe's dashboard which deliveries fail; with many events to read, payment.worker is behind."
)
NEVER = math.inf
"""Of work for a clinic's staff, and of what has ended: neither is a fault of the installation."""


@dataclass(frozen=True, slots=True)
class Part:
    """A process, or what it needs, and its state: `ok`, or a word such as `away`, or `degraded: WHAT`."""

    name: str
    state: str

    @property
    def lacks(self) -> set[str]:
        """The things that a degraded part goes without."""
        return (
            set(self.state.removeprefix(_DEGRADED).split(", ")) if self.state.startswith(_DEGRADED) else set()
        )


@dataclass(frozen=True, slots=True)
class Pile:
    """Work of one kind that waits, and the age of the oldest, or of the newest where waiting makes nothing worse.

    `link`: the page that shows it, if there is one.
    """

    name: str
    count: int
    age: float
    link: str = ""
    late_after: float = LATE
    """In seconds."""
    recent_within: float = 0
    """Of what should not happen at all: so long, in seconds, after the newest it is a fault."""
    forward: str = ""
    """The way forward, where no page says more."""

    @property
    def is_late(self) -> bool:
        return self.count > 0 and self.age > self.late_after

    @property
    def is_recent(self) -> bool:
        return self.count > 0 and self.age < self.recent_within


@dataclass(frozen=True, slots=True)
class InService:
    """Work that waits in one service; None where its database does not answer."""

    name: str
    piles: Sequence[Pile] | None


@dataclass(frozen=True, slots=True)
class GroupLag:
    group: str
    waiting: int


@dataclass(frozen=True, slots=True)
class VerifyRun:
    ended_at: datetime
    breaches: int
    not_checked: int


@dataclass(frozen=True, slots=True)
class Health:
    """As it was `at` a time. `parts` and `groups` are None where the gateway, or Kafka, does not answer."""

    at: datetime
    parts: Sequence[Part] | None
    services: Sequence[InService]
    groups: Sequence[GroupLag] | None
    last_verify: VerifyRun | None
    jobs: Jobs


class Watch:
    """Looks when a page asks. A page gets the last look at once if it is within `SHOWN`, while the next one is under
    way: a part that hangs makes a look take seconds.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._last: Health | None = None
        self._looking: asyncio.Task[Health] | None = None

    async def newest(self) -> Health:
        last = self._last
        if last is not None and clock.now() - last.at < FRESH:
            return last
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        if last is not None and clock.now() - last.at < SHOWN:
            return last
        return await asyncio.shield(self._looking)

    async def _look(self) -> Health:
        self._last = await look(self._sources)
        return self._last


async def look(sources: Sources) -> Health:
    at = clock.now()
    parts, groups, last, jobs, services = await asyncio.gather(
        _parts(sources.gateway),
        _groups(sources),
        _last_verify(sources.own),
        look_at_jobs(sources),
        asyncio.gather(*(_in_service(name, sources.books[name]) for name in WORKED)),
    )
    return Health(at, parts, services, groups, last, jobs)


async def _parts(gateway: httpx2.AsyncClient) -> list[Part] | None:
    try:
        answer = await gateway.get("/healthz/system")
        checks = msgspec.json.decode(answer.content)["checks"]
        return [
            Part(f"gateway.{name}" if name in _OF_GATEWAY else str(name), str(state))
            for name, state in checks.items()
        ]
    except (httpx2.HTTPError, msgspec.MsgspecError, KeyError, TypeError, AttributeError):
        return None


async def _groups(sources: Sources) -> list[GroupLag] | None:
    """All groups, those with most to read first."""
    behind = dict.fromkeys(topics_of_groups(), 0)
    try:
        async with asyncio.timeout(ANSWERS_WITHIN):
            for each in await sources.lag():
                behind[each.group] += each.waiting
    except (KafkaUnreachable, TimeoutError):
        return None
    return sorted((GroupLag(*each) for each in behind.items()), key=lambda lag: (-lag.waiting, lag.group))


async def _in_service(name: str, db: Database) -> InService:
    try:
        async with asyncio.timeout(ANSWERS_WITHIN), db.statements() as connection:
            out = await waiting.outbox(connection)
            parked = waiting.together((await waiting.parked(connection)).values())
            open_ones = waiting.together((await waiting.exceptions(connection)).values())
            due = await queue.depths(connection)
            failed = await _failed_emails(connection) if name == "notification" else []
            swept = await _booked_by_the_sweep(connection) if name == "payment" else []
    except UNREACHABLE:
        return InService(name, None)
    piles = [
        Pile("events to be sent", out.count, out.age),
        Pile("events parked", parked.count, parked.age, "/ops/parked", 0),
        Pile("exceptions open", open_ones.count, open_ones.age, "/ops/clinics", NEVER),
        *failed,
        *swept,
        *(Pile(f"tasks due: {each.kind}", each.count, each.oldest.total_seconds()) for each in due),
    ]
    return InService(name, piles)


async def _failed_emails(connection: Connection) -> list[Pile]:
    row = await connection.fetchrow(
        """
        SELECT count(*) AS emails, coalesce(extract(epoch FROM app_now() - max(failed_at)), 0)::float AS age
        FROM deliveries WHERE state = 'failed' AND failed_at > app_now() - interval '1 day'
        """
    )
    return (
        []
        if row is None
        else [Pile("e-mails failed in a day", row["emails"], row["age"], "/ops/emails", NEVER)]
    )


async def _booked_by_the_sweep(connection: Connection) -> list[Pile]:
    row = await connection.fetchrow(
        """
        SELECT count(*) AS payments, coalesce(extract(epoch FROM app_now() - max(booked_at)), 0)::float AS age
        FROM entries WHERE observed_by = 'sweep' AND booked_at > app_now() - interval '1 day'
        """
    )
    name = "payments without a webhook in a day"
    return (
        []
        if row is None
        else [Pile(name, row["payments"], row["age"], "", NEVER, WEBHOOKS_MISSED_WITHIN, WEBHOOKS_MISSED)]
    )


async def _last_verify(db: Database) -> VerifyRun | None:
    try:
        async with asyncio.timeout(ANSWERS_WITHIN), db.statements() as connection:
            row = await connection.fetchrow(
                "SELECT ended_at, breaches, not_checked FROM verify_runs ORDER BY ended_at DESC LIMIT 1"
            )
    except UNREACHABLE:
        return None
    return None if row is None else VerifyRun(**row)
