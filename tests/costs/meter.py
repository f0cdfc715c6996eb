"""The cost of one hot operation, in counts that are the same on every machine and every day.

statements, round_trips  sent to PostgreSQL
rows                     inserted, updated and deleted
wal                      bytes of PostgreSQL's log, which may differ a little
events                   added to the outbox, so sent to Kafka
calls                    our own Python functions that were entered or resumed
"""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from services.chassis.db.database import Database
from tests.costs.wire import Wire, wire_to
from tests.running.databases import ServiceDb

ROOT = Path(__file__).resolve().parents[2]
OURS = tuple(f"{ROOT / name}/" for name in ("services", "contracts"))
UNLIKE = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>"})
"""No calls from Python 3.12 on."""
ROUNDS = 6
WARM = 3
"""Rounds that are not counted: they prepare statements, look up types, import modules."""
WAL_MAY_DIFFER = 0.02

Work = Callable[[int], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Cost:
    statements: int
    round_trips: int
    rows: int
    wal: int
    events: int
    calls: int


def least(costs: list[Cost]) -> Cost:
    """The lowest of each count: a round may be disturbed, but is never cheaper than the work."""
    rows = [asdict(cost) for cost in costs]
    return Cost(**{name: min(row[name] for row in rows) for name in rows[0]})


def differences(name: str, kept: dict[str, int], found: Cost) -> list[str]:
    """A line for each count that differs from the kept one."""
    lines = []
    for count, now in asdict(found).items():
        before = kept.get(count)
        if before is None or abs(now - before) > (WAL_MAY_DIFFER * before if count == "wal" else 0):
            lines.append(f"{name}: {count} {before} → {now}")
    return lines


@dataclass(frozen=True, slots=True)
class Meter:
    """A service's database, and the one connection that does the work."""

    db: ServiceDb
    wire: Wire
    database: Database

    async def measure(self, work: Work) -> Cost:
        """The cost of `work`, which is given the number of its round."""
        return least([await self._round(work, number) for number in range(ROUNDS)][WARM:])

    async def _round(self, work: Work, number: int) -> Cost:
        rows, wal, events = await self._rows(), await self._wal(), await self._events()
        self.wire.clear()
        with _Calls() as calls:
            await work(number)
        statements, round_trips = self.wire.statements, self.wire.round_trips
        wal = await self._wal() - wal
        return Cost(
            statements,
            round_trips,
            rows=await self._rows() - rows,
            wal=wal,
            events=await self._events() - events,
            calls=calls.count,
        )

    async def _rows(self) -> int:
        """Rows written so far. A session reports its count up to a second late, unless asked to report it."""
        async with self.database.statements() as connection:
            await connection.execute("SELECT pg_stat_force_next_flush()")
        return int(
            await self.db.admin.fetchval(
                "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint FROM pg_stat_user_tables"
            )
        )

    async def _wal(self) -> int:
        return int(await self.db.admin.fetchval("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))

    async def _events(self) -> int:
        """Events added so far: no relay runs, so none is deleted."""
        return int(await self.db.admin.fetchval("SELECT count(*) FROM outbox"))


@asynccontextmanager
async def metered(db: ServiceDb, dsn: str) -> AsyncIterator[Meter]:
    """A meter over a connection of one of the service's roles."""
    async with wire_to(dsn) as wire:
        database = Database(wire.dsn, size=1)
        try:
            yield Meter(db, wire, database)
        finally:
            await database.close()


class _Calls:
    """Counts calls of our own functions in this thread while it is entered."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> "_Calls":
        sys.setprofile(self._see)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _see(self, frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(OURS) and code.co_name not in UNLIKE:
            self.count += 1
