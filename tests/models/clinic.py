"""One clinic and one client, with everything that people, Stripe and failures can do to them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from contracts import consents
from contracts.events.catalogue import decode
from contracts.events.envelope import CloudEvent
from contracts.events.invoice import InvoiceState, InvoiceUpdated
from contracts.events.stripe import StripeEvent
from contracts.money import Money
from contracts.vocabulary import PaymentKind
from deploy.sandbox.errors import Json
from services.chassis.errors import DomainError
from services.chassis.ids import new_id
from services.invoice import consumers as invoice_consumers
from services.notification import consumers as notification_consumers
from services.payment import consumers as payment_consumers
from services.payment.accounts import store
from services.payment.accounts.domain import ClinicAccount
from services.payment.payments import stripe_calls as checkout
from services.payment.payments import sweep
from services.payment.payments.starting import PaymentRequest
from services.payment.stripe import observations
from tests.builders.callers import a_caller
from tests.builders.events import deliver
from tests.builders.invoices import invoice_body
from tests.builders.payments import a_settlement
from tests.models.services import Crash, Services
from tests.running.databases import ServiceDb
from tests.running.invoice import CLINIC, add_client, put
from tests.running.settings import SEAL

CURRENCY = "EUR"
REDIRECTS: dict[str, dict[str, str]] = {
    "paypal": {"payment_method_data[type]": "paypal"},
}
"""The payment systems that a client may choose after `redirect`, where the clinic's Stripe account accepts them."""
DEBIT = {
    "payment_method_data[type]": "sepa_debit",
    "payment_method_data[sepa_debit][iban]": "DE89370400440532013000",
}
SETTINGS = {"methods": ["card", "redirect", "debit"], "least_part": 50, "deposits": True}


@dataclass(frozen=True, slots=True)
class Tab:
    """A browser's tab with a payment page, which can confirm its intent as long as it is open."""

    payment_id: UUID
    intent_id: str
    client_secret: str
    kind: PaymentKind


