"""Held acts: processes die at each call and each commit while an act is held, is undone, and becomes due.

A counting run numbers the points of each act and ending. Then one process is killed at one point a run: whatever it was
about to do, the act is done once or undone once, never both, and all books agree. People press again, as they do.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from deploy.local.demo.visitor import Refused
from services.chassis.ids import new_id
from tests.faults import checks, crash_points, refund_faults
from tests.faults.drive import Bill, Client, api, invoice_body, persist
from tests.faults.lab import Lab, order
from tests.faults.matrix import Play, Scenario, scenario
from tests.faults.whole_requests import numbered
from tests.running.system import until

AREA = "Held acts"
Ending = Literal["done", "undone", "changed"]
Service = Literal["invoice", "payment"]
QUICK = "commit of UPDATE tasks"
"""Of the worker, where the act is done."""


@dataclass(frozen=True, slots=True)
class Act:
    """A kind of act: what it is about, how it is asked for, and the check that it was done once or never."""

    kind: str
    service: Service
    about: Callable[[Client], Awaitable[Bill]]
    request: Callable[[Lab, Bill], tuple[str, dict[str, Any]]]
    check: Callable[[Lab, Bill, Ending], Awaitable[None]]
    change: Callable[[Client, Bill], Awaitable[object]] | None = None
    """Makes the act one that cannot be done any more."""

    @property
    def processes(self) -> tuple[str, ...]:
        return "gateway", f"{self.service}.api", f"{self.service}.worker"


@dataclass(frozen=True, slots=True)
class Point:
    """The nth time that a process passes a point on the way of an act to an ending."""

    act: Act
    ending: Ending
    process: str
    name: str
    nth: int


async def _unpaid(client: Client) -> Bill:
    bill = await client.issue()
    await checks.drained(client.lab)
    return bill


async def _paid(client: Client) -> Bill:
    bill = await client.issue()
    await client.pay(bill)
    await checks.drained(client.lab, [bill])
    return bill


def _replacement(lab: Lab, bill: Bill) -> tuple[str, dict[str, Any]]:
    body = {"reason": "wrong_amount", "invoice": invoice_body(lab, 8_000, external_id=f"new-{bill.id}")}
    return f"invoices/{bill.id}/correct", body


def _refund(_: Lab, bill: Bill) -> tuple[str, dict[str, Any]]:
    return "refunds", {"payment_id": bill.payment_id}


async def _give_its_id_away(client: Client, bill: Bill) -> None:
    await client.issue(external_id=f"new-{bill.id}")


async def _check_replacement(lab: Lab, bill: Bill, ending: Ending) -> None:
    documents = await lab.sql(
        "invoice",
        """
        SELECT d.id, d.total_amount, new.id AS new_id, new.total_amount AS new_total
        FROM invoice_documents AS d LEFT JOIN invoices AS new ON new.id = d.new_invoice_id
        WHERE d.invoice_id = $1
        """,
        bill.id,
    )
    sums = [(each["total_amount"], each["new_total"]) for each in documents]
    wanted = [(bill.total, 8_000)] if ending == "done" else []
    if sums != wanted:
        raise checks.Breach(f"credited and issued: {sums}, not {wanted}")
    subjects = [str(each[name]) for each in documents for name in ("id", "new_id")]
    sent = await lab.sql(
        "notification",
        "SELECT template FROM deliveries WHERE subject_id = ANY ($1::uuid[]) ORDER BY template",
        subjects,
    )
    if ending == "done" and [each["template"] for each in sent] != ["credit_note", "invoice_ready"]:
        raise checks.Breach(f"letters: {sent}")


async def _check_refund(lab: Lab, bill: Bill, ending: Ending) -> None:
    if ending == "done":
        await refund_faults.refunded_once(lab, bill)
        return
    made = [each["id"] for each in await refund_faults.at_stripe(lab, bill)]
    rows = await lab.sql("payment", "SELECT status FROM refunds WHERE payment_id = $1::uuid", bill.payment_id)
    if made or [row["status"] for row in rows] != ["canceled"]:
        raise checks.Breach(f"undone, and here {rows}, at Stripe {made}")


REPLACEMENT = Act("replacement", "invoice", _unpaid, _replacement, _check_replacement, _give_its_id_away)
REFUND = Act("refund", "payment", _paid, _refund, _check_refund)
_WAYS: tuple[tuple[Act, Ending], ...] = (
    (REPLACEMENT, "done"),
    (REPLACEMENT, "undone"),
    (REPLACEMENT, "changed"),
    (REFUND, "done"),
    (REFUND, "undone"),
)


@asynccontextmanager
async def hours(lab: Lab, count: int = 1) -> AsyncIterator[None]:
    """A clinic that holds acts while the block runs; payment knows of it a moment later."""
    await _set_hours(lab, count)
    try:
        yield
    finally:
        await lab.quiet()
        await _set_hours(lab, 0)


async def _set_hours(lab: Lab, count: int) -> None:
    path = f"/clinics/{lab.clinic['id']}"
    await persist(lambda: api(lab, "PATCH", path, {"undo_hours": count}))
    known = "SELECT undo_hours = $2 FROM clinics WHERE clinic_id = $1::uuid"
    await until(lambda: lab.value("payment", known, lab.clinic["id"], count), 60)


@dataclass(frozen=True, slots=True)
class Held:
    """An act that is held."""

    lab: Lab
    act: Act
    bill: Bill
    id: str

    async def become_due(self) -> None:
        """The act's time has come, and the one of a task that its doing adds."""
        await self.lab.admin[self.act.service].execute(
            "UPDATE tasks SET due_at = now() WHERE key = $1::uuid AND state = 'due'", self.id
        )

    async def undo(self) -> Any:
        """Press undo until it is answered. Raises `Refused`."""
        path = f"/clinics/{self.lab.clinic['id']}/held-acts/{self.id}/undo"
        return await persist(lambda: api(self.lab, "POST", path))

    async def state(self) -> str:
        found = await self.lab.value(
            self.act.service, "SELECT state FROM held_acts WHERE id = $1::uuid", self.id
        )
        return str(found)

    async def ended(self) -> None:
        """Wait until it is not held any more, and nothing is left to do of it."""
        await until(self.is_over, 90)

    async def is_over(self) -> bool:
        return await self.state() != "held" and not await self.lab.value(
            self.act.service, "SELECT count(*) FROM tasks WHERE key = $1::uuid AND state = 'due'", self.id
        )

    async def check(self, ending: Ending) -> None:
        """Raise `Breach` unless it ended so, once."""
        await checks.drained(self.lab)
        if (state := await self.state()) != ending:
            raise checks.Breach(f"the act is {state}, not {ending}")
        subject = self.bill.payment_id if self.act is REFUND else self.bill.id
        acts = "SELECT count(*) FROM held_acts WHERE subject_id = $1::uuid"
        if (count := await self.lab.value(self.act.service, acts, subject)) != 1:
            raise checks.Breach(f"{count} acts of one press")
        await self.act.check(self.lab, self.bill, ending)
        await self._dismiss(1 if ending == "changed" else 0)

    async def _dismiss(self, wanted: int) -> None:
        """Raise `Breach` unless there are so many exceptions of the act, and dismiss them."""
        path = f"/clinics/{self.lab.clinic['id']}/exceptions"
        listed = await persist(lambda: api(self.lab, "GET", path))
        found = [each["id"] for each in listed["items"] if each["subject_id"] == self.id]
        if len(found) != wanted:
            raise checks.Breach(f"{len(found)} exceptions, not {wanted}")
        for each in found:
            await persist(partial(api, self.lab, "POST", f"{path}/{each}/settle", {"how": "dismiss"}, each))


