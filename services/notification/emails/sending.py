"""Sends e-mails that are due, over a few connections at once, outside of any transaction."""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import stamina
import structlog
from opentelemetry.trace import SpanKind, StatusCode

from services.chassis import clock
from services.chassis.db.database import Database, is_transient
from services.chassis.incidents import incidents
from services.chassis.queue.working import Watch
from services.chassis.queue.working import pause as pause_until
from services.chassis.telemetry import attributes
from services.chassis.telemetry.metrics import Counter, Seconds
from services.chassis.telemetry.traces import span_from
from services.notification.emails import actions, documents, domain, mime
from services.notification.emails.documents import Documents, NoDocument
from services.notification.emails.domain import (
    AnyClaim,
    Attachment,
    Claim,
    Delivery,
    Email,
    LetterEmail,
    Outcome,
    Outgoing,
    Recipient,
    Refusal,
    Sent,
)
from services.notification.emails.kinds import TASK_KINDS
from services.notification.emails.rendering import Renderer
from services.notification.emails.smtp import SEND_SECONDS, UNREACHABLE, Smtp
from services.notification.letters.domain import Letter

log = structlog.get_logger()

_ended = Counter(
    "clinicpay.email",
    "{email}",
    "E-mails by kind and by what became of a try: sent, retry, waits, failed, canceled",
    "kind",
    "outcome",
)
_receipted = Seconds(
    "clinicpay.settlement.receipted",
    "From the second in which Stripe captured a payment to the mail server's acceptance of its receipt",
)

BATCH = 100
EMAILS_PER_CONNECTION = 5
"""Opening another connection pays from this many e-mails on."""
LEASE = timedelta(seconds=3 * SEND_SECONDS + documents.SECONDS)
RECORD_SECONDS = 20.0
"""How long recording a sent e-mail is retried, within the lease."""
POLL_SECONDS = 1.0
LONGEST_PAUSE = 30.0
STOP_SECONDS = 8.0


