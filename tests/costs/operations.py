"""The hot operations, each through its production code, on prepared rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import ModuleType
from typing import Any, cast

import msgspec

from contracts.events.envelope import CloudEvent, Method, event_id
from contracts.events.invoice import InvoiceCreated
from contracts.events.payment import PaymentSucceeded, Share
from contracts.events.stripe import StripeEvent
from contracts.http.invoices import InvoiceIn
from contracts.money import Money
from deploy.sandbox.webhooks import signature
from services.invoice import consumers as invoice_consumers
from services.invoice.invoices import issuing
from services.invoice.invoices import reads as store_reads
from services.invoice.invoices.schemas import draft_of
from services.notification import consumers as notification_consumers
from services.payment import consumers as payment_consumers
from services.payment.payments import actions
from services.payment.payments.starting import PaymentRequest
from services.payment.stripe import observations, webhooks
from services.payment.stripe.events import StripeEvents
from services.payment.stripe.seal import Seal
from tests.bench.seed import AMOUNT, CURRENCY, LIVE, PEOPLE, Live, fill
from tests.bench.webhooks import metadata_of
from tests.builders.callers import a_caller
from tests.builders.events import deliver
from tests.builders.payments import a_settlement
from tests.costs.meter import ROUNDS, Meter, Work
from tests.running.databases import ServiceDb

BATCH = 100
PRICE = Money(minor=AMOUNT, currency=CURRENCY)
CARD = Method(kind="card", brand="visa", last4="4242")
SEAL = Seal("costs", (b"k" * 32,))
FREE = [{"code": "NONE", "name": "Exempt", "percent": "0"}]
LAST = ROUNDS * BATCH
"""Invoices 1 to `LAST` have live payments; as many more are payable and have none."""


@dataclass(frozen=True, slots=True)
class Operation:
    """`role` owns the connection that does the work. `work` is built once, then run in rounds."""

    name: str
    service: str
    role: str
    work: Callable[[Meter], Work]


def batch(number: int) -> list[Live]:
    """The invoices of a round."""
    return [Live(n) for n in range(number * BATCH + 1, (number + 1) * BATCH + 1)]


async def seed(db: ServiceDb) -> None:
    """Fill a service's database with clinics, clients, and invoices with live payments."""
    async with db.admin.acquire() as admin:
        await fill(admin, PEOPLE[db.name], 1, 1)
        await fill(admin, LIVE[db.name], 1, LAST)
        if db.name == "payment":
            await fill(admin, LIVE["payment"][:1], LAST + 1, 2 * LAST)
        if db.name == "invoice":
            await admin.execute("UPDATE clinics SET tax_rates = $1", msgspec.json.encode(FREE).decode())
        await admin.execute("ANALYZE")


def a_success(live: Live) -> dict[str, Any]:
    """The snapshot event of a successful payment."""
    return {
        "id": f"evt_3Costs{live.n:018}",
        "object": "event",
        "type": "payment_intent.succeeded",
        "created": int(datetime.now(UTC).timestamp()),
        "livemode": False,
        "api_version": "2026-08-26.dahlia",
        "data": {
            "object": {
                "id": live.intent_id,
                "object": "payment_intent",
                "created": int(datetime.now(UTC).timestamp()),
                "amount": AMOUNT,
                "amount_received": AMOUNT,
                "currency": CURRENCY.lower(),
                "customer": None,
                "status": "succeeded",
                "metadata": metadata_of(live, SEAL),
            }
        },
    }


def a_receipt(live: Live) -> PaymentSucceeded:
    now = datetime.now(UTC)
    return PaymentSucceeded(
        id=event_id(now, "costs", live.payment_id),
        time=now,
        clinic_id=live.clinic_id,
        version=1,
        payment_id=live.payment_id,
        client_id=live.client_id,
        status="succeeded",
        amount=PRICE,
        invoices=(Share(invoice_id=live.invoice_id, amount=PRICE),),
        method=CARD,
    )


def an_invoice(live: Live) -> InvoiceCreated:
    """An invoice that is new to payment and notification. Its id is made from its number, outside the seeded range."""
    now, other = datetime.now(UTC), Live(live.n + 1_000_000)
    return InvoiceCreated(
        id=event_id(now, "costs", other.invoice_id),
        time=now,
        clinic_id=live.clinic_id,
        version=1,
        invoice_id=other.invoice_id,
        client_id=live.client_id,
        number="2026-000001",
        status="unpaid",
        total=PRICE,
        due_before_payments=PRICE,
        settled=Money(minor=0, currency=CURRENCY),
        issued_on=date(2026, 11, 1),
        due_on=date(2026, 12, 1),
    )


