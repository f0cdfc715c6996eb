"""The budget of requests to Stripe, counted exactly: its clock is the test's."""

from dataclasses import dataclass, field

import pytest

from services.payment.stripe.answers import StripeBusy
from services.payment.stripe.budget import Budget, starting


@dataclass
class Clock:
    """Time that passes only when somebody sleeps."""

    at: float = 100.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds


def a_budget(clock: Clock, platform: int, account: int) -> Budget:
    return Budget(platform, account, clock.now, clock.sleep)


async def started(budget: Budget, *accounts: str) -> int:
    """How many of these starts are let through before one is refused."""
    for count, account in enumerate(accounts):
        try:
            with starting():
                await budget.take(account)
        except StripeBusy as busy:
            assert (busy.status, busy.code, busy.retry_after > 0) == (503, "stripe_busy", True)
            return count
    return len(accounts)


async def test_starts_leave_a_quarter_which_anything_else_has_at_once() -> None:
    clock = Clock()
    budget = a_budget(clock, platform=100, account=20)

    assert await started(budget, *["acct_1"] * 50) == 15
    for _ in range(5):
        await budget.take("acct_1")
    assert clock.slept == []
    assert await started(budget, "acct_1") == 0


async def test_what_books_waits_for_its_turn_and_is_never_refused() -> None:
    clock = Clock()
    budget = a_budget(clock, platform=100, account=20)

    for _ in range(45):
        await budget.take("acct_1")

    assert clock.slept == [1.0, 1.0]
    assert clock.at == 102.0


async def test_in_no_second_is_more_sent_than_allowed() -> None:
    clock = Clock()
    budget = a_budget(clock, platform=6, account=4)
    sent: list[float] = []
    for number in range(60):
        clock.at += 0.07 * (number % 3)
        await budget.take(f"acct_{number % 2}")
        sent.append(clock.at)

    assert max(sum(1 for at in sent if first <= at < first + 1) for first in sent) == 6


async def test_one_accounts_flood_leaves_the_others_theirs() -> None:
    budget = a_budget(Clock(), platform=40, account=20)

    assert await started(budget, *["acct_1"] * 50) == 15
    assert await started(budget, *["acct_2"] * 50) == 15
    # The platform's own budget ends here, with a quarter left for the rest.
    assert await started(budget, "acct_3") == 0
    assert await started(budget, "") == 0


@pytest.mark.parametrize("after", [1.0, 3.0])
async def test_a_second_later_there_is_room_again(after: float) -> None:
    clock = Clock()
    budget = a_budget(clock, platform=40, account=20)
    assert await started(budget, *["acct_1"] * 50) == 15

    clock.at += after

    assert await started(budget, *["acct_1"] * 50) == 15
