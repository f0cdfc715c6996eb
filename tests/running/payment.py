"""The payment service in this process: its real app and consumers, and the sandbox as Stripe."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

import httpx2
from litestar import Litestar, Request, post

from contracts import consents
from contracts.events.invoice import InvoiceCreated, InvoiceState
from contracts.events.stripe import StripeEvent
from contracts.money import Money
from deploy.sandbox.embedded import RunningSandbox, running_sandbox
from services.chassis.db.database import Database
from services.chassis.http.auth import Caller
from services.chassis.ids import new_id
from services.payment import app, consumers
from services.payment.stripe import observations, webhooks
from services.payment.stripe.api import StripeApi
from tests.builders.callers import a_caller
from tests.builders.clinics import a_clinic
from tests.builders.events import deliver
from tests.builders.invoices import invoice_state
from tests.running.apps import Client, calling, in_own_task, serving
from tests.running.databases import ServiceDb
from tests.running.settings import SEAL, payment_settings

T = TypeVar("T")


@dataclass
class Hook:
    """A real server that receives the sandbox's webhooks, verifies and keeps them."""

    secret: str
    bodies: list[dict[str, Any]] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def receive(self, body: bytes, signature: str | None) -> None:
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
        """All webhooks that came and that we act on, as the events that the edge publishes."""
        acted_on = (body for body in self.bodies if body["type"] in consumers.ACTED_ON)
        return [observations.read_event(body, SEAL) for body in acted_on]


@asynccontextmanager
async def a_hook(secret: str) -> AsyncIterator[tuple[Hook, str]]:
    hook = Hook(secret)

    @post("/", status_code=200)
    async def take(request: Request[Any, Any, Any]) -> None:
        await hook.receive(await request.body(), request.headers.get("stripe-signature"))

    async with serving(Litestar([take])) as url:
        yield hook, f"{url}/"


@dataclass
class PaymentService:
    """The payment service for one clinic and one client, with the sandbox as Stripe."""

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
        await deliver(self.worker, consumers, a_clinic(self.clinic_id, version=version, **changes))

    def invoice(
        self,
        invoice_id: UUID,
        due: Money,
        version: int = 1,
        event: type[InvoiceState] = InvoiceCreated,
        **changes: Any,
    ) -> InvoiceState:
        """The state of an invoice of the client's, by the event that reports it."""
        facts: dict[str, Any] = {
            "client_id": self.client_id,
            "invoice_id": invoice_id,
            "version": version,
        } | changes
        return invoice_state(event, self.clinic_id, facts.pop("client_id"), due, **facts)

    async def open_invoice(self, due: Money, **changes: Any) -> UUID:
        """Deliver a new invoice of the client's; answers its id."""
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
        credit: Money | None = None,
    ) -> Any:
        """POST /payments: the response. `credit` that is all of it needs no method."""
        whole = credit is not None and credit.minor == sum(amount.minor for _, amount in shares)
        body = {
            "invoices": [
                {"invoice_id": str(invoice_id), "amount": amount.model_dump()}
                for invoice_id, amount in shares
            ],
            "method": None if whole else method or {"kind": "card"},
            "save": save,
            "credit": credit.model_dump() if credit else None,
        }
        if method == {"kind": "debit"}:
            agreed = consents.debit(shares[0][1].currency, "Harbour Clinic")
            body["consent"] = {name: getattr(agreed, name) for name in ("kind", "version", "locale", "text")}
        headers = {"Idempotency-Key": key} if key else {}
        return await self.api.call("POST", "/payments", caller or self.client, json=body, headers=headers)

    async def confirm(self, started: Any, method: str = "pm_card_visa", **more: str) -> dict[str, Any]:
        """Confirm with the client secret at Stripe, as the page's script does."""
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
        """Deliver these events, or all webhooks that came, to the consumer as one batch."""
        await deliver(self.worker, consumers, *(events or self.hook.events()))

    async def pay(self, *shares: tuple[UUID, Money], card: str = "pm_card_visa", **how: Any) -> UUID:
        """Start a payment, confirm it with a good card, and consume the webhooks."""
        started = await self.start(*shares, **how)
        assert started.status_code in (200, 201), started.text
        already = self.hook.count("payment_intent.succeeded")
        await self.confirm(started, card)
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
        """Make all payments older."""
        await self.db.admin.execute(
            """
            UPDATE payments SET created_at = created_at - $1::interval, checked_at = checked_at - $1::interval,
                updated_at = updated_at - $1::interval, seen_at = seen_at - $1::interval
            """,
            by,
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
        async with calling(app.api(payment_settings(db.api_dsn, sandbox)), "payment") as client:
            payments = PaymentService(db, sandbox, hook, stripe, client)
            await payments.update_clinic()
            yield payments
        await stripe.close()
