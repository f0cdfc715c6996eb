"""Passes events of invoices and payments to the open pages of their client, so that a page turns to Paid.

Each gateway process reads every partition itself, without a group and from the end: all processes need all events,
and a page asks the services for the current state when it connects. So nothing is acknowledged or claimed, and this
is plain aiokafka: FastStream would add only acknowledgements, and the chassis only the inbox.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import chain
from typing import Literal
from uuid import UUID

import msgspec
from aiokafka import AIOKafkaConsumer

from contracts.events import topics
from contracts.events.catalogue import decode
from contracts.events.envelope import Undecodable
from contracts.events.invoice import InvoiceState
from contracts.events.payment import PaymentState, PaymentUpdated
from services.chassis.errors import DomainError
from services.chassis.incidents import incidents
from services.chassis.kafka.adapter.any_headers import read_any_headers
from services.chassis.kafka.adapter.fetching import LONGEST_WAIT_MS
from services.chassis.settings import OPEN, KafkaSecurity

TOPICS = [topic.name for topic in topics.ALL if "gateway" in topic.readers]
LONGEST_QUEUE = 100
MOST_PER_SESSION = 8
MOST_PER_PROCESS = 2000
GATHER_SECONDS = 0.05
"""The pause between two fetches. Fetches are most of the cost, and no reader of a page notices it."""
REFRESH = "updated"
_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)


class TooManyStreams(DomainError):
    code = "too_many_streams"
    status = 429


class StateChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """The state of an invoice or payment, as sent to a page. `version` 0: not known.

    With `REFRESH` the status has not changed, but the page must load the state again.
    """

    id: UUID
    status: str
    version: int = 0
    number: str | None = None


Kind = Literal["invoice", "payment"]


class Listener:
    """One open page. `behind`: changes may have been missed, so it must ask for the current state."""

    def __init__(self) -> None:
        self.changes: asyncio.Queue[tuple[Kind, StateChange]] = asyncio.Queue(LONGEST_QUEUE)
        self.behind = True
        self.closed = False
        self.woken = asyncio.Event()

    def push(self, kind: Kind, change: StateChange) -> None:
        try:
            self.changes.put_nowait((kind, change))
        except asyncio.QueueFull:
            self.fall_behind()
        self.woken.set()

    def fall_behind(self) -> None:
        while not self.changes.empty():
            self.changes.get_nowait()
        self.behind = True
        self.woken.set()

    def close(self) -> None:
        self.closed = True
        self.woken.set()

    def waiting(self) -> list[tuple[Kind, StateChange]]:
        """The changes since the last call."""
        self.woken.clear()
        return [self.changes.get_nowait() for _ in range(self.changes.qsize())]

    async def wait(self, seconds: float) -> None:
        """Wait until there is something to do, or for so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self.woken.wait()


class Hub:
    """The listeners of this process, and the reader of the topics."""

    def __init__(self, bootstrap_servers: str, security: KafkaSecurity = OPEN) -> None:
        self._servers = bootstrap_servers.split(",")
        self._security = security
        self._by_client: dict[tuple[UUID, UUID], set[Listener]] = defaultdict(set)
        self._by_session: dict[bytes, int] = defaultdict(int)
        self._reading = False
        self._closed = False

    def check_room(self, session: bytes) -> None:
        """Raises `TooManyStreams` when the session or this process has the most streams allowed."""
        total = sum(self._by_session.values())
        if self._by_session.get(session, 0) >= MOST_PER_SESSION or total >= MOST_PER_PROCESS:
            raise TooManyStreams("Too many pages are open at once.")

    @contextmanager
    def listening(self, clinic_id: UUID, client_id: UUID, session: bytes) -> Iterator[Listener]:
        """A listener to one client's changes, for as long as the block lasts."""
        listener = Listener()
        listener.closed = self._closed
        self._by_session[session] += 1
        self._by_client[clinic_id, client_id].add(listener)
        try:
            yield listener
        finally:
            self._forget(listener, clinic_id, client_id, session)

    def publish(self, topic: str, raw: bytes | None) -> None:
        """Pass one record to its client's listeners. An undecodable one is skipped: pages ask again anyway."""
        if raw is None or not self._by_client:
            return
        try:
            event = decode(topic, raw)
        except Undecodable:
            return
        if isinstance(event, InvoiceState):
            change = StateChange(event.invoice_id, event.status, event.version, event.number)
            self._deliver(event.clinic_id, event.client_id, "invoice", change)
        elif isinstance(event, PaymentState):
            self._deliver(
                event.clinic_id,
                event.client_id,
                "payment",
                StateChange(event.payment_id, event.status, event.version),
            )
        elif isinstance(event, PaymentUpdated):
            self._deliver(event.clinic_id, event.client_id, "payment", StateChange(event.payment_id, REFRESH))
            for invoice_id in event.invoices:
                self._deliver(event.clinic_id, event.client_id, "invoice", StateChange(invoice_id, REFRESH))

    async def check(self) -> None:
        """Raise unless events are being read."""
        if not self._reading:
            raise ConnectionError("Kafka is not read yet")

    def close(self) -> None:
        """End every stream, so that the process can stop at once; the pages connect to another one."""
        self._closed = True
        for listener in self.listeners():
            listener.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the reader for the app's lifespan. It reconnects when Kafka was unreachable."""
        reader = asyncio.create_task(self._read_for_ever())
        try:
            yield
        finally:
            self.close()
            reader.cancel()
            await asyncio.wait([reader])

    async def _read_for_ever(self) -> None:
        failures = 0
        while True:
            try:
                async with self._consumer() as consumer:
                    failures = 0
                    await self._read(consumer)
            except Exception as error:  # whatever it was, connect again
                incidents.failed("live_reader_interrupted", reason=type(error).__name__)
            finally:
                self._reading = False
            await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
            failures += 1

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        """Read from the topics' end. Pages ask for the current state only after that, so that no change is missed."""
        await consumer.seek_to_end()
        async with asyncio.timeout(10):
            for partition in consumer.assignment():
                await consumer.position(partition)
        self._reading = True
        for listener in self.listeners():
            listener.fall_behind()
        while True:
            fetched = await consumer.getmany(timeout_ms=1000)
            incidents.worked("live_reader_interrupted")
            for record in chain.from_iterable(fetched.values()):
                self.publish(record.topic, record.value)
            await asyncio.sleep(GATHER_SECONDS if fetched else 0)

    @asynccontextmanager
    async def _consumer(self) -> AsyncIterator[AIOKafkaConsumer]:
        read_any_headers()
        consumer = AIOKafkaConsumer(
            *TOPICS,
            bootstrap_servers=self._servers,
            client_id="gateway-live",
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="latest",
            isolation_level="read_committed",
            fetch_max_wait_ms=LONGEST_WAIT_MS,
            **self._security.options(),
        )
        try:
            await consumer.start()
            yield consumer
        finally:
            await consumer.stop()

    def _deliver(self, clinic_id: UUID, client_id: UUID, kind: Kind, change: StateChange) -> None:
        for listener in self._by_client.get((clinic_id, client_id), ()):
            listener.push(kind, change)

    def listeners(self) -> list[Listener]:
        return [listener for listeners in self._by_client.values() for listener in listeners]

    def _forget(self, listener: Listener, clinic_id: UUID, client_id: UUID, session: bytes) -> None:
        self._by_session[session] -= 1
        if not self._by_session[session]:
            del self._by_session[session]
        listeners = self._by_client[clinic_id, client_id]
        listeners.discard(listener)
        if not listeners:
            del self._by_client[clinic_id, client_id]
