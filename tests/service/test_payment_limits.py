"""Limits on what one client, or all of them, can make us do at Stripe: counted exactly, by Stripe's own requests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from services.chassis.retention import delete_old
from services.payment import app
from services.payment.retention import RULES
from services.payment.stripe.api import StripeApi
from services.payment.stripe.budget import Budget
from tests.builders.callers import a_caller
from tests.builders.values import eur
from tests.running.apps import calling
from tests.running.databases import ServiceDb
from tests.running.payment import PaymentService, a_payment_service
from tests.running.settings import payment_settings

MOST = 5
CARD, REDIRECT = {"kind": "card"}, {"kind": "redirect"}


@pytest.fixture
async def payments(db_payment: ServiceDb) -> AsyncIterator[PaymentService]:
    async with a_payment_service(db_payment) as payments:
        yield payments


@asynccontextmanager
async def limited(payments: PaymentService, **limits: int) -> AsyncIterator[Budget]:
    """The API of the service with these settings instead of its own. The clock of its budget stands still."""
    made = app.api(payment_settings(payments.db.api_dsn, payments.sandbox, **limits))
    stripe: Any = made.dependencies["stripe"]
    found: StripeApi = stripe.dependency()
    found.budget.now = lambda: 100.0
    async with calling(made, "payment") as client:
        payments.api = client
        yield found.budget


def refused(answers: list[Any]) -> list[str]:
    return [answer.json()["code"] for answer in answers if answer.status_code >= 400]


async def test_a_session_that_alternates_is_stopped_and_costs_stripe_so_many_calls(
    payments: PaymentService,
) -> None:
    invoice = await payments.open_invoice(eur(125))
    async with limited(payments, starts_per_hour=MOST):
        answers = [
            await payments.start((invoice, eur(125)), method=(CARD, REDIRECT)[number % 2])
            for number in range(30)
        ]

    assert refused(answers) == ["too_many_starts"] * (30 - MOST)
    assert all(0 < int(answer.headers["retry-after"]) <= 3600 for answer in answers[MOST:])
    assert await payments.db.admin.fetchval("SELECT count(*) FROM payments") == MOST
    # One intent for each start, and the end of the one before it.
    assert len(payments.sandbox.requests()) == 2 * MOST - 1
    assert (await payments.confirm(answers[MOST - 1]))["status"] == "succeeded"


async def test_presses_at_once_over_many_invoices_are_counted_before_they_do_anything(
    payments: PaymentService,
) -> None:
    invoices = [await payments.open_invoice(eur(10)) for _ in range(12)]
    async with limited(payments, starts_per_hour=MOST):
        answers = await asyncio.gather(*(payments.start((each, eur(10))) for each in invoices))

    assert refused(answers) == ["too_many_starts"] * (12 - MOST)
    assert len(payments.sandbox.requests()) == MOST


async def test_the_limit_is_one_clients_and_ends(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(125))
    neighbour = a_caller("client", payments.clinic_id)
    theirs = await payments.open_invoice(eur(5), client_id=neighbour.subject)
    async with limited(payments, starts_per_hour=1):
        assert (await payments.start((invoice, eur(125)))).status_code == 201
        assert (await payments.start((invoice, eur(125)))).status_code == 429
        assert (await payments.start((theirs, eur(5)), caller=neighbour)).status_code == 201

        await payments.db.admin.execute(
            "UPDATE starts SET ends_at = ends_at - interval '1 hour' WHERE client_id = $1", payments.client_id
        )
        assert (await payments.start((invoice, eur(125)))).status_code == 200
        assert (await payments.start((invoice, eur(125)))).status_code == 429


async def test_counts_that_have_ended_are_deleted(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(125))
    await payments.start((invoice, eur(125)))

    assert await delete_old(payments.worker.worker_tx, RULES) == 0
    await payments.db.admin.execute("UPDATE starts SET ends_at = ends_at - interval '2 hours'")
    assert await delete_old(payments.worker.worker_tx, RULES) == 1
    assert await counted(payments) == []


async def counted(payments: PaymentService) -> list[int]:
    return [row["tries"] for row in await payments.db.admin.fetch("SELECT tries FROM starts")]


async def test_starts_end_at_their_part_of_the_budget_and_leave_the_rest(payments: PaymentService) -> None:
    await payments.pay((await payments.open_invoice(eur(125)), eur(125)))
    intent = await payments.db.admin.fetchval("SELECT stripe_payment_intent_id FROM payments")
    invoices = [await payments.open_invoice(eur(10)) for _ in range(10)]
    before = len(payments.sandbox.requests())
    async with limited(payments, stripe_calls_per_second=100, stripe_calls_per_second_of_account=8) as budget:
        answers = [await payments.start((each, eur(10))) for each in invoices[:7]]
        setup = await payments.api.call("POST", "/setup-intents", payments.client)

        assert refused([*answers, setup]) == ["stripe_busy", "stripe_busy"]
        assert all(int(answer.headers["retry-after"]) > 0 for answer in (answers[-1], setup))
        assert len(payments.sandbox.requests()) == before + 6
        stripe = StripeApi(payments.sandbox.secret_key, payments.sandbox.url, budget=budget)
        for _ in range(2):
            await stripe.retrieve_intent("", intent)
        await stripe.close()
        assert len(payments.sandbox.requests()) == before + 8

    # A start that was refused holds nothing for ever: with room again it goes on.
    async with limited(payments):
        again = await payments.start((invoices[6], eur(10)))
    assert (await payments.confirm(again))["status"] == "succeeded"


async def test_retries_of_the_sdk_count(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(10))
    fault = {"kind": "409", "method": "POST", "path": "/v1/payment_intents", "count": 99}
    await payments.sandbox.control("POST", "/faults/api", fault)
    async with limited(payments, stripe_calls_per_second=100, stripe_calls_per_second_of_account=4):
        answer = await payments.start((invoice, eur(10)))

    assert (answer.status_code, answer.json()["code"]) == (503, "stripe_busy")
    assert len(payments.sandbox.requests()) == 3