def consuming(consumers: ModuleType, event: Callable[[Live], CloudEvent]) -> Callable[[Meter], Work]:
    """Consume a batch of a hundred events through the service's consumers."""

    def work(meter: Meter) -> Work:
        batches = [[event(live) for live in batch(number)] for number in range(ROUNDS)]
        return lambda number: deliver(meter.database, consumers, *batches[number])

    return work


def _issue(meter: Meter) -> Work:
    live = Live(1)
    line = {"service": "Visit", "unit_price": {"minor": AMOUNT, "currency": CURRENCY}, "tax_code": "NONE"}
    due_on = (datetime.now(UTC) + timedelta(days=14)).date().isoformat()
    body = msgspec.json.encode(
        {"client_id": str(live.client_id), "due_on": due_on, "currency": CURRENCY, "lines": [line]}
    )

    async def work(number: int) -> None:
        data = msgspec.json.decode(body, type=InvoiceIn)
        async with meter.database.tx(live.clinic_id) as tx:
            caller = a_caller("staff", live.clinic_id)
            await issuing.issue_invoice(tx, caller, draft_of(data), key=f"costs-{number}", body=body)

    return work


def _start(meter: Meter) -> Work:
    async def work(number: int) -> None:
        live = Live(LAST + 1 + number)
        request = PaymentRequest(
            live.client_id, {live.invoice_id: PRICE}, "card", request_key=f"costs-{number}"
        )
        async with meter.database.tx(live.clinic_id) as tx:
            await actions.start_payment(tx, live.clinic_id, request, False, SEAL)

    return work


def _history(meter: Meter) -> Work:
    live = Live(1)

    async def work(_: int) -> None:
        async with meter.database.tx(live.clinic_id) as tx:
            wanted = store_reads.Wanted(client_id=live.client_id)
            await store_reads.list_invoices(tx, live.clinic_id, wanted, None, 21)

    return work


def _read(meter: Meter) -> Work:
    live = Live(1)

    async def work(_: int) -> None:
        async with meter.database.tx(live.clinic_id) as tx:
            found = await store_reads.get_invoice(
                tx, live.clinic_id, live.invoice_id, client_id=live.client_id
            )
            assert found

    return work


def _summary(meter: Meter) -> Work:
    live = Live(1)

    async def work(_: int) -> None:
        async with meter.database.tx(live.clinic_id) as tx:
            await store_reads.get_summary(tx, live.clinic_id, live.client_id)

    return work


class Topic:
    """Replaces Kafka at the webhook edge: holds the encoded records."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    async def send(self, event: StripeEvent, traceparent: str | None = None) -> None:
        self.sent.append(event.encode(traceparent))


def _acknowledge(_: Meter) -> Work:
    bodies = [msgspec.json.encode(a_success(Live(number + 1))) for number in range(ROUNDS)]

    async def work(number: int) -> None:
        topic, secret = Topic(), "whsec_costs"
        signed = signature(secret, bodies[number], int(datetime.now(UTC).timestamp()))
        await webhooks.receive_webhook(
            bodies[number],
            signed,
            [secret],
            False,
            cast(StripeEvents, topic),
            payment_consumers.ACTED_ON,
            SEAL,
        )
        assert len(topic.sent) == 1

    return work


OPERATIONS: Sequence[Operation] = (
    Operation("a webhook is acknowledged", "payment", "worker", _acknowledge),
    Operation(
        "payment settles 100",
        "payment",
        "worker",
        consuming(payment_consumers, lambda live: observations.read_event(a_success(live), SEAL)),
    ),
    Operation(
        "invoice books 100",
        "invoice",
        "worker",
        consuming(
            invoice_consumers,
            lambda live: a_settlement(live.clinic_id, live.invoice_id, PRICE, payment_id=live.payment_id),
        ),
    ),
    Operation(
        "notification queues 100 receipts",
        "notification",
        "worker",
        consuming(notification_consumers, a_receipt),
    ),
    Operation(
        "payment takes 100 new invoices", "payment", "worker", consuming(payment_consumers, an_invoice)
    ),
    Operation(
        "notification takes 100 new invoices",
        "notification",
        "worker",
        consuming(notification_consumers, an_invoice),
    ),
    Operation("an invoice is issued", "invoice", "api", _issue),
    Operation("a payment is started", "payment", "api", _start),
    Operation("a page of Billing History", "invoice", "api", _history),
    Operation("an invoice is read", "invoice", "api", _read),
    Operation("the dashboard's summary", "invoice", "api", _summary),
)
