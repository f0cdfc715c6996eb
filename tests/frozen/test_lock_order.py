"""Every transaction locks in one order, then decides, then saves, so that two never deadlock.

The statements are sent by the real wrapper, routes and jobs to a real PostgreSQL.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from contracts.events.stripe import StripeEvent
from services.chassis.ids import new_id
from services.chassis.kafka import parked
from services.chassis.kafka.consume import consumers_of
from services.chassis.queue.working import Worker
from services.payment import app, consumers, jobs, locks
from services.payment.evidence.sweep import submitting
from tests.builders.callers import a_caller
from tests.builders.events import deliver
from tests.builders.values import eur
from tests.frozen import lock_log
from tests.frozen.lock_log import LockLog, Sent, changes_of, locked_by, read
from tests.running.databases import ServiceDb
from tests.running.disputes import charge_of, dispute, rows
from tests.running.payment import PaymentService, a_payment_service
from tests.running.refunds import leave_credit, request_refund, settle_refund, staff

Log = tuple[PaymentService, LockLog]


@pytest.fixture
async def logged(db_payment: ServiceDb, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Log]:
    """A clinic that is paid online, and the log of its service's statements."""
    async with lock_log.logged(app, db_payment, monkeypatch) as (db, log), a_payment_service(db) as payments:
        yield payments, log


async def another_clinic(payments: PaymentService) -> PaymentService:
    other = replace(payments, clinic_id=new_id(), client_id=new_id())
    await other.update_clinic()
    return other


async def one_of_everything(payments: PaymentService) -> None:
    """Make a pending refund, a saved card and a payment that leaves credit at Stripe, without consuming events."""
    await leave_credit(payments)
    await request_refund(payments, amount=100)
    invoice, void = await payments.open_invoice(eur(30)), await payments.open_invoice(eur(20))
    for owed, amount, save in ((invoice, eur(30), True), (void, eur(20), False)):
        started = await payments.start((owed, amount), save=save)
        await payments.confirm(started)
    await payments.db.admin.execute("UPDATE payables SET status = 'void' WHERE id = $1", void)


async def until_silent(payments: PaymentService, clinics: int) -> None:
    for event_type, times in (
        ("payment_intent.succeeded", 3),
        ("refund.created", 1),
        ("charge.succeeded", 3),
    ):
        await payments.hook.until(event_type, times * clinics)
    await payments.hook.until("payment_method.attached", clinics)


async def test_a_mixed_batch_locks_in_every_room_before_it_saves(logged: Log) -> None:
    payments, log = logged
    other = await another_clinic(payments)
    for each in (other, payments):
        await one_of_everything(each)
    await until_silent(payments, 2)
    log.transactions.clear()

    await payments.consume()

    [batch] = log.transactions
    reading = read(batch, locks.ORDER, locks.GUARDED)
    assert reading.locks == [
        "payables",
        "payments",
        "refunds",
        "credit_balances",
        "credit_balances",
        "customers",
        "payment_methods",
    ]
    assert reading.breaches == []
    assert await payments.books() == await other.books()


async def test_whatever_is_done_locks_in_the_order(logged: Log) -> None:
    payments, log = logged
    await everything_done(payments)
    readings = log.readings(locks.ORDER, locks.GUARDED)
    assert {breach for each in readings for breach in each.breaches} == set()
    assert {lock for each in readings for lock in each.locks} == set(locks.ORDER)


async def everything_done(payments: PaymentService) -> None:
    await one_of_everything(payments)
    await until_silent(payments, 1)
    await payments.consume()
    await settle_refund(payments, "failed")
    await payments.consume()
    await payments.start((await payments.open_invoice(eur(9)), eur(9)))
    await payments.start((await payments.open_invoice(eur(9)), eur(9)), save=True)
    [card] = (await payments.api.call("GET", "/payment-methods", payments.client)).json()["items"]
    await payments.api.call("PUT", f"/payment-methods/{card['id']}/default", payments.client)
    await payments.api.call("POST", "/setup-intents", payments.client)
    await payments.api.call("DELETE", f"/payment-methods/{card['id']}", payments.client)
    await answer_a_dispute(payments)
    await customers_go(payments)
    operator = a_caller("operator", payments.clinic_id)
    await payments.api.call("PUT", "/account", operator, json={"stripe_account_id": None})
    await payments.age(timedelta(days=2))
    replay = partial(parked.replay, consumers_of(consumers, payments.worker))
    await jobs.sweeps(payments.worker, payments.stripe, replay, consumers.apply_stripe_events)()


