"""One request, all or nothing: the gateway is killed around each call and each commit of its own, request by request.

A counting run numbers the points of a request. Then the gateway is killed at each point, one point a run: within a
minute no operation is left, and the databases hold all of the request or nothing. The request, sent again, has its
effect once.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx2

from services.chassis.ids import new_id
from services.gateway.upstream.services import SETTINGS_SECONDS
from tests.faults import checks
from tests.faults.drive import PASSWORD, Client, TryAgain, api, persist
from tests.faults.lab import Lab, order, points_of
from tests.faults.matrix import Scenario
from tests.running.network import Held, difference, held
from tests.running.system import until

AREA = "Whole requests"
WITHIN = 60.0
"""The most seconds from a kill until the request is done or undone."""
_STRUCK = re.compile(r"(before|after) (call|Stripe|commit of (INSERT|UPDATE|DELETE|WITH)) (?!.* for update)")
"""Calls and commits, which others see. Not the sweeper's own commit (`for update`), which happens at any time."""
_OF_SWEEPS = frozenset({"payment.account_states", "payment.disputes"})
"""Tables that payment's sweeps change in their own time, whatever is asked meanwhile."""
QUICK_WRITE = "POST …/clients"
QUICK = ("before call POST /clients/…?check", "after call POST /contacts/…")
"""Of the quick request: a point where nothing is kept yet, and one where half of it is done."""

Sent = tuple[str, str, Any]
"""Method, path and body."""


async def _new_clinic(lab: Lab, label: str) -> Sent:
    kept = ("currency", "time_zone", "contact", "tax_rates")
    return "POST", "/clinics", {"slug": label, "name": label, **{name: lab.clinic[name] for name in kept}}


async def _some_settings(lab: Lab, label: str) -> Sent:
    made = await _made(lab, await _new_clinic(lab, f"old-{label}"), label)
    return "PATCH", f"/clinics/{made['id']}", {"slug": label, "name": label}


async def _new_client(lab: Lab, label: str) -> Sent:
    body = {"name": label, "email": f"{label}@example.com", "login": {"password": PASSWORD}}
    return "POST", f"/clinics/{lab.clinic['id']}/clients", body


async def _some_of_a_client(lab: Lab, label: str) -> Sent:
    method, path, body = await _new_client(lab, f"old-{label}")
    made = await _made(lab, (method, path, body), label)
    patch = {"name": label, "email": f"{label}@example.com", "billing_address": {"city": label}}
    return "PATCH", f"{path}/{made['id']}", patch


async def _staff(lab: Lab, label: str) -> Sent:
    await asyncio.sleep(SETTINGS_SECONDS)  # the gateway caches a clinic that it has just read
    body = {"email": f"{label}@example.com", "password": PASSWORD}
    return "POST", f"/clinics/{lab.clinic['id']}/staff", body


async def _made(lab: Lab, sent: Sent, label: str) -> dict[str, Any]:
    """Create the rows that the request needs; returns its body."""
    made: dict[str, Any] = await persist(lambda: api(lab, *sent, key=f"old-{label}"))
    return made


WRITES: dict[str, Callable[[Lab, str], Awaitable[Sent]]] = {
    "POST /clinics": _new_clinic,
    "PATCH /clinics/{id} with a slug": _some_settings,
    "POST …/clients": _new_client,
    "PATCH …/clients/{id}": _some_of_a_client,
    "POST …/staff": _staff,
}


@dataclass(frozen=True, slots=True)
class _Opened:
    admin: "asyncpg.Pool[asyncpg.Record]"


@dataclass(frozen=True, slots=True)
class Counted:
    """The points that an undisturbed run of a request passes, and the rows that it leaves."""

    write: str
    points: Sequence[tuple[str, int]]
    """(name, how many times it was passed before and with this)."""
    whole: tuple[Held, Held]


async def count(lab: Lab, *, quick: bool = False) -> list[Scenario]:
    """A scenario for each point of each request; quick, of one request."""
    scenarios: list[Scenario] = []
    for write in (QUICK_WRITE,) if quick else WRITES:
        counted = await _count(lab, write)
        scenarios += [_scenario(counted, point, nth) for point, nth in counted.points]
    return scenarios