async def hold(lab: Lab, act: Act, bill: Bill) -> Held:
    """Press until it is held, all tries with one idempotency key."""
    end, body = act.request(lab, bill)
    key, path = str(new_id()), f"/clinics/{lab.clinic['id']}/{end}"
    made = await persist(lambda: api(lab, "POST", path, body, key=key))
    [one] = made.get("held_acts", [made])
    return Held(lab, act, bill, one["id"])


async def _go(client: Client, act: Act, bill: Bill, ending: Ending) -> Held:
    """Hold the act, and end it so."""
    held = await hold(client.lab, act, bill)
    if ending == "changed" and act.change:
        await act.change(client, bill)
    if ending == "undone":
        await held.undo()
    else:
        await held.become_due()
        await until(lambda: _ends_or_died(held), 60)
    return held


async def _ends_or_died(held: Held) -> bool:
    died = any((held.lab.system.orders / f"{each}.died").exists() for each in held.act.processes)
    return died or await held.is_over()


async def count(lab: Lab, client: Client, *, quick: bool = False) -> list[Scenario]:
    """A scenario for each point of each act and ending; quick, of one. Undoing adds only what doing did not pass."""
    found: dict[tuple[str, bool, str, str, int], Point] = {}
    ways: tuple[tuple[Act, Ending], ...] = _WAYS[:1] if quick else _WAYS
    idle = await crash_points.passed(lab, asyncio.sleep(crash_points.IDLE_SECONDS))
    async with hours(lab):
        for act, ending in ways:
            bill = await act.about(client)
            going = asyncio.create_task(_to_rest(client, act, bill, ending))
            names = await crash_points.passed(lab, going)
            await going.result().check(ending)
            for process in _struck(act, ending):
                own = [name for name in names[process] if name not in idle[process]]
                for name, nth in numbered(own):
                    # Doing it and making an exception of it are commits of one name.
                    way = (act.kind, ending == "changed", process, name, nth)
                    found.setdefault(way, Point(act, ending, process, name, nth))
    return [_scenario(number, point) for number, point in enumerate(found.values(), 1)]


