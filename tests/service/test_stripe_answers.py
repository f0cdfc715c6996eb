"""No answer of Stripe's leaves a reservation for ever: each answer is given to each call, then Stripe recovers.

Every call gets the answer, as in an outage or with a wrong account. Then that is corrected, and the client presses
Pay again.
"""

from datetime import timedelta
from typing import Any, get_args
from uuid import UUID

import pytest

from deploy.sandbox.faults import ApiKind
from deploy.sandbox.refusals import EARLY, LATE
from services.payment.payments import sweep as payments_sweep
from tests.builders.values import eur
from tests.running.payment import PaymentService
from tests.running.refunds import (
    BACK,
    SENT,
    age_refunds,
    at_stripe,
    credit_of,
    leave_credit,
    request_refund,
    sweep,
)
from tests.service.test_payment_methods import a_saved_card, saved_methods

AFTER = ("500_before", "500_after", "timeout_after")
ANSWERS = (*EARLY, *LATE, *AFTER)


def test_every_fault_is_tried() -> None:
    kinds = {name for part in get_args(ApiKind) for name in (get_args(part) or (part,))}
    assert kinds == {*ANSWERS, "latency"}


async def everything_answers(payments: PaymentService, kind: str, path: str = "/v1/*") -> None:
    await payments.sandbox.control("POST", "/faults/api", {"kind": kind, "path": path, "count": 999})


async def corrected(payments: PaymentService) -> None:
    await payments.sandbox.control("DELETE", "/faults")


async def open_reservations(payments: PaymentService) -> int:
    count: int = await payments.db.admin.fetchval("SELECT count(*) FROM allocations WHERE state = 'open'")
    return count


async def is_paid_once(payments: PaymentService, invoice: UUID, started: Any) -> None:
    """The page pays with its client secret, and the invoice is booked once."""
    assert started.status_code in (200, 201), started.text
    already = payments.hook.count("payment_intent.succeeded")
    assert (await payments.confirm(started))["status"] == "succeeded"
    await payments.hook.until("payment_intent.succeeded", already + 1)
    await payments.consume()
    settled = await payments.db.admin.fetchval("SELECT settled_amount FROM payables WHERE id = $1", invoice)
    assert (settled, await open_reservations(payments)) == (12500, 0)
    left = [each for each in await payments.intents() if each["status"] == "requires_action"]
    assert left == []


@pytest.mark.parametrize("kind", ANSWERS)
async def test_a_new_payment_can_be_paid_once_all_is_corrected(payments: PaymentService, kind: str) -> None:
    for save in (False, True):
        invoice = await payments.open_invoice(eur(125))
        await everything_answers(payments, kind)
        failed = await payments.start((invoice, eur(125)), save=save)
        assert failed.status_code in (409, 422, 502, 503), failed.text
        assert failed.json()["detail"]
        await corrected(payments)

        await is_paid_once(payments, invoice, await payments.start((invoice, eur(125)), save=save))


@pytest.mark.parametrize("kind", ANSWERS)
async def test_a_payment_under_way_can_be_paid_or_changed_once_all_is_corrected(
    payments: PaymentService, kind: str
) -> None:
    """The same request retrieves the intent, another one cancels it."""
    for amount, again in ((eur(125), eur(125)), (eur(100), eur(125))):
        invoice = await payments.open_invoice(eur(125))
        assert (await payments.start((invoice, amount))).status_code == 201
        await everything_answers(payments, kind)
        await payments.start((invoice, again))
        await corrected(payments)

        await is_paid_once(payments, invoice, await payments.start((invoice, again)))


@pytest.mark.parametrize("kind", [kind for kind in ANSWERS if kind != "timeout_after"])
async def test_the_sweeper_comes_to_rest(payments: PaymentService, kind: str) -> None:
    """One attempt without an intent and one with it. The client does not come back."""
    await payments.start((await payments.open_invoice(eur(10)), eur(10)))
    await everything_answers(payments, kind)
    await payments.start((await payments.open_invoice(eur(20)), eur(20)))
    await payments.age(timedelta(minutes=11))
    await payments_sweep.sweep_payments(payments.worker, payments.stripe, timedelta(0))
    await corrected(payments)
    for _ in range(3):
        await payments.age(timedelta(hours=25))
        await payments_sweep.sweep_payments(payments.worker, payments.stripe, timedelta(0))

    assert await open_reservations(payments) == 0
    assert await payments.db.admin.fetchval("SELECT count(*) FROM payments WHERE status <> 'canceled'") == 0
    asked = len(payments.sandbox.requests())
    await payments_sweep.sweep_payments(payments.worker, payments.stripe, timedelta(0))
    assert len(payments.sandbox.requests()) == asked


@pytest.mark.parametrize("kind", ANSWERS)
async def test_a_refund_is_sent_once_and_its_credit_is_never_back_as_well(
    payments: PaymentService, kind: str
) -> None:
    """The payment's intent is answered normally; each call about its refunds gets the answer."""
    await leave_credit(payments)
    await everything_answers(payments, kind, "/v1/refunds*")
    assert (await request_refund(payments)).status_code == 201
    await corrected(payments)
    await age_refunds(payments, timedelta(minutes=11))
    await sweep(payments)
    await sweep(payments)

    sent = [each["amount"] for each in await at_stripe(payments)]
    assert await payments.books() == (SENT if sent else BACK)
    if not sent:
        await request_refund(payments)
        await sweep(payments)
        assert await payments.books() == SENT
    assert [each["amount"] for each in await at_stripe(payments)] == [2500]


@pytest.mark.parametrize("kind", ANSWERS)
async def test_a_refund_that_stripe_cannot_be_asked_about_changes_nothing(
    payments: PaymentService, kind: str
) -> None:
    await leave_credit(payments)
    before = await payments.books()
    await everything_answers(payments, kind)
    assert (await request_refund(payments, "once")).status_code in (409, 422, 502, 503)
    await corrected(payments)
    assert (await payments.books(), (await credit_of(payments))["refunds"], await at_stripe(payments)) == (
        before,
        [],
        [],
    )

    assert (await request_refund(payments, "once")).status_code == 201
    assert [each["amount"] for each in await at_stripe(payments)] == [2500]


@pytest.mark.parametrize("kind", ANSWERS)
async def test_cards_can_be_kept_and_removed_once_all_is_corrected(
    payments: PaymentService, kind: str
) -> None:
    card = await a_saved_card(payments)
    await everything_answers(payments, kind)
    await payments.api.call("DELETE", f"/payment-methods/{card['id']}", payments.client)
    await payments.api.call("POST", "/setup-intents", payments.client)
    await corrected(payments)

    removed = await payments.api.call("DELETE", f"/payment-methods/{card['id']}", payments.client)
    assert removed.status_code in (204, 404), removed.text
    assert await saved_methods(payments) == []
    assert (await payments.api.call("POST", "/setup-intents", payments.client)).status_code == 201
