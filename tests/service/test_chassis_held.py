"""Held acts on a real database, with a small act: take money out of a pot, which others fill and empty meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.chassis import exceptions
from services.chassis.db.database import Connection
from services.chassis.errors import DomainError, Unavailable
from services.chassis.exceptions import AlreadySettled, Exceptional, ExceptionNotFound, UnknownSettlement
from services.chassis.held import actions, store
from services.chassis.held.domain import Act, AlreadyDone, HeldAct, HeldActNotFound, NotHeld, Preview, Wanted
from services.chassis.ids import new_id
from services.chassis.queue.working import Worker
from tests.builders.callers import a_caller
from tests.running.databases import ServiceDb

HOUR = timedelta(hours=1)
CLINIC = new_id()
STAFF = a_caller("staff", CLINIC)


class PotEmpty(DomainError):
    code = "pot_empty"


@dataclass
class Pot:
    """A pot of money in the database; `spend` is the act. `fails` makes the next tries of doing it raise."""

    db: ServiceDb
    id: UUID
    fails: list[Exception]

    @property
    def spend(self) -> Act:
        return Act("spend", self.preview, self.reserve, self.do, self.release)

    async def preview(self, tx: Connection, wanted: Wanted) -> Preview:
        amount = wanted.request["amount"]
        free = await tx.fetchval(
            """
            SELECT amount - coalesce((SELECT sum(amount) FROM reserved WHERE pot = $1 AND act <> $2), 0)
            FROM pots WHERE id = $1 FOR UPDATE
            """,
            self.id,
            wanted.id,
        )
        if free < amount:
            raise PotEmpty("There is less in the pot.")
        return Preview({"spent": amount, "left": int(free - amount)}, {"seen_by": "nobody"})

    async def reserve(self, tx: Connection, wanted: Wanted, preview: Preview) -> None:
        await tx.execute(
            "INSERT INTO reserved VALUES ($1, $2, $3)", self.id, wanted.id, preview.posts["spent"]
        )

    async def do(self, tx: Connection, wanted: Wanted, preview: Preview) -> UUID:
        await tx.execute(
            "UPDATE pots SET amount = amount - $2 WHERE id = $1", self.id, preview.posts["spent"]
        )
        await self.release(tx, wanted)
        if self.fails:
            raise self.fails.pop()
        return wanted.id

    async def release(self, tx: Connection, wanted: Wanted) -> None:
        await tx.execute("DELETE FROM reserved WHERE act = $1", wanted.id)

    async def hold(self, amount: int, time: timedelta = HOUR) -> HeldAct:
        async with self.db.api.tx(CLINIC) as tx:
            wanted = Wanted(new_id(), STAFF, self.id, {"amount": amount})
            return await actions.hold(tx, self.spend, wanted, time)

    async def undo(self, act_id: UUID) -> HeldAct:
        async with self.db.api.tx(CLINIC) as tx:
            return await actions.undo(tx, STAFF, [self.spend], act_id)

    async def cancel(self) -> list[HeldAct]:
        async with self.db.worker.worker_tx() as tx:
            return await actions.cancel_of(tx, [self.spend], [(CLINIC, self.id)], "disputed")

    async def settle(self, exception_id: UUID, how: str) -> Exceptional:
        async with self.db.api.tx(CLINIC) as tx:
            return await exceptions.settle(tx, STAFF, exception_id, how, actions.ways([self.spend]))

    async def pour(self, amount: int) -> None:
        await self.db.admin.execute("UPDATE pots SET amount = amount + $1", amount)

    async def time_passes(self) -> int:
        """An hour passes; the worker's number of tasks."""
        await self.db.admin.execute("UPDATE tasks SET due_at = due_at - interval '1 hour'")
        return await Worker(self.db.worker, actions.handlers([self.spend])).work_due()

    async def state(self, act_id: UUID) -> tuple[str, str | None]:
        async with self.db.api.tx(CLINIC) as tx:
            act = await store.get(tx, CLINIC, act_id)
        assert act is not None
        return act.state, act.reason

    async def amounts(self) -> tuple[int, int]:
        """(in the pot, reserved)."""
        left = await self.db.admin.fetchval("SELECT amount FROM pots WHERE id = $1", self.id)
        reserved = await self.db.admin.fetchval(
            "SELECT coalesce(sum(amount), 0)::int FROM reserved WHERE pot = $1", self.id
        )
        return left, reserved

    async def open_exceptions(self) -> list[Exceptional]:
        async with self.db.api.tx(CLINIC) as tx:
            return await exceptions.list_exceptions(tx, CLINIC, settled=False, before=None, limit=10)


@pytest.fixture
async def pot(db_invoice: ServiceDb) -> AsyncIterator[Pot]:
    await db_invoice.admin.execute(
        """
        CREATE TABLE pots (id uuid PRIMARY KEY, amount int NOT NULL);
        CREATE TABLE reserved (pot uuid, act uuid PRIMARY KEY, amount int NOT NULL);
        GRANT ALL ON pots, reserved TO app_api, app_worker
        """
    )
    pot = Pot(db_invoice, new_id(), [])
    await db_invoice.admin.execute("INSERT INTO pots VALUES ($1, 100)", pot.id)
    yield pot


