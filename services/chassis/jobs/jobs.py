"""Timed jobs. Of all processes of a service one runs a job at a time, by a lease on the database's clock.

A lease rather than an advisory lock: a job may call Stripe, and holds no connection meanwhile.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from services.chassis.db.database import UNREACHABLE, Database
from services.chassis.incidents import incidents
from services.chassis.jobs.runs import Runs
from services.chassis.telemetry.metrics import Counter

log = structlog.get_logger()

_ran = Counter(
    "clinicpay.job.run",
    "{run}",
    "Runs of timed jobs. One process of a service runs a job at a time",
    "timed_job",
    "outcome",
)

Job = Callable[[], Awaitable[None]]


class Jobs:
    """Timed jobs of a worker. Use `running` as its lifespan."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._runs = Runs(db.worker_tx)
        self.scheduler = AsyncIOScheduler(timezone=UTC)

    def every(self, seconds: float, name: str, job: Job) -> None:
        """Run a job at once and then every so many seconds; a run that is late is not made up for."""
        self.scheduler.add_job(
            self._run,
            "interval",
            args=(name, job, seconds),
            seconds=seconds,
            next_run_time=datetime.now(UTC),
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.scheduler.start()
        try:
            yield
        finally:
            self.scheduler.shutdown(wait=False)

    async def _run(self, name: str, job: Job, seconds: float) -> None:
        failed, began = None, time.monotonic()
        try:
            if not await self._leased(name, seconds):
                return
            await job()
        except UNREACHABLE as error:
            failed = error
            incidents.failed("job_failed", name, job=name, exc_info=error)
        except Exception as error:
            failed = error
            log.error("job_failed", job=name, exc_info=error)
        else:
            incidents.worked("job_failed", name)
        _ran.add(1, name, "failed" if failed else "done")
        await self._runs.keep(name, seconds, time.monotonic() - began, failed)

    async def _leased(self, name: str, seconds: float) -> bool:
        async with self._db.worker_tx() as tx:
            taken = await tx.fetchval(
                """
                INSERT INTO job_leases (name, leased_until)
                VALUES ($1, app_now() + make_interval(secs => $2))
                ON CONFLICT (name) DO UPDATE SET leased_until = excluded.leased_until
                WHERE job_leases.leased_until <= app_now()
                RETURNING true
                """,
                name,
                # Shorter than the interval, so that the holder's own next run finds it free.
                seconds * 0.9,
            )
        return bool(taken)
