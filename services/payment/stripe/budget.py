"""How many requests this process sends to Stripe in any second: so many in all, and so many for each account.

Stripe counts by account and answers 429 to all that is too much. So that starting payments never keeps us
from hearing how others ended, from ending them, or from refunding, starting leaves a quarter of each budget to those.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import stripe

from services.chassis.telemetry.metrics import Counter, Gauge
from services.payment.stripe.answers import StripeBusy

_held_back = Counter(
    "clinicpay.stripe.request.held_back",
    "{request}",
    "Requests to Stripe above this process's budget: a request that starts something is refused, any other waits",
    "starting",
    known=[("true",), ("false",)],
)
_left = Gauge(
    "clinicpay.stripe.budget.left",
    "{request}",
    "Requests to Stripe that this process may send within the present second",
)
_starting: ContextVar[bool] = ContextVar("starting", default=False)

PLATFORM_A_SECOND = 40
"""Stripe allows a platform 100 a second in live mode: two processes stay below."""
ACCOUNT_A_SECOND = 20
"""Stripe allows 25 a second of each call: what one account's clients do stays below."""
SECOND = 1.0
LEFT_BY_STARTS = 4
"""Starting leaves this part of a budget."""


@contextmanager
def starting() -> Iterator[None]:
    """Requests within begin something new for a client, and leave a part of the budget."""
    before = _starting.set(True)
    try:
        yield
    finally:
        _starting.reset(before)


@dataclass
class Budget:
    """The requests of the last second, by account; None is all of the platform's."""

    platform: int = PLATFORM_A_SECOND
    account: int = ACCOUNT_A_SECOND
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _sent: dict[str | None, deque[float]] = field(default_factory=lambda: defaultdict(deque))

    async def take(self, account: str) -> None:
        """Count a request that is about to be sent. It waits for its turn when there is no room for it.

        Raises `StripeBusy` instead if it is to start something.
        """
        while (seconds := self._until_room(account)) > 0:
            _held_back.add(1, str(_starting.get()).lower())
            if _starting.get():
                raise StripeBusy(StripeBusy.message, retry_after=StripeBusy.again)
            await self.sleep(seconds)
        for each in (None, account):
            self._sent[each].append(self.now())

    def left(self) -> int:
        """Requests that the platform's budget leaves in the present second."""
        self._wait(self._sent[None], self.platform, self.now())
        return self.platform - len(self._sent[None])

    def _until_room(self, account: str) -> float:
        now = self.now()
        return max(
            self._wait(self._sent[None], self.platform, now),
            self._wait(self._sent[account], self.account, now),
        )

    @staticmethod
    def _wait(sent: deque[float], budget: int, now: float) -> float:
        """Seconds until a request of this budget may be sent: when the oldest of those in its way is a second old."""
        while sent and sent[0] <= now - SECOND:
            sent.popleft()
        most = budget - budget // LEFT_BY_STARTS if _starting.get() else budget
        return sent[len(sent) - most] + SECOND - now if len(sent) >= most else 0


class CountingClient(stripe.HTTPXClient):
    """The SDK's client, which asks the budget before each request: the SDK's retries and pages count too."""

    def __init__(self, budget: Budget, timeout: float) -> None:
        super().__init__(timeout=timeout)
        self._budget = budget
        _left.read_by(lambda: {(): budget.left()})

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        await self._budget.take(headers.get("Stripe-Account", ""))
        return await super().request_async(method, url, headers, post_data)