def _struck(act: Act, ending: Ending) -> tuple[str, ...]:
    """The processes that a way is tried on: an act is held and changed alike, but for the worker."""
    return (f"{act.service}.worker",) if ending == "changed" else act.processes


async def _to_rest(client: Client, act: Act, bill: Bill, ending: Ending) -> Held:
    _forget_deaths(client.lab)
    held = await _go(client, act, bill, ending)
    await held.ended()
    await checks.drained(client.lab)
    return held


def _scenario(number: int, point: Point) -> Scenario:
    async def play(lab: Lab, client: Client) -> str | None:
        return await _die_at(lab, client, point)

    times = f", {point.nth}. time" if point.nth > 1 else ""
    fault = f"{number}. {point.process} dies {point.name}{times} [a {point.act.kind} that is {point.ending}]"
    quick = point.act is REPLACEMENT and point.ending == "done" and point.name == f"before {QUICK}"
    return Scenario(AREA, fault, play, quick=quick)


async def _die_at(lab: Lab, client: Client, point: Point) -> str | None:
    died = lab.system.orders / f"{point.process}.died"
    async with hours(lab):
        bill = await point.act.about(client)
        _forget_deaths(lab)
        order(lab, point.process, mode="kill", point=point.name, nth=point.nth)
        held = await _go(client, point.act, bill, point.ending)
        await _recovered(held)
        await held.check(point.ending)
    return None if died.exists() else "not passed again: its events came in other batches"


def _forget_deaths(lab: Lab) -> None:
    for each in lab.system.orders.glob("*.died"):
        each.unlink()


async def _recovered(held: Held) -> None:
    """Wait until all processes run again and the act is over. A claim that a killed process left runs out at once."""
    await held.lab.all_run()
    await held.lab.admin[held.act.service].execute(
        "UPDATE tasks SET claimed_until = now() WHERE key = $1::uuid AND claimed_until IS NOT NULL", held.id
    )
    await held.ended()


def _races(act: Act, moment: Literal["before", "after"]) -> Play:
    """The worker stands still around the commit that does the act, somebody presses undo, and the worker dies."""

    async def play(lab: Lab, client: Client) -> str:
        died = lab.system.orders / f"{act.service}.worker.died"
        async with hours(lab):
            held = await hold(lab, act, await act.about(client))
            _forget_deaths(lab)
            order(lab, f"{act.service}.worker", mode="freeze", point=f"{moment} {QUICK}", nth=1)
            await held.become_due()
            await until(died.exists, 60)
            undoing = asyncio.create_task(held.undo())
            if moment == "before":
                await until(lambda: _waits(held), 30)
            else:
                await asyncio.wait([undoing])
            await lab.restart(f"{act.service}.worker")
            try:
                await undoing
                answer: Ending = "undone"
            except Refused as refused:
                if "already_done" not in str(refused):
                    raise
                answer = "done"
            await _recovered(held)
            await held.check(answer)
        if answer != ("undone" if moment == "before" else "done"):
            raise checks.Breach(f"the worker stood {moment} its commit, and the act is {answer}")
        return answer

    return play


async def _waits(held: Held) -> bool:
    """Whether a session of the service waits for a lock."""
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    return bool(await held.lab.value(held.act.service, waiting))


for _act in (REPLACEMENT, REFUND):
    scenario(AREA, f"undo waits while the worker does a {_act.kind}, and dies before its commit")(
        _races(_act, "before")
    )
    scenario(AREA, f"undo comes when the worker has committed a {_act.kind}, and dies after it")(
        _races(_act, "after")
    )
