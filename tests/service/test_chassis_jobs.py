"""Timed jobs on a real database: one process of many runs each, and none dies of a failed run."""

import asyncio
from datetime import timedelta

from opentelemetry.metrics import CallbackOptions

from services.chassis.db.database import Database
from services.chassis.incidents import incidents
from services.chassis.jobs.jobs import Jobs
from services.chassis.jobs.runs import READ, Run, Runs, list_runs
from tests.running.databases import ServiceDb
from tests.running.system import until


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


async def test_how_a_job_ran_last_is_kept(db_payment: ServiceDb) -> None:
    """Its role lacks a right; then somebody gives it."""

    async def job() -> None:
        async with db_payment.worker.worker_tx() as tx:
            await tx.execute("INSERT INTO account_states (account) VALUES ('acct_1') ON CONFLICT DO NOTHING")

    async def outcome(error: str | None) -> Run | None:
        return next((run for run in await runs_of(db_payment.worker) if run.error == error), None)

    await db_payment.admin.execute("REVOKE INSERT ON account_states FROM app_worker")
    jobs = Jobs(db_payment.worker)
    jobs.every(0.05, "ask", job)
    async with jobs.running():
        failed: Run = await until(lambda: outcome("InsufficientPrivilegeError"), 20)
        await db_payment.admin.execute("GRANT INSERT ON account_states TO app_worker")
        done: Run = await until(lambda: outcome(None), 20)

    assert (failed.name, failed.failures, failed.is_well) == ("ask", 1, False)
    assert failed.failing_since == failed.ended_at
    assert (done.failures, done.failing_since, done.is_well) == (0, None, True)
    assert done.ended_at > failed.ended_at
    assert done.next_at == done.began_at + timedelta(seconds=0.05)


async def test_failed_runs_are_counted_over_all_processes_until_one_is_done(db_payment: ServiceDb) -> None:
    here, there = Runs(db_payment.worker.worker_tx), Runs(db_payment.worker.worker_tx)
    for each in (here, there, here):
        await each.keep("erase", 6 * 3600, 1.5, ConnectionResetError())
    [failed] = await runs_of(db_payment.worker)
    async with db_payment.worker.statements() as connection:
        await READ.show(connection)

    await there.keep("erase", 6 * 3600, 1.5, None)

    [done] = await runs_of(db_payment.worker)
    assert (failed.failures, done.failures) == (3, 0)
    assert failed.ended_at - failed.began_at == timedelta(seconds=1.5)
    assert [seen.value for seen in READ.gauges[0].observe(CallbackOptions())] == [3]


async def test_a_job_that_runs_each_second_is_not_written_down_each_second(db_payment: ServiceDb) -> None:
    runs = Runs(db_payment.worker.worker_tx)
    await runs.keep("letters", 1, 0.1, None)
    [first] = await runs_of(db_payment.worker)
    await runs.keep("letters", 1, 0.1, None)
    assert [run.ended_at for run in await runs_of(db_payment.worker)] == [first.ended_at]

    await runs.keep("letters", 1, 0.1, OSError())

    assert [run.error for run in await runs_of(db_payment.worker)] == ["OSError"]


async def test_a_job_that_nobody_runs_is_late_and_one_of_an_earlier_release_is_forgotten(
    db_payment: ServiceDb,
) -> None:
    await Runs(db_payment.worker.worker_tx).keep("sweep", 15, 0.1, None)
    await db_payment.admin.execute(
        "UPDATE job_leases SET began_at = began_at - interval '1 h', ended_at = ended_at - interval '1 h'"
    )
    assert [(run.is_late, run.is_well) for run in await runs_of(db_payment.worker)] == [(True, False)]

    await db_payment.admin.execute("UPDATE job_leases SET ended_at = ended_at - interval '8 days'")

    assert await runs_of(db_payment.worker) == []


async def test_a_job_goes_on_where_its_run_cannot_be_written_down(db_payment: ServiceDb) -> None:
    await db_payment.admin.execute("REVOKE UPDATE ON job_leases FROM app_worker")
    runs = Runs(db_payment.worker.worker_tx)

    await runs.keep("sweep", 15, 0.1, None)

    assert await runs_of(db_payment.worker) == []
    assert incidents.is_open("job_run_not_kept", "sweep")


async def runs_of(db: Database) -> list[Run]:
    async with db.statements() as connection:
        return await list_runs(connection)