async def _count(lab: Lab, write: str) -> Counted:
    label = _label()
    sent = await WRITES[write](lab, label)
    before = await _at_rest(lab, label)
    await _make_use_due(lab)
    passed = await _passed(lab, api(lab, *sent, key=label))
    return Counted(write, numbered(passed), difference(before, await _at_rest(lab, label)))


async def _make_use_due(lab: Lab) -> None:
    """Make the record of the key's use due, which is written once a minute: each request must pass that commit."""
    await lab.admin["gateway"].execute(
        "UPDATE api_keys SET last_used_at = last_used_at - interval '2 minutes'"
    )


async def _passed(lab: Lab, doing: Awaitable[object]) -> Sequence[str]:
    (lab.system.orders / "gateway.points").unlink(missing_ok=True)
    order(lab, "gateway", mode="count")
    await doing
    (lab.system.orders / "gateway.order").unlink()
    return points_of(lab, "gateway")


def numbered(passed: Sequence[str]) -> list[tuple[str, int]]:
    """Calls and commits, each with the number of its occurrence."""
    times: Counter[str] = Counter()
    for name in passed:
        times[name] += 1
    return [(name, nth) for name in times if _STRUCK.match(name) for nth in range(1, times[name] + 1)]


def _scenario(counted: Counted, point: str, nth: int) -> Scenario:
    async def play(lab: Lab, _: Client) -> str:
        return await _strike(lab, counted, point, nth)

    times = f", {nth}. time" if nth > 1 else ""
    quick = nth == 1 and counted.write == QUICK_WRITE and point in QUICK
    return Scenario(AREA, f"{counted.write}, gateway killed {point}{times}", play, quick=quick)


async def _strike(lab: Lab, counted: Counted, point: str, nth: int) -> str:
    label = _label()
    sent = await WRITES[counted.write](lab, label)
    before = await _at_rest(lab, label)
    await _make_use_due(lab)
    killed_at = await _killed(lab, sent, label, point, nth)
    left = await _ended(lab, before, label, killed_at + WITHIN)
    seconds = asyncio.get_running_loop().time() - killed_at
    if left not in (counted.whole, _nothing()):
        raise checks.Breach(f"a part of the request: {left}")
    await persist(lambda: api(lab, *sent, key=label))
    if (left_again := difference(before, await _at_rest(lab, label))) != counted.whole:
        raise checks.Breach(f"sent again: {left_again}, not {counted.whole}")
    return f"{'all' if left == counted.whole else 'nothing'} after {seconds:.0f} s"


async def _killed(lab: Lab, sent: Sent, label: str, point: str, nth: int) -> float:
    """Send the request once, so that it kills the gateway. Returns when, by the loop's clock."""
    died, before = lab.system.orders / "gateway.died", lab.keeper.statuses["gateway"].restarts
    died.unlink(missing_ok=True)
    order(lab, "gateway", mode="kill", point=point, nth=nth)
    with suppress(httpx2.HTTPError, TryAgain):
        await api(lab, *sent, key=label)
    killed_at = asyncio.get_running_loop().time()
    if not died.exists():
        raise checks.Breach("the request did not pass this point again")
    await until(lambda: lab.keeper.statuses["gateway"].restarts > before, WITHIN)
    return killed_at


async def _ended(lab: Lab, before: Held, label: str, deadline: float) -> tuple[Held, Held]:
    """The rows that the request has left once no operation is left, without sending it again. Raises `Breach`."""
    try:
        async with asyncio.timeout_at(deadline):
            while not lab.runs("gateway") or await lab.value("gateway", "SELECT count(*) FROM operations"):
                await asyncio.sleep(0.1)
            return difference(before, await _at_rest(lab, label))
    except TimeoutError:
        raise checks.Breach(f"not ended after {WITHIN:.0f} s") from None


async def _at_rest(lab: Lab, label: str) -> Held:
    await checks.drained(lab)
    rows = await held({name: _Opened(pool) for name, pool in lab.admin.items()}, label)
    return Counter({row: times for row, times in rows.items() if row[0] not in _OF_SWEEPS})


def _nothing() -> tuple[Held, Held]:
    return Counter(), Counter()


def _label() -> str:
    """A label that no other run uses."""
    return f"whole{str(new_id()).replace('-', '')[-12:]}"
