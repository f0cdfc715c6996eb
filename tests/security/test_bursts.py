"""Trying out stolen cards is slowed: by the client's declines, by one payment's, and by cards that are added."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from contracts import consents
from services.chassis.ids import new_id
from services.payment.payments import starting, sweep
from services.payment.stripe import observations
from tests.builders.callers import a_caller
from tests.builders.values import eur
from tests.running.databases import ServiceDb
from tests.running.payment import PaymentService, a_payment_service
from tests.running.two_clinics import TwoClinics

NO_TIME = timedelta(0)


@pytest.fixture
async def payments(db_payment: ServiceDb) -> AsyncIterator[PaymentService]:
    async with a_payment_service(db_payment) as payments:
        yield payments


async def declined(payments: PaymentService, started: Any, times: int) -> None:
    """So many cards are tried at Stripe with the payment's secret, and we hear of it."""
    heard = payments.hook.count("payment_intent.payment_failed")
    for _ in range(times):
        refused = await payments.confirm(started, "pm_card_chargeDeclined")
        assert refused["error"]["code"] == "card_declined", refused
    await payments.hook.until("payment_intent.payment_failed", heard + times)
    await payments.consume()


async def test_after_a_burst_of_declines_no_payment_is_started(payments: PaymentService) -> None:
    invoice, another = await payments.open_invoice(eur(125)), await payments.open_invoice(eur(10))
    started = await payments.start((invoice, eur(125)))

    await declined(payments, started, starting.MOST_DECLINES - 1)
    assert (await payments.start((invoice, eur(125)))).status_code == 200
    await declined(payments, started, 1)

    for choice in ((invoice, eur(125)), (another, eur(10))):
        refused = await payments.start(choice)
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_declines")
        assert int(refused.headers["retry-after"]) > 0


async def test_a_burst_is_one_clients_and_ends(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(125))
    await declined(payments, await payments.start((invoice, eur(125))), starting.MOST_DECLINES)
    neighbour = a_caller("client", payments.clinic_id)
    theirs = await payments.open_invoice(eur(5), client_id=neighbour.subject)

    assert (await payments.start((theirs, eur(5)), caller=neighbour)).status_code == 201
    await payments.age(timedelta(hours=1))
    assert (await payments.start((invoice, eur(125)))).status_code == 200


async def test_a_payment_that_was_declined_too_often_is_ended_at_stripe(payments: PaymentService) -> None:
    """Its secret is in the tester's hands, who needs no page of ours to go on."""
    invoice = await payments.open_invoice(eur(125))
    started = await payments.start((invoice, eur(125)))
    await declined(payments, started, starting.MOST_DECLINES)

    await sweep.sweep_payments(payments.worker, payments.stripe, NO_TIME)

    assert [intent["status"] for intent in await payments.intents()] == ["canceled"]
    assert (await payments.confirm(started))["error"]["code"] == "payment_intent_unexpected_state"


async def test_debits_on_their_way_are_no_declines(payments: PaymentService) -> None:
    for number in range(starting.MOST_DECLINES + 1):
        invoice = await payments.open_invoice(eur(1))
        started = await payments.start((invoice, eur(1)), method={"kind": "redirect"})
        intent = next(iter(await payments.intents())) | {"status": "processing"}
        assert started.json()["client_secret"] == intent["client_secret"]
        news = {"id": f"evt_{number}", "type": "payment_intent.processing", "created": int(time.time())}
        await payments.consume(
            observations.read_event({**news, "livemode": False, "data": {"object": intent}})
        )

    assert await payments.db.admin.fetchval("SELECT sum(version) FROM payments") > starting.MOST_DECLINES
    another = await payments.open_invoice(eur(10))
    assert (await payments.start((another, eur(10)))).status_code == 201


async def test_the_same_decline_counts_once_by_webhook_and_by_sweeper(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(125))
    started = await payments.start((invoice, eur(125)))
    await payments.confirm(started, "pm_card_chargeDeclined")
    await sweep.sweep_payments(payments.worker, payments.stripe, NO_TIME)
    await payments.hook.until("payment_intent.payment_failed")
    await payments.consume()
    again = [event.model_copy(update={"id": new_id()}) for event in payments.hook.events()]
    await payments.consume(*again)

    assert await payments.db.admin.fetchval("SELECT declines FROM payments") == 1


async def test_cards_that_are_paid_with_count_nothing(payments: PaymentService) -> None:
    for _ in range(3):
        invoice = await payments.open_invoice(eur(1))
        await payments.pay((invoice, eur(1)))

    invoice = await payments.open_invoice(eur(125))
    await declined(payments, await payments.start((invoice, eur(125))), starting.MOST_DECLINES - 1)
    assert (await payments.start((invoice, eur(125)))).status_code == 200


async def test_cards_can_be_added_so_often_and_no_more(two: TwoClinics) -> None:
    async with two.visitor(two.bob.email) as visitor:
        headers = {"x-csrftoken": visitor.cookie("csrf") or "", "Accept": "application/json"}

        async def add() -> Any:
            body = {"consent": consents.saving("Clinic alder").mark}
            return await visitor.client.post("/c/alder/methods/setup", json=body, headers=headers)

        answers = await asyncio.gather(*(add() for _ in range(22)))

    assert sorted(answer.status_code for answer in answers) == [200] * 20 + [429] * 2
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["code"] == "too_many_requests" and int(refused.headers["retry-after"]) > 0
