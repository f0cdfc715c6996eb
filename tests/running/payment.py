"""A clinic that is paid online: the payment service's real app and wrapper, and the sandbox as Stripe."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import httpx2
import uvicorn
from litestar import Litestar, Request, post

from contracts.clinic import ClinicUpdated, Contact
from contracts.events import event_id
from contracts.invoice import InvoiceCreated, InvoiceState
from contracts.money import Money
from contracts.stripe import StripeEvent
from deploy.sandbox.embedded import RunningSandbox, _listener, _Server, running_sandbox
from services.chassis.db.database import Database
from services.chassis.http.auth import Caller
from services.chassis.ids import new_id
from services.payment import app, consumers
from services.payment.settings import Settings
from services.payment.stripe import observations, webhooks
from services.payment.stripe.api import StripeApi
from services.payment.stripe.seal import Seal
from tests.builders import callers
from tests.builders.callers import a_caller
from tests.builders.events import deliver
from tests.builders.values import money
from tests.running.apps import Client, calling, in_own_task
from tests.running.databases import ServiceDb

T = TypeVar("T")
SEAL = Seal("harbour", (b"a-key-of-thirty-two-characters-0",))


@dataclass
class Hook:
    """Where the sandbox sends its webhooks: a real server that verifies and keeps them."""

    secret: str
    bodies: list[dict[str, Any]] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def take(self, body: bytes, signature: str | None) -> None:
        webhooks.verify(body, signature, [self.secret])
        async with self.arrived:
            self.bodies.append(webhooks.parse(body))
            self.arrived.notify_all()

    async def until(self, event_type: str, count: int = 1) -> None:
        """Return once as many events of the type have come."""
        async with self.arrived, asyncio.timeout(10):
            await self.arrived.wait_for(lambda: self.count(event_type) >= count)

    def count(self, event_type: str) -> int:
        return sum(body["type"] == event_type for body in self.bodies)

    def events(self) -> list[StripeEvent]:
        """All that came and is acted on, as the edge would publish it."""
        acted_on = (body for body in self.bodies if body["type"] in observations.ACTED_ON)
        return [observations.read_event(body, SEAL) for body in acted_on]


@asynccontextmanager
async def a_hook(secret: str) -> AsyncIterator[tuple[Hook, str]]:
    hook = Hook(secret)

    @post("/", status_code=200)
    async def take(request: Request[Any, Any, Any]) -> None:
        await hook.take(await request.body(), request.headers.get("stripe-signature"))

    with _listener(0) as listener:
        server = _Server(uvicorn.Config(Litestar([take]), log_config=None, timeout_graceful_shutdown=1))
        task = asyncio.create_task(server.serve([listener]))
        try:
            yield hook, f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            await task


@dataclass
class PaymentService:
    """A clinic, one of its clients, and everything needed to be paid."""

    db: ServiceDb
    sandbox: RunningSandbox
    hook: Hook
    stripe: StripeApi
    api: Client
    clinic_id: UUID = field(default_factory=new_id)
    client_id: UUID = field(default_factory=new_id)
    account: str | None = None

    @property
    def client(self) -> Caller:
        return a_caller("client", self.clinic_id, self.client_id)

    @property
    def worker(self) -> Database:
        return self.db.worker

    async def update_clinic(self, version: int = 1, **changes: Any) -> None:
        now = datetime.now(UTC)
        facts = {
            "id": event_id(now, self.clinic_id, version, "clinic"),
            "time": now,
            "clinic_id": self.clinic_id,
            "version": version,
            "slug": "oak",
            "name": "Oak Clinic",
            "currency": "EUR",
            "time_zone": "Europe/Dublin",
            "locale": "en-IE",
            "billing_shown": True,
            "online_payment": True,
            "methods": ("card", "redirect"),
            "contact": Contact(phone="", email="", address="", hours=""),
            "accent": "#0b6e6e",
        }
        await deliver(self.worker, consumers, ClinicUpdated.model_validate(facts | changes))

    def invoice(
        self,
        invoice_id: UUID,
        due: Money,
        version: int = 1,
        event: type[InvoiceState] = InvoiceCreated,
        **changes: Any,
    ) -> InvoiceState:
        now = datetime.now(UTC)
        facts = {
            "id": event_id(now, event.topic.name, invoice_id, version),
            "time": now,
            "clinic_id": self.clinic_id,
            "version": version,
            "invoice_id": invoice_id,
            "client_id": self.client_id,
            "number": "2026-0001",
            "status": "unpaid",
            "total": due,
            "due_before_payments": due,
            "settled": money(0, due.currency),
            "issued_on": date(2026, 11, 1),
            "due_on": date(2026, 12, 1),
        }
        return event.model_validate(facts | changes)

    async def open_invoice(self, due: Money, **changes: Any) -> UUID:
        """A payable invoice of the client's."""
        invoice_id = new_id()
        await deliver(self.worker, consumers, self.invoice(invoice_id, due, **changes))
        return invoice_id

    async def start(
        self,
        *shares: tuple[UUID, Money],
        method: dict[str, Any] | None = None,
        save: bool = False,
        caller: Caller | None = None,
        key: str | None = None,
    ) -> Any:
        """POST /payments; an httpx-like response."""
        body = {
            "invoices": [
                {"invoice_id": str(invoice_id), "amount": amount.model_dump()}
                for invoice_id, amount in shares
            ],
            "method": method or {"kind": "card"},
            "save": save,
        }
        headers = {"Idempotency-Key": key} if key else {}
        return await self.api.call("POST", "/payments", caller or self.client, json=body, headers=headers)

    async def confirm(self, started: Any, method: str = "pm_card_visa", **more: str) -> dict[str, Any]:
        """What the page's script does at Stripe: confirm with the client secret."""
        secret = started.json()["client_secret"]
        intent_id = secret.split("_secret_")[0]
        form = {
            "client_secret": secret,
            "payment_method": method,
            "key": self.sandbox.publishable_key,
            **more,
        }
        if self.account:
            form["_stripe_account"] = self.account
        async with httpx2.AsyncClient(base_url=self.sandbox.url, trust_env=False) as browser:
            answer = await browser.post(f"/v1/payment_intents/{intent_id}/confirm", data=form)
        body: dict[str, Any] = answer.json()
        return body

    async def consume(self, *events: StripeEvent) -> None:
        """Hand what came, or these events, to the consumer as one batch."""
        await deliver(self.worker, consumers, *(events or self.hook.events()))

    async def pay(self, *shares: tuple[UUID, Money], **how: Any) -> UUID:
        """Start, confirm with a good card, and hear of it."""
        started = await self.start(*shares, **how)
        assert started.status_code in (200, 201), started.text
        already = self.hook.count("payment_intent.succeeded")
        await self.confirm(started)
        await self.hook.until("payment_intent.succeeded", already + 1)
        await self.consume()
        return UUID(started.json()["payment_id"])

    async def payment(self, payment_id: UUID | str) -> dict[str, Any]:
        answer = await self.api.call("GET", f"/payments/{payment_id}", self.client)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def intents(self) -> Sequence[Any]:
        """The intents that Stripe has for the clinic's account."""
        headers = {"Authorization": f"Bearer {self.sandbox.secret_key}"}
        if self.account:
            headers["Stripe-Account"] = self.account
        async with httpx2.AsyncClient(base_url=self.sandbox.url, headers=headers, trust_env=False) as stripe:
            answer = await stripe.get("/v1/payment_intents?limit=100")
        items: list[Any] = answer.json()["data"]
        return items

    async def books(self) -> list[tuple[str, int]]:
        """(account, balance) of the clinic's ledger."""
        rows = await self.db.admin.fetch(
            """
            SELECT account, sum(amount)::bigint AS balance FROM postings
            WHERE clinic_id = $1 GROUP BY account ORDER BY account
            """,
            self.clinic_id,
        )
        return [(row["account"], row["balance"]) for row in rows]

    async def age(self, by: timedelta) -> None:
        """Let time pass for all payments here."""
        await self.db.admin.execute(
            """
            UPDATE payments SET created_at = created_at - $1::interval, checked_at = checked_at - $1::interval,
                updated_at = updated_at - $1::interval, seen_at = seen_at - $1::interval
            """,
            by,
        )