async def test_a_held_act_reserves_at_once_and_does_nothing_until_it_is_due(pot: Pot) -> None:
    held = await pot.hold(30)

    assert (held.state, held.due_at - held.created_at) == ("held", HOUR)
    assert (held.preview.posts, held.actor) == ({"spent": 30, "left": 70}, STAFF.subject)
    assert await pot.amounts() == (100, 30)
    async with pot.db.api.tx(CLINIC) as tx:
        assert await store.list_acts(tx, CLINIC, ended=False, before=None, limit=10) == [held]
    with pytest.raises(PotEmpty):
        await pot.hold(71)

    assert await pot.time_passes() == 1
    assert (await pot.amounts(), await pot.state(held.id)) == ((70, 0), ("done", None))
    assert await pot.time_passes() == 0


async def test_an_act_without_a_window_is_done_at_once(pot: Pot) -> None:
    done = await pot.hold(30, timedelta(0))

    assert (done.state, done.result_id) == ("done", done.id)
    assert await pot.amounts() == (70, 0)
    with pytest.raises(AlreadyDone):
        await pot.undo(done.id)
    assert await pot.time_passes() == 0


async def test_an_act_is_undone_once_and_what_it_reserved_is_free(pot: Pot) -> None:
    held = await pot.hold(30)

    undone = await pot.undo(held.id)

    assert (undone.state, undone.ended_by) == ("undone", STAFF.subject)
    assert await pot.amounts() == (100, 0)
    assert await pot.undo(held.id) == undone
    assert await pot.time_passes() == 0
    actions_taken = await pot.db.admin.fetch("SELECT action FROM audit ORDER BY seq")
    assert [row["action"] for row in actions_taken] == ["hold_spend", "undo_spend"]


async def test_an_act_that_is_done_is_not_undone(pot: Pot) -> None:
    held = await pot.hold(30)
    await pot.time_passes()

    with pytest.raises(AlreadyDone) as refused:
        await pot.undo(held.id)

    assert (refused.value.code, refused.value.fields) == ("already_done", {"result_id": str(held.id)})
    assert await pot.amounts() == (70, 0)


async def test_nobody_undoes_what_is_unknown_or_of_another_clinic(pot: Pot) -> None:
    held = await pot.hold(30)
    stranger = a_caller("staff", new_id())
    with pytest.raises(HeldActNotFound):
        await pot.undo(new_id())
    with pytest.raises(HeldActNotFound):
        async with pot.db.api.tx(stranger.clinic) as tx:
            await actions.undo(tx, stranger, [pot.spend], held.id)


@pytest.mark.parametrize("dies", [False, True])
async def test_an_undo_waits_for_the_worker_that_is_doing_it(pot: Pot, dies: bool) -> None:
    held = await pot.hold(30)
    async with pot.db.admin.acquire() as blocker, blocker.transaction():
        await blocker.execute("SELECT FROM pots FOR UPDATE")
        doing = asyncio.create_task(pot.time_passes())
        await locks_waited_for(pot.db, 1)
        undoing = asyncio.create_task(pot.undo(held.id))
        await locks_waited_for(pot.db, 2)
        if dies:
            doing.cancel()
            await asyncio.gather(doing, return_exceptions=True)
    if dies:
        assert (await undoing).state == "undone"
        assert await pot.amounts() == (100, 0)
    else:
        assert await doing == 1
        with pytest.raises(AlreadyDone):
            await undoing
        assert await pot.amounts() == (70, 0)


async def locks_waited_for(db: ServiceDb, count: int) -> None:
    async with asyncio.timeout(10):
        while await db.admin.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") < count:
            await asyncio.sleep(0.01)


async def test_an_act_that_would_post_something_else_is_an_exception_instead(pot: Pot) -> None:
    held = await pot.hold(30)
    await pot.pour(5)

    await pot.time_passes()

    assert (await pot.amounts(), await pot.state(held.id)) == ((105, 0), ("changed", "posts_differ"))
    (found,) = await pot.open_exceptions()
    assert (found.kind, found.subject_id, found.cause) == ("spend_changed", held.id, "posts_differ")
    assert found.detail == {"subject_id": str(pot.id), "posts": {"spent": 30, "left": 70}}
    with pytest.raises(NotHeld):
        await pot.undo(held.id)


async def test_an_act_that_is_refused_when_due_is_an_exception_and_leaves_nothing_half_done(pot: Pot) -> None:
    await pot.hold(30)
    pot.fails = [PotEmpty("refused after it wrote")]

    await pot.time_passes()

    assert await pot.amounts() == (100, 0)
    assert [found.cause for found in await pot.open_exceptions()] == ["pot_empty"]


