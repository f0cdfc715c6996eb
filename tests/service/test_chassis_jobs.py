"""Timed jobs on a real database: one process of many runs each, and none dies of a failed run."""

import asyncio

from services.chassis.jobs.jobs import Jobs
from tests.running.databases import ServiceDb


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
