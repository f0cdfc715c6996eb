"""No answer of Stripe's leaves a reservation that nothing ends: each of them, to each call, and then all is well again.

An answer is given to every call, as an outage or a wrong account would. Then it is corrected, and the client presses
once more.
"""

from datetime import timedelta
from typing import Any, get_args
from uuid import UUID

import pytest

from deploy.sandbox.faults import ApiKind
from deploy.sandbox.refusals import EARLY, LATE
from services.payment import jobs
from tests.builders.values import eur
from tests.running.payment import Desk
from tests.running.refunds import BACK, SENT, at_stripe, credit_of, grown_old, leaves_credit, press, sweep
from tests.service.test_payment_methods import a_saved_card, saved_methods

AFTER = ("500_before", "500_after", "timeout_after")
ANSWERS = (*EARLY, *LATE, *AFTER)


def test_every_fault_is_tried() -> None:
    kinds = {name for part in get_args(ApiKind) for name in (get_args(part) or (part,))}
    assert kinds == {*ANSWERS, "latency"}


async def everything_answers(desk: Desk, kind: str, path: str = "/v1/*") -> None:
    await desk.sandbox.control("POST", "/faults/api", {"kind": kind, "path": path, "count": 999})


async def corrected(desk: Desk) -> None:
    await desk.sandbox.control("DELETE", "/faults")


async def open_reservations(desk: Desk) -> int:
    count: int = await desk.db.admin.fetchval("SELECT count(*) FROM allocations WHERE state = 'open'")
    return count


async def is_paid_once(desk: Desk, invoice: UUID, started: Any) -> None:
    """The page pays with what it was given, and the books have the invoice once."""
    assert started.status_code in (200, 201), started.text
    already = desk.hook.count("payment_intent.succeeded")
    assert (await desk.confirm(started))["status"] == "succeeded"
    await desk.hook.until("payment_intent.succeeded", already + 1)
    await desk.hear()
    settled = await desk.db.admin.fetchval("SELECT settled_amount FROM payables WHERE id = $1", invoice)
    assert (settled, await open_reservations(desk)) == (12500, 0)
    left = [each for each in await desk.intents() if each["status"] == "requires_action"]
    assert left == []


@pytest.mark.parametrize("kind", ANSWERS)
async def test_a_new_payment_can_be_paid_once_all_is_corrected(desk: Desk, kind: str) -> None:
    for save in (False, True):
        invoice = await desk.owes(eur(125))
        await everything_answers(desk, kind)
        failed = await desk.start((invoice, eur(125)), save=save)
        assert failed.status_code in (409, 422, 502, 503), failed.text
        assert failed.json()["detail"]
        await corrected(desk)

        await is_paid_once(desk, invoice, await desk.start((invoice, eur(125)), save=save))


@pytest.mark.parametrize("kind", ANSWERS)
async def test_a_payment_under_way_can_be_paid_or_changed_once_all_is_corrected(
    desk: Desk, kind: str
) -> None:
    """The same choice asks for the intent, another one cancels it."""
    for amount, again in ((eur(125), eur(125)), (eur(100), eur(125))):
        invoice = await desk.owes(eur(125))
        assert (await desk.start((invoice, amount))).status_code == 201
        await everything_answers(desk, kind)
        await desk.start((invoice, again))
        await corrected(desk)

        await is_paid_once(desk, invoice, await desk.start((invoice, again)))


@pytest.mark.parametrize("kind", [kind for kind in ANSWERS if kind != "timeout_after"])
async def test_the_sweeper_comes_to_rest(desk: Desk, kind: str) -> None:
    """One attempt whose intent was never made and one that has it. Nobody comes back."""
    await desk.start((await desk.owes(eur(10)), eur(10)))
    await everything_answers(desk, kind)
    await desk.start((await desk.owes(eur(20)), eur(20)))
    await desk.grown_old(timedelta(minutes=11))
    await jobs.sweep_payments(desk.worker, desk.stripe, timedelta(0))
    await corrected(desk)
    for _ in range(3):
        await desk.grown_old(timedelta(hours=25))
        await jobs.sweep_payments(desk.worker, desk.stripe, timedelta(0))

    assert await open_reservations(desk) == 0
    assert await desk.db.admin.fetchval("SELECT count(*) FROM payments WHERE status <> 'canceled'") == 0
    asked = len(desk.sandbox.requests())
    await jobs.sweep_payments(desk.worker, desk.stripe, timedelta(0))
    assert len(desk.sandbox.requests()) == asked


@pytest.mark.parametrize("kind", ANSWERS)
async def test_a_refund_is_sent_once_and_its_credit_is_never_back_as_well(desk: Desk, kind: str) -> None:
    """What Stripe has of the payment is told; each call about its refunds is answered so."""
    await leaves_credit(desk)
    await everything_answers(desk, kind, "/v1/refunds*")
    assert (await press(desk)).status_code == 201
    await corrected(desk)
    await grown_old(desk, timedelta(minutes=11))
    await sweep(desk)
    await sweep(desk)

    sent = [each["amount"] for each in await at_stripe(desk)]
    assert await desk.books() == (SENT if sent else BACK)
    if not sent:
        await press(desk)
        await sweep(desk)
        assert await desk.books() == SENT
    assert [each["amount"] for each in await at_stripe(desk)] == [2500]


@pytest.mark.parametrize("kind", ANSWERS)
async def test_a_refund_that_stripe_cannot_be_asked_about_changes_nothing(desk: Desk, kind: str) -> None:
    await leaves_credit(desk)
    before = await desk.books()
    await everything_answers(desk, kind)
    assert (await press(desk, "once")).status_code in (409, 422, 502, 503)
    await corrected(desk)
    assert (await desk.books(), (await credit_of(desk))["refunds"], await at_stripe(desk)) == (before, [], [])

    assert (await press(desk, "once")).status_code == 201
    assert [each["amount"] for each in await at_stripe(desk)] == [2500]


@pytest.mark.parametrize("kind", ANSWERS)
async def test_cards_can_be_kept_and_removed_once_all_is_corrected(desk: Desk, kind: str) -> None:
    card = await a_saved_card(desk)
    await everything_answers(desk, kind)
    await desk.api.call("DELETE", f"/payment-methods/{card['id']}", desk.client)
    await desk.api.call("POST", "/setup-intents", desk.client)
    await corrected(desk)

    removed = await desk.api.call("DELETE", f"/payment-methods/{card['id']}", desk.client)
    assert removed.status_code in (204, 404), removed.text
    assert await saved_methods(desk) == []
    assert (await desk.api.call("POST", "/setup-intents", desk.client)).status_code == 201
