"""Sends events as Stripe does: signed, at least once, in no promised order, until the endpoint says 2xx.

Events that wait to be sent are kept in the store, so that a restart continues with them.
"""

import asyncio
import hashlib
import hmac
import random
import time
from collections.abc import Sequence

import httpx2
import msgspec

from deploy.sandbox.errors import Json
from deploy.sandbox.faults import Faults, WebhookFault
from deploy.sandbox.store import Store

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 30.0
ATTEMPT_TIMEOUT = 10.0
IN_FLIGHT = 64


def signature(secret: str, body: bytes, at: int) -> str:
    """The `Stripe-Signature` header over the raw body."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


class Sender:
    """Use as an async context manager; `send` returns at once."""

    def __init__(self, store: Store, faults: Faults, url: str, secret: str) -> None:
        self._store = store
        self._faults = faults
        self._url = url
        self._secret = secret
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self._held: list[str] = []
        self._client: httpx2.AsyncClient | None = None

    async def __aenter__(self) -> "Sender":
        limits = httpx2.Limits(max_connections=IN_FLIGHT, max_keepalive_connections=IN_FLIGHT)
        self._client = httpx2.AsyncClient(limits=limits, timeout=ATTEMPT_TIMEOUT, trust_env=False)
        if self._url:
            for event in self._store.waiting_deliveries():
                self._start(event)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client:
            await self._client.aclose()

    def send(self, events: Sequence[str]) -> None:
        for event in events:
            self._send(
                event, self._faults.for_event(self._event(event)["type"]) if self._faults.webhooks else None
            )

    def resend(self, event: str) -> None:
        """Send an event again, whatever became of it before, and without faults."""
        self._start(event)

    def _send(self, event: str, fault: WebhookFault | None) -> None:
        match fault.kind if fault else None:
            case "drop":
                self._store.mark_delivery(event, "dropped")
            case "delay" if fault:
                self._start(event, fault.milliseconds / 1000)
            case "double" if fault:
                self._start(event)
                self._start(event, fault.milliseconds / 1000)
            case "reorder" if fault:
                self._hold(event, release=fault.count == 0)
            case _:
                self._start(event)

    def let_go(self) -> None:
        """Send what `reorder` holds, newest first."""
        newest_first, self._held = self._held[::-1], []
        if newest_first:
            self._keep(asyncio.create_task(self._deliver_in_order(newest_first)))

    def _hold(self, event: str, release: bool) -> None:
        self._held.append(event)
        if release:
            self.let_go()

    def _start(self, event: str, pause: float = 0.0) -> None:
        self._keep(asyncio.create_task(self._deliver(event, pause)))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver_in_order(self, events: Sequence[str]) -> None:
        for event in events:
            await self._deliver(event)

    async def _deliver(self, event: str, pause: float = 0.0) -> None:
        """Try until the endpoint takes it."""
        body = msgspec.json.format(msgspec.json.encode(self._event(event)), indent=2)
        attempt = 0
        await asyncio.sleep(pause)
        while not await self._attempt(body):
            self._store.mark_delivery(event, "waiting")
            await asyncio.sleep(min(FIRST_PAUSE * 2**attempt, LONGEST_PAUSE) * random.uniform(0.8, 1.2))
            attempt = min(attempt + 1, 16)
        self._store.mark_delivery(event, "delivered")

    async def _attempt(self, body: bytes) -> bool:
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": signature(self._secret, body, int(time.time())),
        }
        assert self._client, "the sender is used inside its context"
        async with self._slots:
            try:
                answer = await self._client.post(self._url, content=body, headers=headers)
            except httpx2.HTTPError:
                return False
        return answer.is_success

    def _event(self, id: str) -> Json:
        delivery = self._store.delivery(id)
        event = self._store.get(delivery["account"], id) if delivery else None
        if event is None:
            raise LookupError(f"no event {id}")
        return event