async def test_an_act_that_fails_for_now_is_tried_again_and_given_up_as_an_exception(
    pot: Pot, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = await pot.hold(30)
    pot.fails = [Unavailable("Stripe does not answer.")]
    assert await pot.time_passes() == 1
    assert (await pot.amounts(), await pot.state(held.id)) == ((100, 30), ("held", None))

    await pot.db.admin.execute("UPDATE tasks SET attempts = 11")
    pot.fails = [ValueError("a bug")]
    await pot.time_passes()

    assert (await pot.amounts(), await pot.state(held.id)) == ((100, 0), ("changed", "ValueError"))
    assert [found.cause for found in await pot.open_exceptions()] == ["ValueError"]


async def test_what_makes_an_act_void_cancels_it(pot: Pot) -> None:
    held, done = await pot.hold(30), await pot.hold(10, timedelta(0))

    canceled = await pot.cancel()

    assert [act.id for act in canceled] == [held.id]
    assert (await pot.state(held.id), await pot.state(done.id)) == (("canceled", "disputed"), ("done", None))
    assert (await pot.amounts(), await pot.time_passes()) == ((90, 0), 0)
    with pytest.raises(NotHeld):
        await pot.undo(held.id)


async def test_an_exception_is_settled_once_in_a_way_of_its_kind(pot: Pot) -> None:
    held = await pot.hold(30)
    await pot.pour(5)
    await pot.time_passes()
    (found,) = await pot.open_exceptions()
    with pytest.raises(UnknownSettlement) as refused:
        await pot.settle(found.id, "ignore")
    assert refused.value.fields == {"allowed": ["dismiss", "do"]}
    with pytest.raises(ExceptionNotFound):
        await pot.settle(new_id(), "do")

    settled = await pot.settle(found.id, "do")

    assert (settled.settled_how, settled.settled_by) == ("do", STAFF.subject)
    assert (await pot.amounts(), await pot.state(held.id)) == ((75, 0), ("done", None))
    assert await pot.settle(found.id, "do") == settled
    with pytest.raises(AlreadySettled):
        await pot.settle(found.id, "dismiss")
    assert await pot.open_exceptions() == []


async def test_an_exception_whose_settlement_is_refused_stays_open(pot: Pot) -> None:
    held = await pot.hold(100)
    await pot.pour(-50)
    await pot.time_passes()
    (found,) = await pot.open_exceptions()

    with pytest.raises(PotEmpty):
        await pot.settle(found.id, "do")
    assert await pot.open_exceptions() == [found]
    await pot.settle(found.id, "dismiss")

    assert (await pot.amounts(), await pot.state(held.id)) == ((50, 0), ("changed", "pot_empty"))


async def test_one_exception_of_a_kind_is_open_for_a_subject(pot: Pot) -> None:
    subject = new_id()

    async def add() -> UUID | None:
        async with pot.db.worker.worker_tx() as tx:
            return await exceptions.add(tx, CLINIC, "charge_unproved", subject, "no_intent", {})

    first = await add()
    assert first is not None
    assert await add() is None
    async with pot.db.api.tx(CLINIC) as tx:
        ways = {"charge_unproved": {"seen": exceptions.nothing}}
        await exceptions.settle(tx, STAFF, first, "seen", ways)
    assert await add() is not None, "it came up again"


STEPS = ("hold", "hold_now", "undo", "dispute", "pour", "hour", "dismiss", "do")


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(STEPS), max_size=10))
async def test_whatever_happens_money_is_spent_once_and_reserved_only_while_held(
    pot: Pot, steps: list[str]
) -> None:
    """A model of all acts: what each may become, and what is in the pot."""
    await pot.db.admin.execute(
        "TRUNCATE tasks, held_acts, exceptions, reserved; UPDATE pots SET amount = 100"
    )
    poured, acts = 100, list[UUID]()
    for step in steps:
        before = {act: (await pot.state(act))[0] for act in acts}
        open_before = await pot.open_exceptions()
        match step:
            case "hold" | "hold_now":
                acts.append((await pot.hold(1, HOUR if step == "hold" else timedelta(0))).id)
            case "undo":
                for act in acts:
                    try:
                        assert (await pot.undo(act)).state == "undone"
                        assert before[act] in ("held", "undone")
                    except (AlreadyDone, NotHeld) as refused:
                        assert (
                            before[act] == {"already_done": "done"}.get(refused.code, before[act]) != "held"
                        )
            case "dispute":
                assert {act.id for act in await pot.cancel()} == {a for a in acts if before[a] == "held"}
            case "pour":
                poured += 1
                await pot.pour(1)
            case "hour":
                assert await pot.time_passes() == list(before.values()).count("held")
            case _:
                for found in open_before:
                    await pot.settle(found.id, step)
        states = [(await pot.state(act))[0] for act in acts]
        for act, state in before.items():
            now = (await pot.state(act))[0]
            assert now == state or state == "held" or (state, now) == ("changed", "done")
        assert await pot.amounts() == (poured - states.count("done"), states.count("held"))
        assert len(await pot.open_exceptions()) <= states.count("changed")
