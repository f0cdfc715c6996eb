"""A payment has one day: when Stripe captured it, wherever it is shown. When it was booked is kept beside it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from contracts.events.payment import PaymentSettled, PaymentSucceeded
from services.chassis import clock
from services.notification.emails.messages.parts import payment_data
from services.payment.ledger import reemit as ledger
from services.payment.payments import sweep
from tests.builders.events import outbox_events
from tests.builders.payments import a_payment, a_settlement
from tests.builders.values import eur
from tests.running.databases import ServiceDb
from tests.running.invoice import InvoiceService, an_invoice_service
from tests.running.payment import PaymentService

DAYS = timedelta(days=3)


@pytest.fixture
async def world(db_invoice: ServiceDb) -> AsyncIterator[InvoiceService]:
    async with an_invoice_service(db_invoice) as made:
        yield made


@pytest.mark.parametrize("how", ["swept", "webhook"])
async def test_the_day_of_a_payment_is_when_stripe_captured_it(payments: PaymentService, how: str) -> None:
    await payments.sandbox.control("POST", "/clock", {"offset_seconds": -int(DAYS.total_seconds())})
    invoice = await payments.open_invoice(eur(125))
    started = await payments.start((invoice, eur(125)))
    await payments.confirm(started)
    if how == "swept":
        await sweep.sweep_payments(payments.worker, payments.stripe, timedelta(0))
    else:
        await payments.hook.until("payment_intent.succeeded")
        await payments.consume()

    paid = await payments.payment(started.json()["payment_id"])
    captured = datetime.fromisoformat(paid["succeeded_at"])
    assert abs(clock.now() - DAYS - captured) < timedelta(minutes=1)
    published = await outbox_events(payments.db)
    [success] = [each for each in published if isinstance(each, PaymentSucceeded)]
    [settled] = [each for each in published if isinstance(each, PaymentSettled)]
    assert (success.captured_at, settled.captured_at) == (captured, captured)
    assert payment_data(success).at == captured
    assert clock.now() - settled.time < timedelta(minutes=1)
    rows = await payments.db.admin.fetch(ledger.SOURCE.sql, clock.now() - DAYS)
    assert [event for row in rows for event in ledger.SOURCE.events_of(row)] == [
        settled.model_copy(update={"traceparent": None})
    ]


@pytest.mark.parametrize("captured", [datetime(2026, 11, 5, 23, 30, tzinfo=UTC), None])
async def test_an_invoice_keeps_both_times_of_a_movement(
    world: InvoiceService, captured: datetime | None
) -> None:
    invoice: Any = await world.issue(12_500)
    movement = a_settlement(world.clinic_id, UUID(invoice["id"]), eur(125))
    await world.deliver(movement.model_copy(update={"captured_at": captured}))

    [shown] = (await world.get(f"/invoices/{invoice['id']}"))["movements"]

    assert datetime.fromisoformat(shown["booked_at"]) == movement.time
    assert (shown["captured_at"] and datetime.fromisoformat(shown["captured_at"])) == captured


def test_an_event_of_an_earlier_release_is_dated_as_before() -> None:
    old: PaymentSucceeded = a_payment(PaymentSucceeded, UUID(int=1), (UUID(int=2), eur(1)))

    assert (old.captured_at, payment_data(old).at) == (None, old.time)
