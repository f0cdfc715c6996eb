"""Two transactions at once on one invoice, isolation of clinics' locks, and refusals of the database itself."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from contracts.events.invoice import InvoiceUpdated
from contracts.events.stripe import StripeEvent
from services.chassis.db.database import Connection, Key
from services.chassis.ids import new_id
from services.invoice.invoices import store as invoice_store
from services.payment import consumers
from services.payment.payments import store as payment_store
from services.payment.receivables import store as payables
from tests.builders.events import deliver
from tests.builders.payments import a_settlement
from tests.builders.values import eur
from tests.running.databases import ServiceDb
from tests.running.invoice import an_invoice_service
from tests.running.payment import PaymentService
from tests.service.waiting import until_waiting

Lock = Callable[[Connection, Collection[Key]], Awaitable[Mapping[Key, Any]]]


async def two_successes_of_one_invoice(payments: PaymentService) -> tuple[StripeEvent, StripeEvent]:
    """Stripe has charged 100 twice for 125, which should never happen, and must be booked correctly if it does."""
    invoice = await payments.open_invoice(eur(125))
    given_up = await payments.start((invoice, eur(100)))
    await payments.db.admin.execute("UPDATE allocations SET state = 'released'")
    await payments.db.admin.execute("UPDATE payments SET status = 'canceled'")
    for tab in (given_up, await payments.start((invoice, eur(100)))):
        await payments.confirm(tab)
    await payments.hook.until("payment_intent.succeeded", 2)
    first, second = (e for e in payments.hook.events() if e.event_type == "payment_intent.succeeded")
    return first, second


async def test_two_successes_at_once_settle_no_more_than_is_open(payments: PaymentService) -> None:
    first, second = await two_successes_of_one_invoice(payments)

    async with payments.worker.worker_tx() as tx:
        await consumers.apply_stripe_events(tx, [first])
        other = asyncio.create_task(payments.consume(second))
        await until_waiting(payments.db, other)
    await other

    assert await payments.books() == [("client_credit", -7500), ("receivable", -12500), ("stripe", 20000)]
    assert await payments.db.admin.fetchval("SELECT settled_amount FROM payables") == 12500


async def test_two_workers_with_one_success_say_it_once_without_being_refused(
    payments: PaymentService,
) -> None:
    """The second waits for the first and then reads its result, so the ledger's unique key is not needed."""
    await payments.confirm(await payments.start((await payments.open_invoice(eur(125)), eur(125))))
    await payments.hook.until("payment_intent.succeeded")
    (success,) = (e for e in payments.hook.events() if e.event_type == "payment_intent.succeeded")

    async def consume_again() -> None:
        async with payments.worker.worker_tx() as tx:
            await consumers.apply_stripe_events(tx, [success])

    async with payments.worker.worker_tx() as tx:
        await consumers.apply_stripe_events(tx, [success])
        other = asyncio.create_task(consume_again())
        await until_waiting(payments.db, other)
    await other

    assert await payments.books() == [("receivable", -12500), ("stripe", 12500)]


@pytest.fixture
async def twins(payments: PaymentService) -> tuple[Key, Key]:
    """Two clinics with a receivable of the same id, and a payment of the same id."""
    invoice = await payments.open_invoice(eur(125))
    await payments.start((invoice, eur(125)))
    stranger, payment_id = new_id(), await payments.db.admin.fetchval("SELECT id FROM payments")
    for table, changes in (
        ("payables", {}),
        ("payments", {"idempotency_key": "x", "stripe_payment_intent_id": "x"}),
    ):
        await payments.db.admin.execute(
            f"INSERT INTO {table} SELECT (jsonb_populate_record({table}, $1)).* FROM {table}",
            json.dumps({"clinic_id": str(stranger)} | changes),
        )
    await payments.db.admin.execute("UPDATE payments SET id = $1 WHERE clinic_id = $2", payment_id, stranger)
    return (payments.clinic_id, invoice), (stranger, invoice)


async def locks_only(db: ServiceDb, table: str, lock: Lock, own: Key, other: Key) -> None:
    """The lock is on the one row, and not on the other clinic's row with the same id."""
    async with db.worker.worker_tx() as tx:
        assert set(await lock(tx, {own})) == {own}
        free = f"SELECT true FROM {table} WHERE clinic_id = $1 AND id = $2 FOR UPDATE NOWAIT"
        assert await db.admin.fetchval(free, *other)
        with pytest.raises(asyncpg.LockNotAvailableError):
            await db.admin.fetchval(free, *own)


