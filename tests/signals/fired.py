"""`./clinicpay alerts`: real faults and a real Prometheus. Each alert fires, and ends after them; each panel has data.

It takes six to eight minutes. `test_rules.py` fires the alerts by series, at the paces that they have in production.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from deploy.local.demo.visitor import Visitor
from tests.faults import checks, drive
from tests.faults.drive import Client
from tests.faults.lab import Lab, lab
from tests.signals import causes
from tests.signals.prometheus import Prometheus, prometheus, served
from tests.signals.rules import alerts
from tests.tools.dashboards import DASHBOARDS

OF_ROWS = {"EventsParked", "QueueBehind", "ExceptionsWait", "EmailsNotSent"}
OF_PEOPLE = {"EmailsFail", "DeclinesRise"}
OF_CLOCKS = {"ClockOff"}
OF_RIGHTS = {"JobFails", "SweepNotRunning"}
OF_BOOKS = {"BooksDisagree", "BooksNotVerified"}
OF_LOCKS = {"ConnectionsUsedUp"}
OF_CROWDS = {"StripeBudgetSpent"}
WHEN_OVER = {"PaidLate", "ReceiptsLate"}
"""A late thing shows itself once it is done."""
FIRES_WITHIN = 150.0
LOCKED = 25.0
"""Less than a statement may take."""
ENDS_WITHIN = 180.0
Say = Callable[[str], None]


@dataclass
class Watched:
    """The system, its client, its Prometheus, and the file of `verify` that it reads."""

    lab: Lab
    client: Client
    prom: Prometheus
    textfile: Path
    say: Say

    async def fire(self, expected: set[str], seconds: float = FIRES_WITHIN) -> set[str]:
        """Wait until all of these have fired at some time. Answers the ones that have not."""
        deadline = asyncio.get_running_loop().time() + seconds
        while (
            missing := expected - await self.prom.fired()
        ) and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(1)
        self.say(f"fired: {', '.join(sorted(expected - missing))}")
        return missing


async def run(say: Say) -> list[str]:
    """Cause the faults. Answers the alerts that did not fire or end, and the panels without data."""
    async with AsyncExitStack() as stack:
        watched = await _begin(stack, say)
        prom = watched.prom
        await _quiet(prom)
        say("nothing fires before the faults")
        async with causes.mail_put_off(watched.lab) as mails:
            late = await causes.paid_late_receipts(watched.client)
            await _faults(watched, mails)
            await causes.settled(watched.lab)
            await watched.client.issue()  # the gateway asks invoice, whose clock is right again
            await asyncio.sleep(max(late - asyncio.get_running_loop().time(), 0))
            mails.full = False
            await watched.lab.make_time_pass()
            missing = await watched.fire(set(alerts()))
        wrong = [f"{name} did not fire" for name in sorted(missing)]
        wrong += [f"{name} did not end" for name in sorted(await _end(prom, ENDS_WITHIN))]
        wrong += [f"the panel {title!r} had no data" for title in await _empty_panels(prom)]
    return wrong


async def _begin(stack: AsyncExitStack, say: Say) -> Watched:
    """An installation that has seen every kind of day, beside Prometheus."""
    place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="clinicpay-alerts-")))
    one = await stack.enter_async_context(lab(causes.SETTINGS))
    await drive.put_on(one)
    textfile = place / "verify.prom"
    await causes.verified(one.access, textfile)
    address = await stack.enter_async_context(served(textfile))
    configuration = one.system.data.path / "prometheus.json"
    prom = await stack.enter_async_context(prometheus(configuration, place, address))
    client = Client(one, await stack.enter_async_context(Visitor(one.system.public_url)))
    await client.log_in()
    await causes.everyday(one, client)
    await checks.drained(one)
    return Watched(one, client, prom, textfile, say)


async def _faults(watched: Watched, mails: causes.Mails) -> None:
    """Each fault until its alert has fired, the ones that are over by themselves and the late ones aside."""
    one, client = watched.lab, watched.client
    async with causes.sweep_may_not(one):
        with one.clock_off("invoice.api", causes.CLOCK_SECONDS):
            _, broken, *_ = await asyncio.gather(
                causes.old_rows(one),
                causes.books_broken(one, client, watched.textfile),
                causes.mails_refused(one, client, mails),
                causes.declined(client),
            )
            await watched.fire(OF_ROWS | OF_BOOKS | OF_PEOPLE | OF_CLOCKS | OF_RIGHTS)
        await causes.mend_books(one, broken, watched.textfile)
    async with causes.many_pay_at_once(client):
        await watched.fire(OF_CROWDS)
    async with causes.invoices_locked(one):
        await watched.fire(OF_LOCKS, LOCKED)
    async with AsyncExitStack() as faults:
        await causes.parts_away(one, client, faults)
        await watched.fire(set(alerts()) - WHEN_OVER)


async def _quiet(prom: Prometheus) -> None:
    left = await _end(prom, ENDS_WITHIN)
    if left:
        raise AssertionError(f"before any fault these fire: {left}")


async def _end(prom: Prometheus, seconds: float) -> set[str]:
    deadline = asyncio.get_running_loop().time() + seconds
    while (now := await prom.firing()) and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(1)
    return now


async def _empty_panels(prom: Prometheus) -> list[str]:
    return [
        f"{panel.title}: {legend}"
        for _, panels in DASHBOARDS.values()
        for panel in panels
        for legend, expression in panel.asks
        if not await prom.ever(expression)
    ]


def main() -> int:
    """Run it, and tell. 1 if something is wrong."""
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:4.0f} s  {line}", file=sys.stderr, flush=True)

    wrong = asyncio.run(run(say))
    say("the end")
    for line in wrong:
        print(line)
    print(f"{len(alerts())} alerts by real faults, {len(wrong)} faults found")
    return 1 if wrong else 0