def settings(db: ServiceDb, sandbox: RunningSandbox, kafka: str = "127.0.0.1:1") -> Settings:
    return Settings.model_validate(
        {
            "http_port": 1,
            "kafka_bootstrap_servers": kafka,
            "database_url": db.api_dsn,
            "internal_token_public_key": callers.PUBLIC_KEY,
            "stripe_secret_key": sandbox.secret_key,
            "stripe_webhook_secret": sandbox.webhook_secret,
            "stripe_api_base": sandbox.url,
            "stripe_timeout_seconds": 2,
            "installation": SEAL.installation,
            "metadata_key": SEAL.keys[0].decode(),
        }
    )


@asynccontextmanager
async def a_payment_service(db: ServiceDb) -> AsyncIterator[PaymentService]:
    """A clinic on the platform's own account, which takes cards and redirects."""
    async with in_own_task(_a_payment_service(db)) as payments:
        yield payments


@asynccontextmanager
async def _a_payment_service(db: ServiceDb) -> AsyncIterator[PaymentService]:
    async with a_hook("whsec_sandbox") as (hook, url), running_sandbox(url) as sandbox:
        stripe = StripeApi(sandbox.secret_key, sandbox.url, signer=SEAL)
        async with calling(app.api(settings(db, sandbox)), "payment") as client:
            payments = PaymentService(db, sandbox, hook, stripe, client)
            await payments.update_clinic()
            yield payments
        await stripe.close()
