"""When the sweeper asks Stripe about a payment: in its turn, and at once when it is over more than is open."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from services.payment.payments import reads as lookups
from services.payment.receivables import store as payables
from tests.builders.values import eur
from tests.running.payment import PaymentService

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


async def an_attempt(payments: PaymentService) -> tuple[UUID, UUID]:
    """Ids of an invoice over 125 and of the payment that somebody has begun for it."""
    invoice = await payments.open_invoice(eur(125))
    return invoice, UUID((await payments.start((invoice, eur(125)))).json()["payment_id"])


async def began(payments: PaymentService, payment_id: UUID, ago: timedelta, asked: timedelta) -> None:
    await payments.db.admin.execute(
        "UPDATE payments SET created_at = now() - $2::interval, checked_at = now() - $3::interval WHERE id = $1",
        payment_id,
        ago,
        asked,
    )


async def taken(payments: PaymentService, limit: int = 50) -> list[UUID]:
    async with payments.worker.worker_tx() as tx:
        return [payment.id for payment in await lookups.claim_unchecked(tx, MINUTE, limit)]


@pytest.mark.parametrize(
    ("ago", "asked", "due"),
    [
        (5 * MINUTE, 0.9 * MINUTE, False),
        (5 * MINUTE, 1.1 * MINUTE, True),
        (10 * HOUR, 55 * MINUTE, False),
        (10 * HOUR, 65 * MINUTE, True),
        (400 * HOUR, 39 * HOUR, False),
        (400 * HOUR, 41 * HOUR, True),
        (MINUTE, 2 * HOUR, True),
    ],
)
async def test_a_payment_is_asked_about_after_a_minute_and_then_after_tenths_of_its_age(
    payments: PaymentService, ago: timedelta, asked: timedelta, due: bool
) -> None:
    _, payment_id = await an_attempt(payments)
    await began(payments, payment_id, ago, asked)

    assert await taken(payments) == ([payment_id] if due else [])
    assert await taken(payments) == []


async def test_of_too_many_those_come_first_whose_turn_was_first(payments: PaymentService) -> None:
    late, first, second = [(await an_attempt(payments))[1] for _ in range(3)]
    await began(payments, late, HOUR, 7 * MINUTE)
    await began(payments, first, 10 * HOUR, 10 * HOUR)
    await began(payments, second, HOUR, 40 * MINUTE)

    assert set(await taken(payments, 2)) == {first, second}
    assert await taken(payments, 2) == [late]


async def test_what_another_payment_has_settled_is_open_for_no_attempt_any_more(
    payments: PaymentService,
) -> None:
    invoice, payment_id = await an_attempt(payments)
    await an_attempt(payments)

    async def is_settled(amount: int) -> None:
        async with payments.worker.worker_tx() as tx:
            (payable,) = (await payables.lock_receivables(tx, {(payments.clinic_id, invoice)})).values()
            await payables.save_receivables(tx, [replace(payable, settled_amount=amount)])

    await is_settled(1)
    assert await taken(payments) == [payment_id]
    assert await taken(payments) == [payment_id], "until it is over"

    await is_settled(0)
    assert await taken(payments) == []
