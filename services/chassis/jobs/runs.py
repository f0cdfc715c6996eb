"""When each timed job ran last, and how that ended: a row a job, which outlives its processes."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.chassis.db.database import Connection, Transaction
from services.chassis.incidents import incidents
from services.chassis.jobs.sampling import Read
from services.chassis.telemetry.metrics import Gauge

_failures = Gauge(
    "clinicpay.job.failures",
    "{run}",
    "Runs of a timed job that have failed since the last one that did not",
    "timed_job",
)

SHORT_SECONDS = 10.0
"""A job that runs as often writes a run that ended as the one before once a minute."""
KEPT_EVERY = 60.0
LATE = timedelta(minutes=5)
"""How long after its time a run is late: within it a worker that was restarted has caught up."""
FORGOTTEN = timedelta(days=7)
"""A job that has not run for as long, and for three of its intervals, is one of an earlier release."""


@dataclass(frozen=True, slots=True)
class Run:
    """The last run of a job. `error`: the class of the error that ended it, if one did."""

    name: str
    interval: timedelta
    began_at: datetime
    ended_at: datetime
    error: str | None
    failing_since: datetime | None
    """The end of the first run that failed since the last one that did not."""
    failures: int
    asked_at: datetime
    """Now, by the database's clock, as all of these are."""

    @property
    def next_at(self) -> datetime:
        return self.began_at + self.interval

    @property
    def is_late(self) -> bool:
        """Nobody has run the job, or its run does not end."""
        return self.asked_at > self.next_at + LATE

    @property
    def is_well(self) -> bool:
        return self.error is None and not self.is_late


class Runs:
    """Writes down how runs end, of the jobs of this process. `transaction` opens one on its service's database."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._kept: dict[str, tuple[str | None, float]] = {}

    async def keep(self, name: str, seconds: float, took: float, error: Exception | None) -> None:
        """Write down a run that ended now. `seconds` lie between the beginnings of two; one `took` so many."""
        outcome, now = type(error).__name__ if error else None, time.monotonic()
        before, at = self._kept.get(name, (None, -KEPT_EVERY))
        if seconds <= SHORT_SECONDS and before == outcome and now - at < KEPT_EVERY:
            return
        try:
            async with self._transaction() as tx:
                await _keep(tx, name, seconds, took, outcome)
        except Exception as failed:
            # The job has done its work. Most likely the database is unreachable, which its own incident says.
            incidents.failed("job_run_not_kept", name, reason=type(failed).__name__)
        else:
            incidents.worked("job_run_not_kept", name)
            self._kept[name] = outcome, now


async def _keep(tx: Connection, name: str, seconds: float, took: float, error: str | None) -> None:
    await tx.execute(
        """
        INSERT INTO job_leases AS kept
            (name, leased_until, seconds, began_at, ended_at, error, failing_since, failures)
        SELECT $1, app_now(), $2, app_now() - make_interval(secs => $3), app_now(), $4,
            CASE WHEN $4 IS NOT NULL THEN app_now() END, ($4 IS NOT NULL)::int
        FROM (SELECT $4::text) AS outcome
        ON CONFLICT (name) DO UPDATE SET
            seconds = excluded.seconds,
            began_at = excluded.began_at,
            ended_at = excluded.ended_at,
            error = excluded.error,
            failing_since = CASE WHEN excluded.error IS NOT NULL
                THEN coalesce(kept.failing_since, excluded.failing_since) END,
            failures = CASE WHEN excluded.error IS NULL THEN 0 ELSE kept.failures + 1 END
        """,
        name,
        seconds,
        took,
        error,
    )


async def list_runs(connection: Connection) -> list[Run]:
    """The last run of each job of a service, by name."""
    rows = await connection.fetch(
        """
        SELECT name, make_interval(secs => seconds) AS interval, began_at, ended_at, error, failing_since, failures,
            app_now() AS asked_at
        FROM job_leases
        WHERE ended_at > app_now() - greatest($1, make_interval(secs => 3 * seconds))
        ORDER BY name
        """,
        FORGOTTEN,
    )
    return [Run(**row) for row in rows]


async def _read(connection: Connection) -> None:
    _failures.show({(run.name,): run.failures for run in await list_runs(connection)})


READ = Read((_failures,), _read)
"""Of every service's worker."""
