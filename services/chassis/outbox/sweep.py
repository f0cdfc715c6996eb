"""Deletes from outboxes the events that Debezium has sent, in the relay's place.

`python -m services.chassis.outbox.sweep`. Debezium reads PostgreSQL's log, so a row could be deleted as soon as it is
written. But `verify`, alerts and a relay that takes over again read an outbox as the events that Kafka may lack. So
rows are deleted when the replication slot has passed a mark that was written after them: Debezium confirms only what
Kafka has confirmed.
"""

import asyncio
from functools import partial
from typing import Any

from litestar import Litestar

from services.chassis.db.connecting import Urls
from services.chassis.incidents import incidents
from services.chassis.jobs.background import background_app
from services.chassis.outbox.sources import OutboxWorker, Settings, check_reached, run_all
from services.chassis.process import run

AT_ONCE = 10_000
PAUSE, LOOK_EVERY = 1.0, 0.1


class Sweep(OutboxWorker):
    """Sweeps one service's outbox. `reached` while its slot is being read."""

    def __init__(self, name: str, urls: Urls) -> None:
        super().__init__(name, urls, PAUSE)
        self._slot = f"outbox_{name}"

    async def _work(self, connection: Any) -> None:
        while True:
            swept = await self.sweep(connection)
            incidents.worked("outbox_unreachable", self.name)
            if swept < AT_ONCE:
                await asyncio.sleep(PAUSE)

    async def sweep(self, connection: Any) -> int:
        """Delete the rows that stand, at most `AT_ONCE`, once all are sent. Returns how many: none when in doubt."""
        reader, _ = await self._position(connection)
        rows = await connection.fetch("SELECT seq FROM outbox ORDER BY seq LIMIT $1", AT_ONCE)
        if reader is None or not rows or not await self._has_passed(connection, reader):
            return 0
        await connection.execute("DELETE FROM outbox WHERE seq = ANY ($1)", [row["seq"] for row in rows])
        return len(rows)

    async def _has_passed(self, connection: Any, reader: int) -> bool:
        """Whether this reader confirms a mark written now. False: another one reads, perhaps from a newer slot."""
        mark: int = await connection.fetchval("SELECT pg_logical_emit_message(true, 'outbox', '')")
        # A transaction is confirmed when something comes behind it.
        await connection.fetchval("SELECT pg_logical_emit_message(true, 'outbox', '')")
        while True:
            now_reading, confirmed = await self._position(connection)
            if now_reading != reader:
                return False
            if confirmed >= mark:
                return True
            await asyncio.sleep(LOOK_EVERY)

    async def _position(self, connection: Any) -> tuple[int | None, int]:
        """Process id of who reads the slot, None when nobody does, and up to where it has confirmed."""
        row = await connection.fetchrow(
            "SELECT active_pid, confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = $1",
            self._slot,
        )
        self.reached = row is not None and row["active_pid"] is not None
        return (row["active_pid"], row["confirmed_flush_lsn"]) if self.reached else (None, 0)


def app(settings: Settings) -> Litestar:
    """The process: it sweeps in its lifespan, and is ready while Debezium reads every outbox's slot."""
    sweeps = [Sweep(name, partial(settings.urls_of, name)) for name in settings.outboxes]
    return background_app(
        partial(run_all, sweeps), failure="sweep_ends", checks={"slots": partial(check_reached, sweeps)}
    )


if __name__ == "__main__":
    run("relay", "sweep", app, Settings)
