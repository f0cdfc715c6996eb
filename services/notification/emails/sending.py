"""Sending: e-mails whose time has come, over a few connections at once, outside of any transaction."""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import stamina
import structlog
from opentelemetry.trace import SpanKind, StatusCode

from services.chassis.db.database import Database, is_transient
from services.chassis.telemetry.traces import span_from
from services.notification.emails import actions, domain
from services.notification.emails import mime as messages
from services.notification.emails.domain import Claim, Delivery, Letter, Outcome, Refusal, Sent
from services.notification.emails.rendering import Letters
from services.notification.emails.smtp import SEND_SECONDS, SERVER_AWAY, Smtp

log = structlog.get_logger()

BATCH = 100
A_LANE = 5
"""E-mails for which another connection is worth its opening."""
LEASE = timedelta(seconds=3 * SEND_SECONDS)
RECORD_SECONDS = 20.0
"""How long the record of a sent e-mail is tried, within the lease."""
POLL_SECONDS = 1.0
LONGEST_PAUSE = 30.0
STOP_SECONDS = 8.0


class Sender:
    """Claims, writes and sends e-mails. Many may run, in as many processes: each e-mail is one's at a time.

    At least once: an e-mail that the server took while the record of it was lost goes again, with the same
    Message-ID.
    """

    def __init__(self, db: Database, letters: Letters, lanes: Sequence[Smtp], mail_from: str) -> None:
        self._db, self._letters, self._lanes, self._mail_from = db, letters, lanes, mail_from
        self._work = asyncio.Event()
        self._stop = asyncio.Event()
        self._server_away = False
        self._random = random.Random()

    def wake(self) -> None:
        """There may be something to send."""
        self._work.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send until the block ends; an e-mail under way is finished first, when that is quick."""
        sending = asyncio.create_task(self._run())
        try:
            yield
        finally:
            self._stop.set()
            self._work.set()
            await asyncio.wait([sending], timeout=STOP_SECONDS)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await asyncio.gather(*(smtp.close() for smtp in self._lanes))

    async def send_due(self) -> int:
        """Deal with what is due, at most a batch; with how many. Raises when the database is away.

        Ends early, and gives the rest back, when the mail server is away or the lease could run out.
        """
        last_start = asyncio.get_running_loop().time() + LEASE.total_seconds() - SEND_SECONDS - RECORD_SECONDS
        self._server_away = False
        async with self._db.worker_tx() as tx:
            claims = await actions.claim_letters(tx, BATCH, LEASE)
        waiting = deque(claims)
        lanes = self._lanes[: max(1, len(claims) // A_LANE)]
        if len(lanes) > 1:
            await lanes[0].reach()  # before the others: a server may allow but one
        # Not a TaskGroup: what a lane has handed over must be recorded whatever becomes of the others.
        ended = await asyncio.gather(
            *(self._lane(smtp, waiting, last_start, first=number == 0) for number, smtp in enumerate(lanes)),
            return_exceptions=True,
        )
        for error in ended:
            if error is not None:
                raise error
        await self._give_back([claim.delivery for claim in waiting])
        return len(claims) - len(waiting)

    async def _lane(self, smtp: Smtp, waiting: deque[Claim], last_start: float, *, first: bool) -> None:
        """Deal with one after the other over one connection. Others than the first only with theirs open."""
        if not first and not await smtp.reach():
            return
        clock = asyncio.get_running_loop()
        while waiting and not (self._stop.is_set() or self._server_away or clock.time() > last_start):
            try:
                await self._deal_with(waiting.popleft(), smtp)
            except Exception:
                waiting.clear()  # nobody begins another while the database is away; leases end by themselves
                raise

    async def _run(self) -> None:
        pause = POLL_SECONDS
        while not self._stop.is_set():
            self._work.clear()
            done = await self._try_batch()
            if self._server_away:
                await _wait(self._stop, pause)
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            pause = POLL_SECONDS
            if not done:
                await _wait(self._work, POLL_SECONDS)

    async def _try_batch(self) -> int:
        try:
            return await self.send_due()
        except Exception as error:
            # The database is away, most likely. Leases end by themselves, and the next look is soon.
            log.error("sending_failed", reason=type(error).__name__, exc_info=error)
            return 0

    async def _deal_with(self, claim: Claim, smtp: Smtp) -> None:
        letter = domain.address(claim)
        if isinstance(letter, Letter):
            await self._deliver(letter, smtp)
        else:
            await self._record(claim.delivery, letter)

    async def _deliver(self, letter: Letter, smtp: Smtp) -> None:
        delivery = letter.delivery
        with span_from(f"send {delivery.template}", delivery.traceparent, kind=SpanKind.CLIENT) as span:
            refusal = await self._send(letter, smtp)
            outcome: Outcome = Sent(messages.message_id(delivery.id, self._mail_from))
            if refusal is not None:
                outcome = domain.after(refusal, delivery.attempts + 1, self._random)
                span.set_status(StatusCode.ERROR, refusal.code)
            span.set_attribute("clinicpay.delivery.id", str(delivery.id))
            await self._record(delivery, outcome)

    async def _send(self, letter: Letter, smtp: Smtp) -> Refusal | None:
        try:
            message = messages.compose(letter, self._letters.write(letter), self._mail_from)
            refusal = await smtp.send(self._mail_from, letter.contact.email, message)
        except Exception as error:
            # One e-mail that cannot be written must not stand before all others.
            log.error("letter_unwritable", delivery_id=str(letter.delivery.id), exc_info=error)
            return Refusal(type(error).__name__, permanent=False)
        if refusal is not None and refusal.code in SERVER_AWAY:
            self._server_away = True
        return refusal

    async def _record(self, delivery: Delivery, outcome: Outcome) -> None:
        # Once more while the database blinks: the lease still holds, and giving up would send the e-mail twice.
        # A commit whose answer was lost is safe to repeat: it has ended the lease.
        async for attempt in stamina.retry_context(
            on=is_transient, attempts=None, timeout=RECORD_SECONDS, wait_max=2.0
        ):
            with attempt:
                async with self._db.worker_tx() as tx:
                    await actions.record(tx, delivery, outcome)

    async def _give_back(self, deliveries: list[Delivery]) -> None:
        if deliveries:
            async with self._db.worker_tx() as tx:
                await actions.give_back(tx, deliveries)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