async def test_a_lock_of_a_payable_or_a_payment_is_of_its_clinic_alone(
    payments: PaymentService, twins: tuple[Key, Key]
) -> None:
    own, other = twins
    payment_id = await payments.db.admin.fetchval("SELECT id FROM payments LIMIT 1")
    await locks_only(payments.db, "payables", payables.lock_receivables, own, other)
    await locks_only(
        payments.db, "payments", payment_store.lock_payments, (own[0], payment_id), (other[0], payment_id)
    )


async def test_a_success_settles_its_own_clinics_payable_alone(
    payments: PaymentService, twins: tuple[Key, Key]
) -> None:
    own, other = twins
    async with payments.worker.worker_tx() as tx:
        (payable,) = (await payables.lock_receivables(tx, {own})).values()
        await payables.save_receivables(tx, [replace(payable, settled_amount=1)])
    rows = await payments.db.admin.fetch("SELECT clinic_id, settled_amount FROM payables")
    settled = {row["clinic_id"]: row["settled_amount"] for row in rows}
    assert settled == {own[0]: 1, other[0]: 0}


async def test_a_movement_changes_its_own_clinics_invoice_alone(db_invoice: ServiceDb) -> None:
    async with an_invoice_service(db_invoice) as world:
        invoice_id = UUID((await world.issue())["id"])
        stranger, client_id = await world.add_clinic("elsewhere")
        await db_invoice.admin.execute(
            "INSERT INTO invoices SELECT (jsonb_populate_record(invoices, $1)).* FROM invoices",
            json.dumps({"clinic_id": str(stranger), "client_id": str(client_id)}),
        )
        own, other = (world.clinic_id, invoice_id), (stranger, invoice_id)
        await locks_only(db_invoice, "invoices", invoice_store.lock_invoices, own, other)

        await world.deliver(a_settlement(world.clinic_id, invoice_id, eur(125)))

    rows = await db_invoice.admin.fetch("SELECT clinic_id, status FROM invoices")
    assert {row["clinic_id"]: row["status"] for row in rows} == {world.clinic_id: "paid", stranger: "unpaid"}


async def test_a_payment_cannot_be_of_another_clinics_payable(payments: PaymentService) -> None:
    await payments.start((await payments.open_invoice(eur(125)), eur(125)))
    stranger = new_id()
    for table, refused in (
        ("allocations", "payable_id"),
        ("movements", "payable_id"),
        ("entries", "payment_id"),
    ):
        constraints = await payments.db.admin.fetch(
            "SELECT pg_get_constraintdef(oid) AS text FROM pg_constraint WHERE conrelid = $1::text::regclass"
            " AND contype = 'f'",
            table,
        )
        keys = [row["text"] for row in constraints if refused in row["text"]]
        assert keys, table
        assert all(key.startswith("FOREIGN KEY (clinic_id, ") for key in keys), keys
    with pytest.raises(asyncpg.ForeignKeyViolationError, match="payable"):
        await payments.db.admin.execute(
            """
            WITH copy AS (
                INSERT INTO payments SELECT (jsonb_populate_record(payments, $1)).* FROM payments RETURNING *
            )
            INSERT INTO allocations (clinic_id, payment_id, payable_id, amount, state)
            SELECT copy.clinic_id, copy.id, payables.id, 1, 'open' FROM copy, payables
            """,
            json.dumps({"clinic_id": str(stranger), "idempotency_key": "x", "stripe_payment_intent_id": "x"}),
        )


async def test_an_effect_of_a_stripe_object_is_booked_once_for_ever(payments: PaymentService) -> None:
    await payments.pay((await payments.open_invoice(eur(125)), eur(125)))
    for table in ("entries", "movements"):
        with pytest.raises(asyncpg.UniqueViolationError):
            await payments.db.admin.execute(
                f"INSERT INTO {table} SELECT (jsonb_populate_record({table}, $1)).* FROM {table}",
                json.dumps({"id": str(new_id())} if table == "entries" else {}),
            )


async def test_an_older_state_of_an_invoice_changes_nothing(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(125), version=1)
    await deliver(payments.worker, consumers, payments.invoice(invoice, eur(100), 3, InvoiceUpdated))
    await deliver(
        payments.worker, consumers, payments.invoice(invoice, eur(150), 2, InvoiceUpdated, status="void")
    )

    kept = await payments.db.admin.fetchrow("SELECT version, due_amount, status FROM payables")
    assert tuple(kept or ()) == (3, 10000, "unpaid")