async def answer_a_dispute(payments: PaymentService) -> None:
    """Write evidence and submit it, then let the task ask what became of the dispute."""
    invoice = await payments.open_invoice(eur(7))
    charge = await charge_of(payments, await payments.pay((invoice, eur(7))))
    await dispute(payments, charge)
    await payments.consume()
    path = f"/disputes/{(await rows(payments))[0]['id']}/evidence"
    held = {"held": {"customer_name": "Ann"}}
    await payments.api.call("PUT", path, staff(payments), json={"texts": {}})
    seen = await payments.api.call("POST", f"{path}/preview", staff(payments), json=held)
    body = held | {"digest": seen.json()["digest"]}
    sent = await payments.api.call("POST", f"{path}/submission", staff(payments), json=body)
    assert sent.json()["state"] == "sent", sent.text
    assert (
        await Worker(
            payments.worker, [submitting(payments.worker, payments.stripe, consumers.apply_stripe_events)]
        ).work_due()
        == 1
    )


async def customers_go(payments: PaymentService) -> None:
    """A customer with a saved card is deleted at Stripe: once an event reports it, once a call finds it out."""
    for heard in (True, False):
        started = await payments.start((await payments.open_invoice(eur(9)), eur(9)), save=True)
        await payments.confirm(started)
        await payments.hook.until("payment_method.attached", 2 if heard else 3)
        await payments.consume()
        customer = await payments.db.admin.fetchval("SELECT stripe_customer_id FROM customers")
        if heard:
            await payments.stripe.sdk.v1.customers.delete_async(customer)
            await payments.hook.until("customer.deleted")
            await payments.consume()
        else:
            await payments.sandbox.control("DELETE", f"/accounts/platform/objects/{customer}")
            await payments.api.call("POST", "/setup-intents", payments.client)
        assert (
            await payments.db.admin.fetchval("SELECT count(*) FROM payment_methods WHERE removed_at IS NULL")
            == 0
        )


def again(events: list[StripeEvent]) -> list[StripeEvent]:
    """The same observations under new event ids, so that the inbox does not skip them before the locks."""
    return [event.model_copy(update={"id": new_id()}) for event in events]


async def test_batches_in_opposite_order_never_wait_in_a_circle(logged: Log) -> None:
    payments, _ = logged
    other = await another_clinic(payments)
    for each in (other, payments):
        await one_of_everything(each)
    await until_silent(payments, 2)
    events = payments.hook.events()

    for _ in range(4):
        await asyncio.gather(
            deliver(payments.worker, consumers, *again(events)),
            deliver(payments.worker, consumers, *again(events)[::-1]),
            request_refund(payments, amount=10),
            request_refund(other, amount=10),
        )

    assert (
        await payments.db.admin.fetchval(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
        == 0
    )


ONE: list[Any] = [UUID(int=1)]
PAYABLES = Sent("SELECT id FROM payables WHERE id = ANY ($1) ORDER BY id FOR UPDATE", [ONE])
PAYMENTS = Sent("SELECT (SELECT 1 FROM allocations) FROM payments ORDER BY id FOR NO KEY UPDATE", [ONE])
SAVE = Sent("WITH s AS (UPDATE allocations SET a = 1) UPDATE payments SET b = 2", [ONE])


@pytest.mark.parametrize(
    ("transaction", "breach"),
    [
        ([PAYMENTS, PAYABLES], "payables is locked after payments"),
        ([PAYMENTS, SAVE], "allocations is changed without the lock of payables"),
        ([PAYABLES, PAYMENTS, SAVE, PAYMENTS], "payments is locked after payments was saved"),
        ([Sent("UPDATE strangers SET a = 1", [])], "strangers has no place in the order"),
        (
            [Sent("SELECT id FROM payables WHERE id = ANY ($1) FOR UPDATE", [ONE * 2])],
            "payables is locked in no order",
        ),
        ([Sent("UPDATE payables SET a = 1 FROM unnest($1)", [ONE * 2])], "payables is changed in no order"),
        ([PAYABLES, PAYMENTS, SAVE], None),
    ],
)
def test_a_lock_out_of_turn_is_seen(transaction: list[Sent], breach: str | None) -> None:
    assert read(transaction, locks.ORDER, locks.GUARDED).breaches == ([breach] if breach else [])


def test_a_statement_is_read_as_postgresql_reads_it() -> None:
    assert locked_by("SELECT a, (SELECT b FROM x) FROM y WHERE z IN (SELECT * FROM w) FOR UPDATE OF y") == "y"
    assert locked_by("SELECT a FROM y") is None
    upsert = "WITH p AS (INSERT INTO x VALUES (1) ON CONFLICT DO UPDATE SET a = 1) UPDATE y SET b = 2"
    assert changes_of(upsert) == [("INSERT INTO", "x"), ("UPDATE", "y")]