@dataclass
class ModelClinic:
    """`published` are all events of the services, `refused` the codes of starts that were refused."""

    parts: Services
    clinic_id: UUID = field(default_factory=new_id)
    client_id: UUID = field(default_factory=new_id)
    published: list[CloudEvent] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    _read: dict[str, int] = field(default_factory=dict)

    @property
    def account(self) -> str:
        return f"acct_{self.clinic_id.hex[-16:]}"

    async def open(self, **changes: Any) -> None:
        """Create the clinic and its client, with a Stripe account of its own, and deliver the events."""
        staff, operator = a_caller("staff", self.clinic_id), a_caller("operator", self.clinic_id)
        clinic = CLINIC | SETTINGS | {"slug": f"c-{self.clinic_id.hex}"} | changes
        await put(self.parts.invoices, f"/clinics/{self.clinic_id}", operator, clinic)
        await add_client(self.parts.invoices, self.client_id, staff)
        async with self.parts.payment.api.tx(self.clinic_id) as tx:
            await store.put_account(tx, self.clinic_id, ClinicAccount(self.account))
        await self.parts.sandbox.control("PUT", f"/accounts/{self.account}", {})
        await self.pass_on(await self.listen())

    # what people do

    async def issue(self, minor: int) -> UUID:
        answer = await self.parts.invoices.call(
            "POST",
            "/invoices",
            a_caller("staff", self.clinic_id),
            json=invoice_body(self.client_id, minor, currency=CURRENCY),
            headers={"Idempotency-Key": str(new_id())},
        )
        assert answer.status_code == 201, answer.text
        return UUID(answer.json()["id"])

    async def start(
        self, shares: dict[UUID, int], kind: PaymentKind, deposit: int = 0, credit: int = 0
    ) -> Tab | None:
        """Press Pay. None when it was refused, when credit paid all, or when the process ended meanwhile."""
        amounts = {invoice: Money(minor=minor, currency=CURRENCY) for invoice, minor in shares.items()}
        request = PaymentRequest(
            client_id=self.client_id,
            shares=amounts,
            kind="credit" if credit and credit == sum(shares.values()) else kind,
            consent=consents.debit(CURRENCY, "Model") if kind == "debit" else None,
            deposit=Money(minor=deposit, currency=CURRENCY) if deposit else None,
            credit=Money(minor=credit, currency=CURRENCY) if credit else None,
        )
        transaction = partial(self.parts.payment.api.tx, self.clinic_id)
        try:
            ready = await checkout.start(transaction, self.parts.stripe, self.clinic_id, request)
        except (DomainError, Crash) as refusal:
            self.refused.append(refusal.code if isinstance(refusal, DomainError) else "crash")
            return None
        if ready.intent is None:
            self.refused.append("paid by credit")
            return None
        return Tab(ready.payment.id, ready.intent.id, str(ready.intent.client_secret), kind)

    async def confirm(self, tab: Tab, method: str) -> Json:
        """Confirm as the page's script does. Returns Stripe's answer, also when it refuses."""
        chosen = {"card": {"payment_method": method}, "debit": DEBIT}.get(tab.kind) or REDIRECTS[method]
        form = {
            "client_secret": tab.client_secret,
            "key": self.parts.sandbox.publishable_key,
            "_stripe_account": self.account,
            "return_url": "https://pay.example/back",
        }
        path = f"/v1/payment_intents/{tab.intent_id}/confirm"
        answer: Json = (await self.parts.browser.post(path, data=form | chosen)).json()
        return answer

    async def answer_bank(self, tab: Tab, agreed: bool) -> None:
        """Complete 3-D Secure or the payment system's page, if the intent waits for it."""
        action = self.intent(tab.intent_id)["next_action"] or {}
        url = (action.get("use_stripe_sdk") or {}).get("stripe_js") or (
            action.get("redirect_to_url") or {}
        ).get("url")
        if url:
            await self.parts.browser.post(url, data={"outcome": "succeeded" if agreed else "failed"})

    async def settle_debit(self, tab: Tab, paid: bool) -> None:
        """The bank's answer to a debit, days later."""
        if self.intent(tab.intent_id)["status"] == "processing":
            path = f"/accounts/{self.account}/payment_intents/{tab.intent_id}/settle"
            await self.parts.sandbox.control("POST", path, {"outcome": "succeeded" if paid else "failed"})

    # what travels

    async def listen(self) -> list[CloudEvent]:
        """The events added to the outboxes since the last call."""
        new: list[CloudEvent] = []
        for db in (self.parts.invoice, self.parts.payment):
            rows = await db.admin.fetch(
                "SELECT seq, aggregatetype, payload FROM outbox WHERE clinic_id = $1 AND seq > $2 ORDER BY seq",
                self.clinic_id,
                self._read.get(db.name, 0),
            )
            self._read[db.name] = rows[-1]["seq"] if rows else self._read.get(db.name, 0)
            new += [decode(row["aggregatetype"], row["payload"]) for row in rows]
        self.published += new
        return new

    async def pass_on(self, events: Sequence[CloudEvent]) -> None:
        """Deliver events to all consumers, as one batch each."""
        for db, consumers in self._readers():
            await deliver(db.worker, consumers, *events)

    def _readers(self) -> list[tuple[ServiceDb, Any]]:
        return [
            (self.parts.payment, payment_consumers),
            (self.parts.invoice, invoice_consumers),
            (self.parts.notification, notification_consumers),
        ]

    async def consume(self, events: Sequence[StripeEvent], *, at_once: int = 1) -> None:
        """Deliver webhooks to payment as one batch, in `at_once` workers at the same time."""
        hearing = (deliver(self.parts.payment.worker, payment_consumers, *events) for _ in range(at_once))
        await asyncio.gather(*hearing)

    def webhooks(self) -> list[StripeEvent]:
        """All webhooks of the account, oldest first, as the edge publishes them."""
        bodies = reversed(self._objects("event"))
        return [
            observations.read_event(body, SEAL)
            for body in bodies
            if body["type"] in payment_consumers.ACTED_ON
        ]

    # what goes wrong

    async def sweep(self) -> None:
        """Run the sweeper; no payment is too young for it."""
        await self.parts.payment.admin.execute(
            "UPDATE payments SET checked_at = checked_at - interval '30 days'"
        )
        try:
            await sweep.sweep_payments(self.parts.payment.worker, self.parts.stripe, timedelta(0))
        except Crash:
            self.refused.append("crash")

    async def let_pass(self, by: timedelta) -> None:
        """Make all rows older by this, here and at Stripe."""
        await self.parts.payment.admin.execute(
            """
            UPDATE payments SET created_at = created_at - $1::interval, checked_at = checked_at - $1::interval,
                updated_at = updated_at - $1::interval, seen_at = seen_at - $1::interval
            """,
            by,
        )
        seconds = int(by.total_seconds())
        sql = self.parts.sandbox.inside.store.sql
        sql.execute(
            "UPDATE objects SET created = created - ?,"
            " body = json_set(body, '$.created', json_extract(body, '$.created') - ?)",
            (seconds, seconds),
        )
        sql.execute("UPDATE keys SET created = created - ?", (seconds,))

    async def forge_settlement(self, invoice_id: UUID, minor: int) -> None:
        """A movement of another clinic that names an invoice of this one."""
        forged = a_settlement(new_id(), invoice_id, Money(minor=minor, currency=CURRENCY))
        await deliver(self.parts.invoice.worker, invoice_consumers, forged)

    async def repeat_first_state(self, invoice_id: UUID) -> None:
        """Publish again, under a new event id, the state that an invoice had when it was issued."""
        first = next(
            event
            for event in self.published
            if isinstance(event, InvoiceState) and event.invoice_id == invoice_id
        )
        stale = InvoiceUpdated.model_validate(first.model_dump() | {"id": new_id()})
        await self.pass_on([stale])

    # what Stripe knows

    def intents(self) -> list[Json]:
        return self._objects("payment_intent")

    def charges(self) -> list[Json]:
        """Charges that took money."""
        return [charge for charge in self._objects("charge") if charge["paid"]]

    def intent(self, intent_id: str) -> Json:
        found = self.parts.sandbox.inside.store.get(self.account, intent_id)
        assert found is not None
        return found

    def _objects(self, kind: str) -> list[Json]:
        found, more = self.parts.sandbox.inside.store.page(self.account, kind, {"limit": 1000})
        assert not more
        return found
