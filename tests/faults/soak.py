"""Kills and freezes processes at random under a modest load, by a seed, for a limited time."""

import asyncio
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from deploy.local.demo.visitor import Visitor
from tests.faults import checks
from tests.faults.drive import Bill, Client
from tests.faults.lab import Lab

PAUSES = (0.5, 4.0)
FROZEN = (0.5, 9.0)
PAYERS = 3
CARDS = ("pm_card_visa", "pm_card_visa", "pm_card_mastercard", "pm_card_threeDSecure2Required", "decline")
SERVERS = ("postgres", "kafka", "sandbox", "mailbox")


@dataclass(frozen=True, slots=True)
class Blow:
    """A fault of a process: `kill`, or `freeze` for so many seconds, after a pause."""

    after: float
    process: str
    freeze: float | None


def blows(seed: int, processes: list[str], seconds: float) -> list[Blow]:
    """The blows of a seed, always the same. Servers are hit an eighth as often as each of our own processes."""
    chance = random.Random(seed)
    weights = [0.125 if name in SERVERS else 1.0 for name in processes]
    plan, total = [], 0.0
    while total < seconds:
        after = chance.uniform(*PAUSES)
        (process,) = chance.choices(processes, weights)
        freeze = chance.uniform(*FROZEN) if chance.random() < 0.4 else None
        plan.append(Blow(after, process, freeze))
        total += after
    return plan


@dataclass
class Soak:
    """One run: the paying clients, the paid bills and the blows."""

    lab: Lab
    seed: int
    seconds: float
    say: Callable[[str], None]
    bills: list[Bill] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    struck: int = 0
    _thaws: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self) -> str:
        """Strike while clients pay; then stop, drain and check every bill. Raises `checks.Breach`."""
        ends = time.monotonic() + self.seconds
        payers = [asyncio.create_task(self._pay_until(ends, number)) for number in range(PAYERS)]
        await self._strike(ends)
        await asyncio.gather(*self._thaws)
        await self.lab.quiet()
        await asyncio.gather(*payers)
        await checks.drained(self.lab, self.bills, within=180)
        remarks = [await checks.paid_once(self.lab, bill, mails_may_repeat=True) for bill in self.bills]
        if self.failures:
            raise checks.Breach(f"clients that gave up: {self.failures[:5]}")
        repeated = sum(bool(remark) for remark in remarks)
        return (
            f"seed {self.seed}, {self.seconds:.0f} s: {self.struck} blows, {len(self.bills)} invoices paid once each, "
            f"{repeated} letters repeated"
        )

    async def _strike(self, ends: float) -> None:
        processes = sorted(name for name in self.lab.keeper.statuses if self.lab.keeper.statuses[name].pid)
        for blow in blows(self.seed, processes, self.seconds):
            await asyncio.sleep(blow.after)
            if time.monotonic() > ends:
                return
            status = self.lab.keeper.statuses[blow.process]
            if status.pid is None:
                continue
            self.struck += 1
            if blow.freeze is None:
                self.lab.kill(blow.process, signal.SIGKILL if blow.process != "postgres" else signal.SIGQUIT)
            else:
                self._thaws.add(asyncio.create_task(self._freeze(blow.process, blow.freeze)))

    async def _freeze(self, process: str, seconds: float) -> None:
        with self.lab.frozen(process):
            await asyncio.sleep(seconds)

    async def _pay_until(self, ends: float, number: int) -> None:
        chance = random.Random(f"{self.seed}-{number}")
        async with Visitor(self.lab.system.public_url) as visitor:
            client = Client(self.lab, visitor)
            await client.log_in()
            while time.monotonic() < ends:
                try:
                    await self._one(client, chance)
                except Exception as error:
                    self.failures.append(f"{type(error).__name__}: {error}")
                await asyncio.sleep(chance.uniform(0.2, 1.5))

    async def _one(self, client: Client, chance: random.Random) -> None:
        bill = await client.issue(chance.randint(100, 50_000))
        card = chance.choice(CARDS)
        if card == "decline":
            await client.decline(bill)
        await client.pay(bill, "pm_card_visa" if card == "decline" else card)
        self.bills.append(bill)
