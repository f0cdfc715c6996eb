"""What tests are written in: databases, callers, deliveries, and builders of things that happen."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import ModuleType
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import httpx2
from joserfc.jwk import OKPKey
from litestar import Litestar

from contracts.events import CloudEvent, Method, event_id
from contracts.money import Money
from contracts.payment import PaymentSettled
from services.chassis.db.database import Database
from services.chassis.http.auth import Caller, Role, TokenMint
from services.chassis.ids import new_id
from services.chassis.kafka.consume import consumers_of
from services.chassis.kafka.park import Record

T = TypeVar("T")

_key = OKPKey.generate_key("Ed25519")
PRIVATE_KEY = json.dumps(_key.as_dict(private=True))
PUBLIC_KEY = json.dumps(_key.as_dict(private=False))
_mint = TokenMint(PRIVATE_KEY)

NO_ADDRESSES = [
    "@",
    "nobody",
    "a@b",
    "<billing@x>",
    "a@@b.de",
    "a b@c.de",
    "a@b.example\r\nBcc: c@d.example",
    "a@b.example\n",
    "a@b.example, c@d.example",
    "A <a@b.example>",
    "a\u0000@b.example",
    "\u202ea@b.example",
    "a\u2028@b.example",
    "ü@b.example",
    '"a b"@c.example',
    "a@[127.0.0.1]",
    "a@" + "b" * 250 + ".example",
    "a" * 320 + "@b.example",
    "a@b.example" * 5_000,
    "=?utf-8?q?x=0D=0ABcc=3A_v?=@b.example",
]
"""What looks like an e-mail address and is none that mail can be sent to."""


@dataclass(frozen=True, slots=True)
class ServiceDb:
    """A service's own fresh database, as each of its roles sees it."""

    name: str
    admin_dsn: str
    api_dsn: str
    worker_dsn: str
    relay_dsn: str
    api: Database
    worker: Database
    admin: "asyncpg.Pool[asyncpg.Record]"
    """A superuser's pool: sees everything, row-level security or not."""


def money(minor: int, currency: str = "EUR") -> Money:
    return Money(minor=minor, currency=currency)


def eur(units: int) -> Money:
    """Whole euros."""
    return money(units * 100)


def token(audience: str, caller: Caller) -> str:
    return _mint.token(audience=audience, caller=caller)


def a_caller(role: Role, clinic_id: UUID | None = None, subject: UUID | None = None) -> Caller:
    return Caller(subject=subject or new_id(), role=role, clinic_id=clinic_id)


class Client:
    """Calls a service's real app in this process and event loop as its callers, with real tokens."""

    def __init__(self, client: httpx2.AsyncClient, audience: str) -> None:
        self._client, self._audience = client, audience

    async def call(
        self,
        method: str,
        path: str,
        caller: Caller | None = None,
        *,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> httpx2.Response:
        sent = dict(headers or {})
        if caller is not None:
            sent["Authorization"] = f"Bearer {token(self._audience, caller)}"
        return await self._client.request(method, path, headers=sent, **more)


@asynccontextmanager
async def calling(app: Litestar, audience: str, *, through: Any = None) -> AsyncIterator[Client]:
    """The app with its lifespan run. `through` is an ASGI app around it, when a test looks at what passes."""
    asgi: Any = through or app
    transport = httpx2.ASGITransport(app=asgi, raise_app_exceptions=False)
    async with (
        in_own_task(app.lifespan()),
        httpx2.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        yield Client(client, audience)


@asynccontextmanager
async def in_own_task(context: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """Enter and leave a context in one task: a fixture's two halves run in two, which a lifespan cannot stand."""
    ready: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()

    async def hold() -> None:
        async with context as value:
            ready.set_result(value)
            await done.wait()

    task = asyncio.create_task(hold())
    task.add_done_callback(lambda _: ready.done() or ready.cancel())
    try:
        value = await ready
    except asyncio.CancelledError:
        await task
        raise
    try:
        yield value
    finally:
        done.set()
        await task


def record(event: CloudEvent, offset: int = 0, partition: int = 0) -> Record:
    """The event as a topic holds it."""
    return Record(event.topic.name, partition, offset, str(event.key).encode(), event.encode())


async def deliver(worker: Database, consumers: ModuleType, *events: CloudEvent) -> None:
    """Hand events to the real wrapper, encoded, as one batch for each group that listens to them."""
    records = [record(event, offset) for offset, event in enumerate(events)]
    await deliver_records(worker, consumers, records)


async def deliver_records(worker: Database, consumers: ModuleType, records: Sequence[Record]) -> None:
    for consumer in consumers_of(consumers, worker):
        wanted = [each for each in records if each.topic in consumer.topics]
        if wanted:
            await consumer.consume(wanted)


async def waiting_parked(db: ServiceDb) -> list[tuple[str, str]]:
    """(topic, reason) of what is parked, in order."""
    rows = await db.admin.fetch("SELECT topic, reason FROM parked WHERE state = 'waiting' ORDER BY id")
    return [(row["topic"], row["reason"]) for row in rows]


async def outbox_events(db: ServiceDb) -> list[CloudEvent]:
    """What is on its way to Kafka, decoded, in order."""
    from contracts.catalogue import decode

    rows = await db.admin.fetch("SELECT aggregatetype, payload FROM outbox ORDER BY seq")
    return [decode(row["aggregatetype"], row["payload"]) for row in rows]


def a_settlement(
    clinic_id: UUID, invoice_id: UUID, amount: Money, *, kind: str = "payment", payment_id: UUID | None = None
) -> PaymentSettled:
    """Money moved against an invoice."""
    now = datetime.now(UTC)
    payment_id = payment_id or new_id()
    movement_id = event_id(now, "payment.settled", payment_id, invoice_id, kind, new_id())
    return PaymentSettled.model_validate(
        {
            "id": movement_id,
            "time": now,
            "clinic_id": clinic_id,
            "movement_id": movement_id,
            "invoice_id": invoice_id,
            "payment_id": payment_id,
            "kind": kind,
            "amount": amount,
            "method": Method(kind="card", brand="visa", last4="4242"),
        }
    )
