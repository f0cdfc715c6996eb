"""Trying out stolen cards is slowed: by the client's declines, by one payment's, and by cards that are added."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from services.chassis.ids import new_id
from services.payment import jobs
from services.payment.payments import starting
from services.payment.stripe import observations
from tests.builders.callers import a_caller
from tests.builders.values import eur
from tests.running.databases import ServiceDb
from tests.running.payment import Desk, a_desk
from tests.running.two_clinics import TwoClinics

NO_TIME = timedelta(0)


@pytest.fixture
async def desk(db_payment: ServiceDb) -> AsyncIterator[Desk]:
    async with a_desk(db_payment) as desk:
        yield desk


async def declined(desk: Desk, started: Any, times: int) -> None:
    """So many cards are tried at Stripe with the payment's secret, and we hear of it."""
    heard = desk.hook.count("payment_intent.payment_failed")
    for _ in range(times):
        refused = await desk.confirm(started, "pm_card_chargeDeclined")
        assert refused["error"]["code"] == "card_declined", refused
    await desk.hook.until("payment_intent.payment_failed", heard + times)
    await desk.hear()


async def test_after_a_burst_of_declines_no_payment_is_started(desk: Desk) -> None:
    invoice, another = await desk.owes(eur(125)), await desk.owes(eur(10))
    started = await desk.start((invoice, eur(125)))

    await declined(desk, started, starting.MOST_DECLINES - 1)
    assert (await desk.start((invoice, eur(125)))).status_code == 200
    await declined(desk, started, 1)

    for choice in ((invoice, eur(125)), (another, eur(10))):
        refused = await desk.start(choice)
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_declines")
        assert int(refused.headers["retry-after"]) > 0


async def test_a_burst_is_one_clients_and_ends(desk: Desk) -> None:
    invoice = await desk.owes(eur(125))
    await declined(desk, await desk.start((invoice, eur(125))), starting.MOST_DECLINES)
    neighbour = a_caller("client", desk.clinic_id)
    theirs = await desk.owes(eur(5), client_id=neighbour.subject)

    assert (await desk.start((theirs, eur(5)), caller=neighbour)).status_code == 201
    await desk.grown_old(timedelta(hours=1))
    assert (await desk.start((invoice, eur(125)))).status_code == 200


async def test_a_payment_that_was_declined_too_often_is_ended_at_stripe(desk: Desk) -> None:
    """Its secret is in the tester's hands, who needs no page of ours to go on."""
    invoice = await desk.owes(eur(125))
    started = await desk.start((invoice, eur(125)))
    await declined(desk, started, starting.MOST_DECLINES)

    await jobs.sweep_payments(desk.worker, desk.stripe, NO_TIME)

    assert [intent["status"] for intent in await desk.intents()] == ["canceled"]
    assert (await desk.confirm(started))["error"]["code"] == "payment_intent_unexpected_state"


async def test_debits_on_their_way_are_no_declines(desk: Desk) -> None:
    for number in range(starting.MOST_DECLINES + 1):
        invoice = await desk.owes(eur(1))
        started = await desk.start((invoice, eur(1)), method={"kind": "redirect"})
        intent = next(iter(await desk.intents())) | {"status": "processing"}
        assert started.json()["client_secret"] == intent["client_secret"]
        news = {"id": f"evt_{number}", "type": "payment_intent.processing", "created": int(time.time())}
        await desk.hear(observations.read_event({**news, "livemode": False, "data": {"object": intent}}))

    assert await desk.db.admin.fetchval("SELECT sum(version) FROM payments") > starting.MOST_DECLINES
    another = await desk.owes(eur(10))
    assert (await desk.start((another, eur(10)))).status_code == 201


async def test_the_same_decline_counts_once_by_webhook_and_by_sweeper(desk: Desk) -> None:
    invoice = await desk.owes(eur(125))
    started = await desk.start((invoice, eur(125)))
    await desk.confirm(started, "pm_card_chargeDeclined")
    await jobs.sweep_payments(desk.worker, desk.stripe, NO_TIME)
    await desk.hook.until("payment_intent.payment_failed")
    await desk.hear()
    again = [event.model_copy(update={"id": new_id()}) for event in desk.hook.events()]
    await desk.hear(*again)

    assert await desk.db.admin.fetchval("SELECT declines FROM payments") == 1


async def test_cards_that_are_paid_with_count_nothing(desk: Desk) -> None:
    for _ in range(3):
        invoice = await desk.owes(eur(1))
        await desk.pay((invoice, eur(1)))

    invoice = await desk.owes(eur(125))
    await declined(desk, await desk.start((invoice, eur(125))), starting.MOST_DECLINES - 1)
    assert (await desk.start((invoice, eur(125)))).status_code == 200


async def test_cards_can_be_added_so_often_and_no_more(two: TwoClinics) -> None:
    async with two.visitor(two.bob.email) as visitor:
        headers = {"x-csrftoken": visitor.cookie("csrf") or "", "Accept": "application/json"}

        async def add() -> Any:
            return await visitor.client.post("/c/alder/methods/setup", headers=headers)

        answers = await asyncio.gather(*(add() for _ in range(22)))

    assert sorted(answer.status_code for answer in answers) == [200] * 20 + [429] * 2
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["code"] == "too_many_requests" and int(refused.headers["retry-after"]) > 0
