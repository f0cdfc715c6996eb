"""Timed jobs on a real database: one process of many runs each, and none dies of a failed run."""

import asyncio

from services.chassis import inbox
from services.chassis.ids import new_id
from services.chassis.jobs import Jobs
from tests.world import ServiceDb


async def test_of_several_processes_one_runs_a_job(db_payment: ServiceDb) -> None:
    runs: list[int] = []
    turned: list[Jobs] = []
    done = asyncio.Event()

    async def job() -> None:
        runs.append(1)
        done.set()

    for _ in range(4):
        jobs = Jobs(db_payment.worker)
        jobs.every(3600, "sweep", job)
        turned.append(jobs)
    async with turned[0].running(), turned[1].running(), turned[2].running(), turned[3].running():
        async with asyncio.timeout(20):
            await done.wait()
            while await db_payment.admin.fetchval("SELECT count(*) FROM job_leases") == 0:
                await asyncio.sleep(0.01)

    assert runs == [1]


async def test_a_job_that_fails_runs_again(db_payment: ServiceDb) -> None:
    runs: list[int] = []
    twice = asyncio.Event()

    async def job() -> None:
        runs.append(1)
        if len(runs) == 2:
            twice.set()
        raise ConnectionResetError

    jobs = Jobs(db_payment.worker)
    jobs.every(0.05, "flaky", job)
    async with jobs.running(), asyncio.timeout(20):
        await twice.wait()


async def test_inbox_partitions_are_made_ahead_and_old_ones_dropped(db_payment: ServiceDb) -> None:
    await db_payment.admin.execute(
        """
        CREATE TABLE inbox_20200106 PARTITION OF inbox
        FOR VALUES FROM ('016f7822-0000-0000-0000-000000000000') TO ('016f9c2e-0000-0000-0000-000000000000')
        """
    )
    await db_payment.admin.execute("ALTER TABLE inbox_20200106 OWNER TO payment_owner")

    async with db_payment.worker.worker_tx() as tx:
        await inbox.maintain(tx, 30)

    rows = await db_payment.admin.fetch(
        "SELECT relname FROM pg_class WHERE relname ~ '^inbox_[0-9]{8}$' ORDER BY relname"
    )
    names = [row["relname"] for row in rows]
    assert "inbox_20200106" not in names
    assert len(names) >= 4


async def test_claims_lie_in_their_weeks_partition(db_payment: ServiceDb) -> None:
    async with db_payment.worker.worker_tx() as tx:
        await inbox.claim(tx, "c", [new_id()])

    assert await db_payment.admin.fetchval("SELECT count(*) FROM inbox_other") == 0
    assert await db_payment.admin.fetchval("SELECT count(*) FROM inbox") == 1