class Sender:
    """Claims, writes and sends e-mails. Many may run, in as many processes: one at a time holds an e-mail.

    At least once: an e-mail that the server took while the record of it was lost goes again, with the same
    Message-ID.
    """

    def __init__(
        self,
        db: Database,
        renderer: Renderer,
        connections: Sequence[Smtp],
        mail_from: str,
        documents: Documents | None = None,
    ) -> None:
        self._db, self._renderer, self._connections, self._mail_from = db, renderer, connections, mail_from
        self._documents = documents or Documents(None, None)
        self._documents_away = False
        self._work = asyncio.Event()
        self._stop = asyncio.Event()
        self._server_unreachable = False
        self._random = random.Random()
        self._watch = Watch(db, TASK_KINDS)

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
            await asyncio.gather(*(smtp.close() for smtp in self._connections), self._documents.close())

    async def send_due(self) -> int:
        """Process e-mails that are due, at most a batch, and return how many. Raises when the database is unreachable.

        Ends early, and releases the rest, when the mail server is unreachable or the lease could run out.
        """
        last_start = asyncio.get_running_loop().time() + LEASE.total_seconds() - SEND_SECONDS - RECORD_SECONDS
        last_start -= documents.SECONDS
        self._server_unreachable = self._documents_away = False
        async with self._db.worker_tx() as tx:
            claims = await actions.claim_emails(tx, BATCH, LEASE)
        waiting = deque(claims)
        connections = self._connections[: max(1, len(claims) // EMAILS_PER_CONNECTION)]
        if len(connections) > 1:
            await connections[0].reach()  # before the others: a server may allow but one
        # Not a TaskGroup: an accepted e-mail must be recorded even when another connection fails.
        ended = await asyncio.gather(
            *(
                self._send_over(smtp, waiting, last_start, first=number == 0)
                for number, smtp in enumerate(connections)
            ),
            return_exceptions=True,
        )
        for error in ended:
            if error is not None:
                raise error
        await self._release([claim.delivery for claim in waiting])
        return len(claims) - len(waiting)

    async def _send_over(
        self, smtp: Smtp, waiting: deque[AnyClaim], last_start: float, *, first: bool
    ) -> None:
        """Process one e-mail after the other over a connection. All but the first need theirs to open."""
        if not first and not await smtp.reach():
            return
        clock = asyncio.get_running_loop()
        while waiting and not (self._stop.is_set() or self._server_unreachable or clock.time() > last_start):
            try:
                await self._process(waiting.popleft(), smtp)
            except Exception:
                waiting.clear()  # no other e-mail begins while the database is unreachable; leases end by themselves
                raise

    async def _run(self) -> None:
        pause = POLL_SECONDS
        while not self._stop.is_set():
            self._work.clear()
            done = await self._try_batch()
            if self._server_unreachable:
                await pause_until(self._stop, pause)
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            pause = POLL_SECONDS
            if not done:
                await pause_until(self._work, POLL_SECONDS)

    async def _try_batch(self) -> int:
        try:
            done = await self.send_due()
            await self._watch.look()
        except Exception as error:
            # Most likely the database is unreachable. Leases end by themselves, and the next poll is soon.
            incidents.failed("sending_failed", reason=type(error).__name__, exc_info=error)
            return 0
        incidents.worked("sending_failed")
        return done

    async def _process(self, claim: AnyClaim, smtp: Smtp) -> None:
        email = domain.decide(claim, clock.now()) if isinstance(claim, Claim) else domain.decide_letter(claim)
        client = claim.recipient if isinstance(claim, Claim) and not claim.kind.to_clinic else None
        if isinstance(email, Email | LetterEmail):
            await self._deliver(email, client, smtp)
        else:
            await self._record(claim.delivery, email, client)

    async def _deliver(self, email: Outgoing, client: Recipient | None, smtp: Smtp) -> None:
        delivery = email.delivery
        with span_from(f"send {delivery.template}", delivery.task.traceparent, kind=SpanKind.CLIENT) as span:
            refusal = await self._send(email, smtp)
            outcome: Outcome = Sent(mime.message_id(delivery.id, self._mail_from))
            if refusal is not None:
                outcome = domain.after_refusal(refusal, delivery.task.attempts + 1, self._random)
                span.set_status(StatusCode.ERROR, refusal.code)
            named = {"delivery_id": delivery.id, "clinic_id": delivery.clinic_id}
            span.set_attributes(attributes.of(named))
            await self._record(delivery, outcome, client)

    async def _send(self, email: Outgoing, smtp: Smtp) -> Refusal | None:
        try:
            attachments = await self._attachments(email)
            message = mime.compose(email, self._renderer.render(email), self._mail_from, attachments)
            refusal = await smtp.send(self._mail_from, email.recipient.email, message)
        except NoDocument as missing:
            return Refusal(str(missing), permanent=False)
        except Exception as error:
            # One e-mail that cannot be rendered must not block all others.
            log.error("letter_unwritable", delivery_id=str(email.delivery.id), exc_info=error)
            return Refusal(type(error).__name__, permanent=False)
        if refusal is not None and refusal.code in UNREACHABLE:
            self._server_unreachable = True
        return refusal

    async def _attachments(self, email: Outgoing) -> list[Attachment]:
        """The files that the e-mail carries. Raises `NoDocument` when it is to be tried again.

        After so many tries it goes without: the message matters more than the file. While the invoice service does not
        answer, the other e-mails of the batch do not wait for it.
        """
        if not email.documents:
            return []
        delivery = email.delivery
        assert isinstance(delivery, Delivery), "letters carry none"
        try:
            if self._documents_away:
                raise NoDocument(documents.UNREACHABLE)
            return await self._documents.fetch(delivery.clinic_id, delivery.client_id, email.documents)
        except NoDocument as missing:
            self._documents_away |= str(missing) == documents.UNREACHABLE
            if delivery.task.attempts + 1 < documents.TRIES:
                raise
            log.warning("document_left_out", delivery_id=str(delivery.id), reason=str(missing))
            return []

    async def _record(self, delivery: Delivery | Letter, outcome: Outcome, client: Recipient | None) -> None:
        # Retried while the database is briefly unreachable: the lease still holds, and giving up would send it twice.
        # A commit whose answer was lost is safe to repeat: it has ended the lease.
        async for attempt in stamina.retry_context(
            on=is_transient, attempts=None, timeout=RECORD_SECONDS, wait_max=2.0
        ):
            with attempt:
                async with self._db.worker_tx() as tx:
                    await actions.record_outcome(tx, delivery, outcome, client)
        _ended.add(1, delivery.template, type(outcome).__name__.lower())
        if isinstance(outcome, Sent) and isinstance(delivery, Delivery) and delivery.template == "receipt":
            _receipted.record((clock.now() - delivery.data.at).total_seconds())

    async def _release(self, deliveries: list[Delivery | Letter]) -> None:
        if deliveries:
            async with self._db.worker_tx() as tx:
                await actions.release(tx, deliveries)
