"""The queue on a real database: claims, outcomes, crashes, several workers, and cancels against claims."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from random import Random
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.chassis.db.database import Connection
from services.chassis.errors import DomainError
from services.chassis.ids import Key, new_id
from services.chassis.incidents import incidents
from services.chassis.queue import queue
from services.chassis.queue import working as jobs
from services.chassis.queue.domain import (
    BackOff,
    Canceled,
    Done,
    Failed,
    NewTask,
    Outcome,
    Retry,
    Task,
    Waits,
)
from services.chassis.queue.working import BetweenTransactions, InTransaction, Watch, Worker
from tests.running.databases import ServiceDb

KIND, OTHER = "void", "email.receipt"
CLINIC = new_id()
MINUTE = timedelta(minutes=1)


async def add(db: ServiceDb, count: int = 1, kind: str = KIND, after: timedelta = timedelta(0)) -> list[Key]:
    tasks = [NewTask(CLINIC, new_id(), after, {"n": n}) for n in range(count)]
    async with db.worker.worker_tx() as tx:
        assert len(await queue.enqueue(tx, kind, tasks)) == count
    return [(task.clinic_id, task.key) for task in tasks]


async def claim(db: ServiceDb, limit: int = 10, lease: timedelta = MINUTE, kind: str = KIND) -> list[Task]:
    async with db.worker.worker_tx() as tx:
        return await queue.claim(tx, [kind], limit, lease)


async def end(db: ServiceDb, task: Task, outcome: Outcome) -> queue.Recorded | None:
    async with db.worker.worker_tx() as tx:
        return await queue.end(tx, task, outcome)


async def cancel(db: ServiceDb, *keys: Key) -> set[Key]:
    async with db.api.tx(CLINIC) as tx:
        return await queue.cancel(tx, KIND, keys, "undone")


async def rows(db: ServiceDb) -> list[tuple[str, int, str | None, bool]]:
    found = await db.admin.fetch(
        "SELECT state, attempts, reason, claimed_until IS NOT NULL AS claimed FROM tasks ORDER BY key"
    )
    return [(row["state"], row["attempts"], row["reason"], row["claimed"]) for row in found]


async def test_a_task_is_added_once_however_it_ended(db_invoice: ServiceDb) -> None:
    (key,) = await add(db_invoice)
    again = [NewTask(*key)]
    async with db_invoice.api.tx(CLINIC) as tx:
        assert await queue.enqueue(tx, KIND, again) == set()
    (task,) = await claim(db_invoice)
    await end(db_invoice, task, Done())
    async with db_invoice.api.tx(CLINIC) as tx:
        assert await queue.enqueue(tx, KIND, again) == set()
        assert await queue.enqueue(tx, OTHER, again) == {key}, "another kind is another task"

    assert (task.payload, task.attempts, task.kind) == ({"n": 0}, 0, KIND)
    assert await rows(db_invoice) == [("done", 0, None, False), ("due", 0, None, False)]


async def test_a_task_of_a_transaction_that_is_rolled_back_never_was(db_invoice: ServiceDb) -> None:
    with pytest.raises(DomainError):
        async with db_invoice.api.tx(CLINIC) as tx:
            await queue.enqueue(tx, KIND, [NewTask(CLINIC, new_id())])
            raise _Refused("no")

    assert await rows(db_invoice) == []


async def test_what_is_due_is_claimed_oldest_first_and_the_rest_waits(db_invoice: ServiceDb) -> None:
    await add(db_invoice, after=MINUTE)
    late = await add(db_invoice)
    early = await add(db_invoice, after=-MINUTE)
    await add(db_invoice, kind=OTHER)

    claimed = [task.row for task in await claim(db_invoice)]

    assert claimed == [*early, *late]
    assert await claim(db_invoice) == [], "claimed"


async def test_claims_that_overlap_share_the_work_and_wait_for_nobody(db_invoice: ServiceDb) -> None:
    await add(db_invoice, 3)
    worker = db_invoice.worker
    async with worker.worker_tx() as one, worker.worker_tx() as other, asyncio.timeout(5):
        first = await queue.claim(one, [KIND], 2, MINUTE)
        taken = await queue.take(other, [KIND])
        assert await queue.claim(other, [KIND], 2, MINUTE) != first
    assert taken is not None
    assert len({task.key for task in (*first, taken)}) == 3


async def test_a_claim_that_ran_out_is_anothers_and_its_late_outcome_is_lost(db_invoice: ServiceDb) -> None:
    await add(db_invoice)
    (slow,) = await claim(db_invoice, lease=timedelta(0))
    (quick,) = await claim(db_invoice)

    assert await end(db_invoice, slow, Failed("slow")) is None
    assert await end(db_invoice, quick, Done()) is not None
    assert await end(db_invoice, quick, Failed("twice")) is None

    assert await rows(db_invoice) == [("done", 0, None, False)]


async def test_a_failed_try_comes_again_and_waiting_is_no_try(db_invoice: ServiceDb) -> None:
    await add(db_invoice)
    for outcome in (Retry("451", timedelta(0)), Waits("no_contact", timedelta(0))):
        (task,) = await claim(db_invoice)
        await end(db_invoice, task, outcome)
    assert await rows(db_invoice) == [("due", 1, "no_contact", False)]

    (task,) = await claim(db_invoice)
    await end(db_invoice, task, Retry("451", MINUTE))

    assert (task.attempts, await claim(db_invoice)) == (1, [])


def test_pauses_double_up_to_the_longest_and_then_it_is_given_up() -> None:
    back_off = BackOff(first=timedelta(seconds=2), longest=timedelta(seconds=60), tries=8)
    pauses = []
    for failed in range(1, 8):
        outcome = back_off.after(failed, "451", Random(1))
        assert isinstance(outcome, Retry)
        pauses.append(outcome.after.total_seconds() / Random(1).uniform(0.75, 1.25))

    assert pauses == pytest.approx([2, 4, 8, 16, 32, 60, 60])
    assert back_off.after(8, "451", Random(1)) == Failed("451")
    spread = {back_off.after(1, "451", Random(seed)) for seed in range(5)}
    assert len(spread) == 5, "tasks that failed together are tried apart"


async def test_a_cancel_wins_before_a_claim_and_loses_to_it(db_invoice: ServiceDb) -> None:
    free, claimed = await add(db_invoice), await add(db_invoice, after=-MINUTE)
    (task,) = await claim(db_invoice, limit=1)
    assert [task.row] == claimed

    assert await cancel(db_invoice, *free, *claimed) == set(free)
    assert await cancel(db_invoice, *free, *claimed) == set()

    await end(db_invoice, task, Done())
    assert sorted(await rows(db_invoice)) == [
        ("canceled", 0, "undone", False),
        ("done", 0, None, False),
    ]


async def test_a_cancel_waits_for_the_transaction_that_works_and_finds_it_done(db_invoice: ServiceDb) -> None:
    (key,) = await add(db_invoice)
    async with db_invoice.worker.worker_tx() as tx:
        task = await queue.take(tx, [KIND])
        assert task is not None
        canceling = asyncio.create_task(cancel(db_invoice, key))
        await waits_for_lock(db_invoice)
        await queue.end(tx, task, Done())

    assert await canceling == set()
    assert await rows(db_invoice) == [("done", 0, None, False)]


async def test_a_cancel_that_waits_for_work_which_dies_wins(db_invoice: ServiceDb) -> None:
    (key,) = await add(db_invoice)
    with pytest.raises(ConnectionResetError):
        async with db_invoice.worker.worker_tx() as tx:
            assert await queue.take(tx, [KIND]) is not None
            canceling = asyncio.create_task(cancel(db_invoice, key))
            await waits_for_lock(db_invoice)
            raise ConnectionResetError

    assert await canceling == {key}


async def waits_for_lock(db: ServiceDb) -> None:
    async with asyncio.timeout(5):
        while not await db.admin.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0)


async def test_no_clinic_cancels_anothers(db_invoice: ServiceDb) -> None:
    keys = await add(db_invoice)
    async with db_invoice.api.tx(new_id()) as tx:
        assert await queue.cancel(tx, KIND, keys, "undone") == set()
        await queue.hasten(tx, [KIND], keys)
    assert await rows(db_invoice) == [("due", 0, None, False)]


async def test_a_task_that_is_hastened_while_claimed_does_not_wait(db_invoice: ServiceDb) -> None:
    keys = await add(db_invoice)
    (task,) = await claim(db_invoice)
    async with db_invoice.api.tx(CLINIC) as tx:
        await queue.hasten(tx, [KIND], keys)

    recorded = await end(db_invoice, task, Waits("no_contact", MINUTE))

    assert recorded is not None and recorded.hastened
    assert [each.row for each in await claim(db_invoice)] == keys


async def test_what_was_not_tried_is_released_for_another(db_invoice: ServiceDb) -> None:
    await add(db_invoice, 2)
    claimed = await claim(db_invoice)
    async with db_invoice.worker.worker_tx() as tx:
        await queue.release(tx, claimed)

    assert len(await claim(db_invoice)) == 2


# Workers


class _Refused(DomainError):
    code = "refused"


class Effects:
    """Counts the effects of tasks in a table, so that they are rolled back with their transaction."""

    def __init__(self, db: ServiceDb) -> None:
        self.db = db
        self.fails: list[Exception] = []
        self.given_up: list[str] = []

    async def add(self, tx: Connection, task: Task) -> Outcome:
        await tx.execute("INSERT INTO job_leases (name, leased_until) VALUES ($1, now())", str(task.key))
        if self.fails:
            raise self.fails.pop()
        return Done()

    async def gave_up(self, _: Connection, __: Task, reason: str) -> None:
        self.given_up.append(reason)

    async def count(self) -> int:
        found: int = await self.db.admin.fetchval("SELECT count(*) FROM job_leases")
        return found

    def worker(self, back_off: BackOff | None = None) -> Worker:
        handler = InTransaction(KIND, self.add, back_off or BackOff(), self.gave_up)
        return Worker(self.db.worker, [handler])


@pytest.fixture
async def effects(db_invoice: ServiceDb) -> AsyncIterator[Effects]:
    yield Effects(db_invoice)


async def test_several_workers_do_each_task_once(effects: Effects) -> None:
    await add(effects.db, 20)

    counts = await asyncio.gather(*(effects.worker().work_due() for _ in range(3)))

    assert sum(counts) == await effects.count() == 20
    assert {state for state, *_ in await rows(effects.db)} == {"done"}


async def test_work_that_dies_before_its_commit_left_nothing_and_is_done_again(effects: Effects) -> None:
    await add(effects.db)
    async with effects.db.admin.acquire() as blocker, blocker.transaction():
        await blocker.execute("LOCK TABLE job_leases IN EXCLUSIVE MODE")
        dying = asyncio.create_task(effects.worker().work_due())
        await waits_for_lock(effects.db)
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
    assert (await effects.count(), await rows(effects.db)) == (0, [("due", 0, None, False)])

    assert await effects.worker().work_due() == 1
    assert await effects.count() == 1


async def test_a_refused_task_leaves_nothing_behind_and_holds_back_no_other(effects: Effects) -> None:
    await add(effects.db, 2)
    effects.fails = [_Refused("no")]

    assert await effects.worker().work_due() == 2

    assert await effects.count() == 1
    assert sorted(await rows(effects.db)) == [("done", 0, None, False), ("due", 1, "refused", False)]


async def test_the_last_refused_try_is_reported(effects: Effects) -> None:
    await add(effects.db)
    effects.fails = [_Refused("no"), ValueError("a bug")]
    worker = effects.worker(BackOff(first=timedelta(0), tries=2))

    assert await worker.work_due() == 2

    assert (effects.given_up, await effects.count()) == (["refused"], 0)
    assert await rows(effects.db) == [("failed", 2, "refused", False)]


async def test_a_call_whose_outcome_is_lost_is_made_again_when_its_lease_is_over(
    db_invoice: ServiceDb,
) -> None:
    await add(db_invoice)
    called: list[UUID] = []
    reached = asyncio.Event()

    async def call(task: Task) -> Outcome:
        called.append(task.key)
        reached.set()
        if len(called) == 1:
            await asyncio.Event().wait()
        return Done()

    worker = Worker(db_invoice.worker, [BetweenTransactions(KIND, call)])
    dying = asyncio.create_task(worker.work_due())
    await asyncio.wait_for(reached.wait(), 5)
    assert db_invoice.worker.held == 0, "no connection is held during the call"
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    assert await worker.work_due() == 0, "still leased"

    await db_invoice.admin.execute("UPDATE tasks SET claimed_until = now()")
    assert await worker.work_due() == 1
    assert len(set(called)) == 1 and len(called) == 2
    assert await rows(db_invoice) == [("done", 0, None, False)]


async def test_a_call_that_takes_too_long_is_a_failed_try(
    db_invoice: ServiceDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "CALL_SECONDS", 0.01)
    await add(db_invoice)

    async def call(_: Task) -> Outcome:
        await asyncio.Event().wait()
        return Done()

    async with asyncio.timeout(20):
        assert await Worker(db_invoice.worker, [BetweenTransactions(KIND, call)]).work_due() == 1
    assert await rows(db_invoice) == [("due", 1, "TimeoutError", False)]


async def test_a_running_worker_works_when_it_is_woken(
    effects: Effects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "POLL_SECONDS", 600.0)
    worker = effects.worker()
    async with worker.running(), asyncio.timeout(20):
        for count in range(1, 3):
            await add(effects.db)
            worker.wake()
            while await effects.count() < count:
                await asyncio.sleep(0)


async def test_a_queue_that_falls_behind_is_an_incident(
    db_invoice: ServiceDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(db_invoice, 2)
    found: list[tuple[str, object]] = []
    monkeypatch.setattr(incidents, "failed", lambda name, part, **ids: found.append((part, ids["tasks"])))

    await Watch(db_invoice.worker, [KIND]).look()
    assert found == []
    await db_invoice.admin.execute("UPDATE tasks SET due_at = now() - interval '61 s'")
    await Watch(db_invoice.worker, [OTHER]).look()
    assert found == []
    watch = Watch(db_invoice.worker, [KIND])
    await watch.look()
    await watch.look()
    assert found == [(KIND, 2)], "once in half a minute"


# All walks through the states

OUTCOMES: dict[str, Outcome] = {
    "done": Done(),
    "retry": Retry("r", timedelta(0)),
    "wait": Waits("w", timedelta(0)),
    "fail": Failed("f"),
}
STEPS = ("claim", "lose", "take", "done", "retry", "wait", "fail", "cancel", "hasten", "add")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(STEPS), max_size=12))
async def test_whatever_happens_a_task_ends_once_and_only_by_its_holder(
    db_invoice: ServiceDb, steps: list[str]
) -> None:
    (key,) = await add(db_invoice)
    held: list[Task] = []
    state, valid, failed = "due", False, 0
    for step in steps:
        match step:
            case "claim" | "take":
                claimed = await claim(db_invoice, lease=MINUTE)
                assert bool(claimed) == (state == "due" and not valid)
                held, valid = claimed or held, valid or bool(claimed)
            case "lose":
                await db_invoice.admin.execute("UPDATE tasks SET claimed_until = NULL WHERE key = $1", key[1])
                valid = False
            case "done" | "retry" | "wait" | "fail":
                if not held:
                    continue
                assert (await end(db_invoice, held[-1], OUTCOMES[step]) is not None) == valid
                if valid:
                    failed += step in ("retry", "fail")
                    state = {"done": "done", "fail": "failed"}.get(step, state)
                valid = False
            case "cancel":
                assert (await cancel(db_invoice, key) == {key}) == (state == "due" and not valid)
                state = "canceled" if state == "due" and not valid else state
            case "hasten":
                async with db_invoice.api.tx(CLINIC) as tx:
                    await queue.hasten(tx, [KIND], [key])
            case _:
                async with db_invoice.worker.worker_tx() as tx:
                    assert await queue.enqueue(tx, KIND, [NewTask(*key)]) == set()
        row = await db_invoice.admin.fetchrow("SELECT state, attempts FROM tasks WHERE key = $1", key[1])
        assert row is not None and (row["state"], row["attempts"]) == (state, failed)
    await db_invoice.admin.execute("UPDATE tasks SET state = 'done', ended_at = now() WHERE state = 'due'")


async def test_canceled_by_its_own_handler(db_invoice: ServiceDb) -> None:
    await add(db_invoice)
    (task,) = await claim(db_invoice)
    await end(db_invoice, task, Canceled("not_needed"))
    assert await rows(db_invoice) == [("canceled", 0, "not_needed", False)]
