"""The sequences of Stripe's CLI, played to the sandbox: each event is sent, acknowledged, counted if not ours."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from structlog.testing import capture_logs

from contracts.events import topics
from contracts.events.stripe import StripeEvent
from deploy.sandbox.embedded import RunningSandbox, running_sandbox
from deploy.sandbox.testing import Inbox
from services.payment import app, consumers
from services.payment.consumers import ACTED_ON, STRIPE_EVENTS, Room
from tests.builders import stripe_triggers
from tests.builders.events import deliver, waiting_parked
from tests.builders.stripe_triggers import Trigger, play
from tests.running.apps import in_own_task, serving
from tests.running.databases import ServiceDb
from tests.running.settings import payment_settings
from tests.service.test_payment_webhooks import with_topic as with_topic

BY_EVENT = {trigger.event: trigger for trigger in stripe_triggers.ALL}


def test_every_event_that_we_know_of_can_be_triggered() -> None:
    """One is not: bank transfers, which alone are funded in parts, are not offered."""
    known = {*STRIPE_EVENTS} - {"payment_intent.partially_funded", "charge.expired"}
    assert known - BY_EVENT.keys() == set()


@pytest.mark.parametrize("trigger", stripe_triggers.ALL, ids=lambda trigger: trigger.event)
async def test_the_sandbox_says_each_event(sandbox: RunningSandbox, inbox: Inbox, trigger: Trigger) -> None:
    await play(sandbox, trigger)
    await inbox.wait_for(trigger.event)


@pytest.fixture
async def stripe(db_payment: ServiceDb, with_topic: str) -> AsyncIterator[RunningSandbox]:
    """The sandbox, whose webhooks go to a real edge of the payment service, and from there to Kafka."""
    async with in_own_task(_stripe(db_payment, with_topic)) as sandbox:
        yield sandbox


@asynccontextmanager
async def _stripe(db: ServiceDb, kafka: str) -> AsyncIterator[RunningSandbox]:
    settings = payment_settings(
        db.api_dsn, kafka_bootstrap_servers=kafka, stripe_webhook_secret="whsec_sandbox"
    )
    async with serving(app.api(settings)) as url, running_sandbox(f"{url}/webhooks/stripe") as sandbox:
        await sandbox.control("PUT", "/accounts/acct_trigger0000001", {})
        yield sandbox


async def test_each_event_is_acknowledged_counted_and_never_parked(
    stripe: RunningSandbox, db_payment: ServiceDb, with_topic: str
) -> None:
    for trigger in stripe_triggers.ALL:
        await play(stripe, trigger)
    async with asyncio.timeout(30):
        while (await stripe.control("GET", "/counts"))["webhooks"].keys() != {"delivered"}:
            await asyncio.sleep(0.05)
    said = stripe.inside.store.sql.execute(
        "SELECT o.type, o.id, d.attempts FROM deliveries AS d JOIN objects AS o ON o.id = d.event"
    ).fetchall()
    ours = {event_id for event_type, event_id, _ in said if event_type in ACTED_ON}
    heard = await published(with_topic, ours)
    with capture_logs() as lines:
        await deliver(db_payment.worker, consumers, *heard)

    assert {event_type for event_type, _, _ in said} >= BY_EVENT.keys()
    assert [each for each in said if each[2] != 1] == []
    assert await waiting_parked(db_payment) == []
    counted = Counter[str]()
    for line in lines:
        if line["event"] == "stripe_events_not_ours":
            counted[line["reason"]] += line["events"]
    of_methods = [event for event in heard if STRIPE_EVENTS[event.event_type] is Room.METHODS]
    assert counted == {
        "unsigned": sum(
            STRIPE_EVENTS[event.event_type] in (Room.PAYMENTS, Room.REFUNDS, Room.DISPUTES) for event in heard
        ),
        "unknown_customer": sum(event.customer is not None for event in of_methods),
    }


async def published(kafka: str, stripe_event_ids: set[str]) -> list[StripeEvent]:
    """The records that hold these Stripe events, once all are there."""
    found: dict[str, StripeEvent] = {}
    consumer: Any = AIOKafkaConsumer(
        topics.STRIPE_EVENT.name, bootstrap_servers=kafka, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        async with asyncio.timeout(20):
            while found.keys() != stripe_event_ids:
                record = await consumer.getone()
                event = StripeEvent.decode(record.value)
                if event.stripe_event_id in stripe_event_ids:
                    found[event.stripe_event_id] = event
    finally:
        await consumer.stop()
    return list(found.values())
