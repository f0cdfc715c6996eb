"""Every transaction of the invoice service locks its invoices first, in one order, then decides, then saves."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from contracts.events.envelope import CloudEvent, Method
from contracts.events.payment import PaymentFailed, PaymentProcessing, PaymentUpdated
from services.chassis.ids import new_id
from services.invoice import app, consumers, locks
from tests.builders.events import deliver_records, record
from tests.builders.invoices import invoice_body
from tests.builders.payments import a_payment, a_settlement
from tests.builders.values import eur, money
from tests.frozen import lock_log
from tests.frozen.lock_log import LockLog, read
from tests.running.databases import ServiceDb
from tests.running.invoice import CLINIC, InvoiceService, an_invoice_service, put
from tests.service import test_invoice_held

Log = tuple[InvoiceService, LockLog]


@pytest.fixture
async def logged(db_invoice: ServiceDb, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Log]:
    """A clinic with a client, and the log of all that its service does."""
    async with lock_log.logged(app, db_invoice, monkeypatch) as (db, log), an_invoice_service(db) as world:
        yield world, log


async def invoices(world: InvoiceService, count: int = 4) -> list[UUID]:
    return [UUID((await world.issue(10_000))["id"]) for _ in range(count)]


def new_events(world: InvoiceService, invoice_id: UUID) -> list[CloudEvent]:
    """All that payment can say of an invoice: a bank debit under way, one that failed, money, how it was paid."""
    settled = a_settlement(world.clinic_id, invoice_id, money(2_500))
    return [
        a_payment(PaymentProcessing, world.clinic_id, (invoice_id, eur(125)), version=1, payment_id=new_id()),
        a_payment(PaymentFailed, world.clinic_id, (invoice_id, eur(125)), version=2, payment_id=new_id()),
        settled,
        PaymentUpdated(
            id=new_id(),
            time=settled.time,
            clinic_id=world.clinic_id,
            payment_id=settled.payment_id,
            client_id=world.client_id,
            invoices=(invoice_id,),
            method=Method(kind="card", brand="visa", last4="1881"),
        ),
    ]


async def test_a_mixed_batch_locks_its_invoices_once_before_it_saves(logged: Log) -> None:
    world, log = logged
    published = [event for invoice_id in await invoices(world) for event in new_events(world, invoice_id)]
    log.transactions.clear()

    await world.deliver(*published)

    [batch] = log.transactions
    reading = read(batch, locks.ORDER, locks.GUARDED)
    assert (reading.locks, reading.breaches) == (["invoices"], [])


async def test_whatever_is_done_locks_in_the_order(logged: Log) -> None:
    world, log = logged
    [issued] = await invoices(world, 1)
    await world.deliver(*new_events(world, issued))
    await put(world.http, f"/clinics/{world.clinic_id}", world.operator, CLINIC | {"name": "Harbour"})
    for caller, path in (
        (world.operator, f"/clinics/{world.clinic_id}"),
        (world.staff, f"/clients/{world.client_id}"),
    ):
        answer = await world.http.call("PATCH", path, caller, json={"name": "Other"})
        assert answer.status_code == 200, answer.text
    [corrected] = await invoices(world, 1)
    body = {"reason": "goodwill", "amount": {"minor": 1, "currency": "EUR"}}
    headers = {"Idempotency-Key": "credit"}
    path = f"/invoices/{corrected}/credit-notes"
    credited = await world.http.call("POST", path, world.staff, json=body, headers=headers)
    assert credited.status_code == 201, credited.text
    new = {"reason": "wrong_amount", "invoice": invoice_body(world.client_id)}
    headers = {"Idempotency-Key": "correct"}
    path = f"/invoices/{corrected}/correct"
    replaced = await world.http.call("POST", path, world.staff, json=new, headers=headers)
    assert replaced.status_code == 201, replaced.text
    await park_a_movement(world, issued)
    await hold_replacements(world)

    assert (await world.get(f"/invoices/{issued}"))["being_checked"]
    readings = log.readings(locks.ORDER, locks.GUARDED)
    assert {breach for each in readings for breach in each.breaches} == set()
    assert {lock for each in readings for lock in each.locks} == set(locks.ORDER)


async def hold_replacements(world: InvoiceService) -> None:
    """One is undone, one is done by the worker, and one that would post something else is done by a person."""
    await test_invoice_held.set_hours(world, test_invoice_held.HOURS)
    invoice, body = await world.issue(), test_invoice_held.body_of(world, "correct")
    await test_invoice_held.undo(world, await test_invoice_held.hold(world, invoice, "correct", **body))
    await test_invoice_held.hold(world, invoice, "correct", **body)
    assert await test_invoice_held.time_passes(world) == 1
    other = await world.issue()
    await test_invoice_held.hold(world, other, "correct", **body)
    await test_invoice_held.set_hours(world, test_invoice_held.HOURS, tax_rates=test_invoice_held.DEARER)
    assert await test_invoice_held.time_passes(world) == 1
    [changed] = (await world.get("/exceptions"))["items"]
    done = await test_invoice_held.settle(world, changed, "do")
    assert done.status_code == 200, done.text


async def park_a_movement(world: InvoiceService, invoice_id: UUID) -> None:
    """In another currency than the invoice's, which nobody can apply."""
    odd = record(a_settlement(world.clinic_id, invoice_id, money(1, "USD")), 0)
    await deliver_records(world.db.worker, consumers, [odd])


async def test_batches_in_opposite_order_never_wait_in_a_circle(logged: Log) -> None:
    world, _ = logged
    several = await invoices(world, 6)

    for _ in range(4):
        published = [event for invoice_id in several for event in new_events(world, invoice_id)]
        again = [event for invoice_id in several for event in new_events(world, invoice_id)]
        await asyncio.gather(world.deliver(*published), world.deliver(*again[::-1]))

    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert await world.db.admin.fetchval(deadlocks) == 0
