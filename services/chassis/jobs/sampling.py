"""Gauges that are read from elsewhere every quarter of a minute, while somebody asks for metrics."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

from services.chassis.db.database import Connection, Database
from services.chassis.incidents import incidents
from services.chassis.telemetry.metrics import Gauge

SAMPLE_SECONDS = 15.0
_LONGEST = 10.0


@dataclass(frozen=True, slots=True)
class Read:
    """Reads what all clinics have, and shows it on gauges."""

    gauges: tuple[Gauge, ...]
    show: Callable[[Connection], Awaitable[None]]


class Sampler:
    """Reads and shows, again and again. A reading that fails shows nothing: an old number would hide the fault."""

    def __init__(self, name: str, sample: Callable[[], Awaitable[None]], gauges: Sequence[Gauge]) -> None:
        self._name, self._sample, self._gauges = name, sample, gauges

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(SAMPLE_SECONDS)

    async def look(self) -> None:
        """Read and show once."""
        try:
            async with asyncio.timeout(_LONGEST):
                await self._sample()
        except Exception as error:
            for gauge in self._gauges:
                gauge.show({})
            incidents.failed("sampling_failed", self._name, error=type(error).__name__)
        else:
            incidents.worked("sampling_failed", self._name)


def of_database(db: Database, reads: Sequence[Read]) -> Sampler:
    """Samples a service's own database."""
    return Sampler(
        "database", partial(_show_all, db, reads), [gauge for read in reads for gauge in read.gauges]
    )


async def _show_all(db: Database, reads: Sequence[Read]) -> None:
    async with db.statements() as connection:
        for read in reads:
            await read.show(connection)
