"""Parts that do not answer, and a wrong secret: one line of the log an incident, however many requests meet it."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import stamina
from structlog.testing import capture_logs

from services.chassis import incidents as module
from services.chassis.db.database import Database
from services.chassis.incidents import incidents
from services.chassis.outbox.relay import Shard
from services.invoice import app as invoice_app
from services.payment import app as payment_app
from services.payment.stripe.answers import StripeUnavailable
from services.payment.stripe.api import StripeApi
from tests.builders.callers import a_caller
from tests.running.apps import calling
from tests.running.databases import ServiceDb
from tests.running.settings import NOBODY, SEAL, invoice_settings, payment_settings

AWAY = f"postgresql://nobody@{NOBODY}/none"
MANY = 30


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The log, as of a process that has just begun."""
    monkeypatch.setattr(module, "QUIET_SECONDS", 0.0)
    incidents.forget()
    with capture_logs() as logged:
        yield logged
    incidents.forget()


def named(told: list[Any], level: str = "error") -> list[str]:
    return [each["event"] for each in told if each["log_level"] == level]


async def test_a_wrong_webhook_secret_is_one_line_with_the_events_id(told: list[Any]) -> None:
    body = b'{"id": "evt_1", "object": "event"}'
    async with calling(payment_app.api(payment_settings(AWAY)), "payment") as service:
        for _ in range(MANY):
            wrong = {"Stripe-Signature": "t=1,v1=00"}
            answer = await service.call("POST", "/webhooks/stripe", content=body, headers=wrong)
            assert answer.status_code == 400
    assert named(told) == ["webhook_signature_wrong_begins"]
    assert told[0]["stripe_event_id"] == "evt_1"


async def test_an_id_that_is_none_is_not_logged(told: list[Any]) -> None:
    body = b'{"id": "evt_1\\nforged line Ann Byrne", "object": "event"}'
    async with calling(payment_app.api(payment_settings(AWAY)), "payment") as service:
        await service.call("POST", "/webhooks/stripe", content=body)
    assert told[0]["stripe_event_id"] is None and "Byrne" not in str(told)


async def test_a_database_that_does_not_answer_is_an_incident_that_ends(
    db_invoice: ServiceDb, told: list[Any]
) -> None:
    async with calling(invoice_app.api(invoice_settings(AWAY)), "invoice") as service:
        for _ in range(MANY):
            assert (await service.call("GET", "/clinics", a_caller("operator"))).status_code == 503
    assert sorted(named(told)) == ["database_unreachable_begins", "request_without_database_begins"]
    again = Database(db_invoice.api_dsn)
    await again.ping()
    await again.close()
    assert [(each["event"], each["count"]) for each in told if each["log_level"] == "warning"] == [
        ("database_unreachable_ends", MANY),
        ("request_without_database_ends", MANY),
    ]


async def ask_stripe_in_vain() -> None:
    stripe = StripeApi("sk_test_1", f"http://{NOBODY}", 2, SEAL)
    for _ in range(3):
        with pytest.raises(StripeUnavailable):
            await stripe.retrieve_intent("", "pi_1")
    await stripe.close()


async def test_stripe_that_does_not_answer_is_one_line(told: list[Any]) -> None:
    await ask_stripe_in_vain()
    assert named(told) == ["stripe_unreachable_begins"]
    assert not named(told, "info")


async def test_payment_says_for_a_minute_that_it_goes_without_stripe(
    told: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`told`: of a process that has just begun."""
    async with calling(payment_app.api(payment_settings(AWAY)), "payment") as service:

        async def stripes() -> str:
            answer = await service.call("GET", "/healthz/ready")
            return str(answer.json()["checks"]["stripe"])

        assert await stripes() == "ok"
        await ask_stripe_in_vain()
        assert await stripes() == "StripeUnavailable"
        monkeypatch.setattr(module, "AGAIN_SECONDS", 0.0)
        assert await stripes() == "ok"


async def test_an_outbox_that_is_reached_again_ends_its_incident_once_it_stays(
    db_invoice: ServiceDb, told: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it works for the first time too soon after the last failure to be sure."""
    monkeypatch.setattr(module, "QUIET_SECONDS", 0.2)
    nobody: Any = None  # an empty outbox sends nothing
    relay = Shard("invoice", lambda: [db_invoice.relay_dsn], 0, 1, nobody)
    incidents.failed("outbox_unreachable", "invoice")
    sending = asyncio.create_task(relay.run())
    try:
        async for attempt in stamina.retry_context(
            on=AssertionError, timeout=10, wait_initial=0.05, wait_max=0.1
        ):
            with attempt:
                assert named(told, "warning") == ["outbox_unreachable_ends"]
    finally:
        sending.cancel()
