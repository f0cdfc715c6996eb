"""Crash at every commit point: a counting run numbers the points, then a process dies at each of them."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults import checks, dispute_faults
from tests.faults.crashing import MAILED
from tests.faults.drive import Bill, Client
from tests.faults.lab import Lab, order, points_of
from tests.faults.matrix import Scenario

AREA = "Crash at a commit point"
IDLE_SECONDS = 2.5
MOST_TRIES = 3
"""A batch may hold one event or two, so a point may be missed, and is tried again."""

Flow = Callable[[Client], Awaitable[Bill]]


async def pay(client: Client) -> Bill:
    bill = await client.issue()
    await client.pay(bill)
    return bill


async def decline(client: Client) -> Bill:
    """A declined card, and then a good one."""
    bill = await client.issue()
    await client.decline(bill)
    await client.pay(bill)
    return bill


async def prove(client: Client) -> Bill:
    """A card whose bank asks for 3-D Secure."""
    bill = await client.issue()
    await client.pay(bill, "pm_card_threeDSecure2Required")
    return bill


async def correct(client: Client) -> Bill:
    """Beside a paid invoice, one that is credited in part once it is paid, one that is void, and one written off."""
    bill, credited = await pay(client), await pay(client)
    await client.correct(credited, "credit-notes", amount={"minor": 2_500, "currency": "EUR"})
    for verb in ("void", "write-off"):
        await client.correct(await client.issue(), verb)
    return bill


async def dispute(client: Client) -> Bill:
    """Beside a paid invoice, one whose payer disputes the payment: evidence is submitted, and the dispute is won."""
    bill, disputed = await pay(client), await pay(client)
    lab = client.lab
    at_stripe = await dispute_faults.take_back(lab, disputed)
    row = await dispute_faults.booked(lab, at_stripe, "needs_response")
    await dispute_faults.submit(lab, str(row["id"]))
    await dispute_faults.hasten(lab)
    await dispute_faults.answered_once(lab, at_stripe)
    await dispute_faults.decide(lab, at_stripe, "won")
    await dispute_faults.booked(lab, at_stripe, "won")
    return bill


MAIN_FLOW = "pay"
FLOWS: dict[str, Flow] = {
    MAIN_FLOW: pay,
    "decline, then pay": decline,
    "3-D Secure": prove,
    "pay, then correct": correct,
    "pay, then dispute": dispute,
}


@dataclass(frozen=True, slots=True)
class Point:
    """The nth time that a process passes a point in a flow."""

    flow: str
    process: str
    name: str
    nth: int


async def count(lab: Lab, client: Client) -> list[Point]:
    """Every point of every process once: a later flow adds the points that the earlier ones did not pass."""
    idle = await passed(lab, asyncio.sleep(IDLE_SECONDS))
    found: dict[tuple[str, str, int], Point] = {}
    for flow, play in FLOWS.items():
        seen = await passed(lab, _to_rest(lab, client, play))
        for process, names in seen.items():
            for point in _numbered(flow, process, names, set(idle[process])):
                found.setdefault((process, point.name, point.nth), point)
    return list(found.values())


async def _to_rest(lab: Lab, client: Client, flow: Flow) -> None:
    await checks.drained(lab, [await flow(client)])


async def passed(lab: Lab, doing: Awaitable[object]) -> dict[str, Sequence[str]]:
    """The points that each process passes meanwhile, in order."""
    for process in lab.processes:
        (lab.system.orders / f"{process}.points").unlink(missing_ok=True)
        order(lab, process, mode="count")
    await doing
    names = {process: points_of(lab, process) for process in lab.processes}
    for process in lab.processes:
        (lab.system.orders / f"{process}.order").unlink(missing_ok=True)
    return names


def _numbered(flow: str, process: str, names: Sequence[str], idle: set[str]) -> list[Point]:
    """Number the points. One that an idle process also passes is listed once."""
    passed: Counter[str] = Counter()
    points = []
    for name in names:
        passed[name] += 1
        if name not in idle or passed[name] == 1:
            points.append(Point(flow, process, name, passed[name]))
    return points


def spread(points: Sequence[Point]) -> list[Point]:
    """The last point of each process after an effect that cannot be undone and before its record."""
    wanted = (
        "after commit",
        "after Stripe",
        "after mail",
        "after send to payment.settled",
    )
    picked: dict[tuple[str, str], Point] = {}
    for point in points:
        for start in wanted:
            if _of_main_flow(point) and point.name.startswith(start):
                picked[point.process, start] = point
    return list(picked.values())


def _of_main_flow(point: Point) -> bool:
    """Whether each run of the main flow passes the point at least once."""
    return point.flow == MAIN_FLOW and point.nth == 1 and point.process != "gateway"


def scenario(number: int, point: Point) -> Scenario:
    async def play(lab: Lab, client: Client) -> str:
        return await _die_at(lab, client, point)

    times = f", {point.nth}. time" if point.nth > 1 else ""
    return Scenario(AREA, f"{number}. {point.process} {point.name}{times} [{point.flow}]", play, quick=True)


async def _die_at(lab: Lab, client: Client, point: Point) -> str:
    """Kill the process at the point during the flow, restart it, and check the promises about the invoice."""
    died = _died_file(lab, point)
    for _ in range(MOST_TRIES):
        bill = await _run_once(lab, client, point)
        may_repeat = died.exists() and died.read_text() == MAILED
        remark = await checks.paid_once(lab, bill, mails_may_repeat=may_repeat)
        if died.exists():
            return remark
    return f"not passed in {MOST_TRIES} more runs: its events came in other batches"


async def _run_once(lab: Lab, client: Client, point: Point) -> Bill:
    """Run the flow again with the order to die at the point, until the system is at rest."""
    _died_file(lab, point).unlink(missing_ok=True)
    order(lab, point.process, mode="kill", point=point.name, nth=point.nth)
    bill = await FLOWS[point.flow](client)
    await checks.drained(lab, [bill])
    (lab.system.orders / f"{point.process}.order").unlink(missing_ok=True)
    if _died_file(lab, point).exists():
        await lab.all_run()
        await checks.drained(lab, [bill])
    return bill


def _died_file(lab: Lab, point: Point) -> Path:
    """The file in which a process notes that it died as ordered: `MAILED`, if the mail server had an e-mail that is not
    recorded as sent. Only then an e-mail may be sent twice.
    """
    return lab.system.orders / f"{point.process}.died"
