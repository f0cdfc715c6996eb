"""A service's worker process: its consumers, its jobs, and health."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from types import ModuleType

import structlog
from litestar import Litestar

from services.chassis.db.database import Database
from services.chassis.http.app import Lifespan, service_app
from services.chassis.http.health import Check
from services.chassis.jobs import runs
from services.chassis.jobs.jobs import Jobs
from services.chassis.jobs.sampling import Read, of_database
from services.chassis.kafka import inbox, samples
from services.chassis.kafka import subscribing as kafka
from services.chassis.kafka.consume import consumers_of
from services.chassis.queue.working import Handler, Worker
from services.chassis.retention import RUN_SECONDS, Rule, delete_old
from services.chassis.settings import ServiceSettings

log = structlog.get_logger()

INBOX_KEEP_DAYS = 30
"""Days from its claim. Longer than any topic keeps its events, so that a replay from the start finds every claim."""


def worker_app(
    *,
    name: str,
    settings: ServiceSettings,
    db: Database,
    consumers: ModuleType,
    rules: Sequence[Rule],
    jobs: Jobs | None = None,
    lifespan: Sequence[Lifespan] = (),
    after_commit: Callable[[], None] | None = None,
    handlers: Sequence[Handler] = (),
    reads: Sequence[Read] = (),
    reported: Mapping[str, Check] | None = None,
) -> Litestar:
    """The app of a worker. `after_commit` is called when a batch has committed.

    rules       how long rows are kept
    handlers    of the tasks that this worker does
    reads       further gauges, read from the database
    reported    what some of the work needs, by name
    """
    jobs = jobs or Jobs(db)
    working = Worker(db, handlers)
    jobs.every(RUN_SECONDS, "delete_old", partial(_delete_old, db, rules))
    jobs.every(6 * 3600, "maintain_inbox", partial(_maintain_inbox, db))
    groups = consumers_of(consumers, db)
    if after_commit is not None:
        for group in groups:
            group.after_commit.append(after_commit)
    broker = kafka.broker_of(
        settings.kafka_bootstrap_servers,
        f"{name}-worker",
        groups,
        settings.kafka_group_instance_id,
        settings.kafka_security,
    )

    @asynccontextmanager
    async def consuming(_: Litestar) -> AsyncIterator[None]:
        async with AsyncExitStack() as running:
            for each in (kafka.running(broker), jobs.running(), working.running()):
                await running.enter_async_context(each)
            if settings.is_measured:
                await running.enter_async_context(
                    of_database(db, (*samples.READS, runs.READ, *reads)).running()
                )
            yield

    return service_app(
        name=name,
        settings=settings,
        db=db,
        lifespan=[*lifespan, consuming],
        needed={"kafka": partial(kafka.ping, broker), "progress": partial(kafka.check_progress, broker)},
        reported=reported,
    )


async def _delete_old(db: Database, rules: Sequence[Rule]) -> None:
    count = await delete_old(db.worker_tx, rules)
    log.info("old_rows_deleted", events=count)


async def _maintain_inbox(db: Database) -> None:
    async with db.worker_tx() as tx:
        await inbox.maintain(tx, INBOX_KEEP_DAYS)
