"""The webhook edge: what Stripe did not sign is a 400, what it did is on Kafka, with or without a database."""

import asyncio
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError

from contracts.events import topics
from contracts.events.stripe import StripeEvent
from services.chassis.ids import new_id
from services.payment import app
from services.payment.settings import Settings
from services.payment.stripe import events as stripe_events
from services.payment.stripe import observations, webhooks
from tests.builders import callers
from tests.running.apps import Client, calling, in_own_task

OLD, NEW = "whsec_old", "whsec_new"
NOBODY = "127.0.0.1:1"
CANARY = "PHI-CANARY-7f3"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def settings(kafka: str, key: str = "sk_test_x") -> Settings:
    return Settings.model_validate(
        {
            "http_port": 1,
            "kafka_bootstrap_servers": kafka,
            "database_url": "postgresql://nobody@127.0.0.1:1/away",
            "internal_token_public_key": callers.PUBLIC_KEY,
            "stripe_secret_key": key,
            "installation": "harbour",
            "metadata_key": "-" * 32,
            "stripe_webhook_secret": f"{NEW},{OLD}",
        }
    )


@asynccontextmanager
async def an_edge(kafka: str, key: str = "sk_test_x") -> AsyncIterator[Client]:
    """The api of a payment service whose PostgreSQL is away."""
    async with in_own_task(calling(app.api(settings(kafka, key)), "payment")) as client:
        yield client


@pytest.fixture
async def edge() -> AsyncIterator[Client]:
    async with an_edge(NOBODY) as client:
        yield client


def an_event(event_type: str = "payment_intent.succeeded", **changes: Any) -> dict[str, Any]:
    """A snapshot event as Stripe sends it, with the personal data that real ones hold."""
    intent = {
        "id": "pi_1",
        "object": "payment_intent",
        "amount": 12500,
        "amount_received": 12500,
        "currency": "eur",
        "customer": None,
        "status": "succeeded",
        "receipt_email": f"{CANARY}@example.com",
        "description": CANARY,
        "shipping": {"name": CANARY},
        "metadata": {
            "clinic_id": str(new_id()),
            "payment_id": str(new_id()),
            "traceparent": TRACE,
            "note": CANARY,
        },
    }
    event = {
        "id": f"evt_{new_id().hex}",
        "object": "event",
        "api_version": "2026-08-26.dahlia",
        "created": int(time.time()),
        "livemode": False,
        "type": event_type,
        "data": {"object": intent},
    }
    return event | changes


def raw(event: Any) -> bytes:
    return json.dumps(event).encode()


def signed(body: bytes, secret: str = NEW, at: float | None = None) -> str:
    t = int(time.time() if at is None else at)
    return f"t={t},v1={hmac.digest(secret.encode(), f'{t}.'.encode() + body, 'sha256').hex()}"


async def send(edge: Client, body: bytes, signature: str | bytes | None) -> Any:
    headers: dict[Any, Any] = {} if signature is None else {"Stripe-Signature": signature}
    return await edge.call("POST", "/webhooks/stripe", headers=headers, content=body)


GOOD = raw(an_event())

Sign = Callable[[bytes], str | bytes | None]
"""A signature is made when the test runs: it is good for five minutes only."""


def says(signature: str | bytes | None) -> Sign:
    return lambda body: signature


def signed_at(seconds_from_now: float) -> Sign:
    return lambda body: signed(body, at=time.time() + seconds_from_now)


@pytest.mark.parametrize(
    "sign",
    [
        says(None),
        says(""),
        says("garbage"),
        says("t=,v1="),
        says("t=x,v1=abc"),
        says("t=-1,v1=abc"),
        says("t=" + "9" * 5000 + ",v1=abc"),
        says("v1=abc"),
        lambda body: f"t={int(time.time())}",
        lambda body: f"t={int(time.time())},v1=é".encode(),
        lambda body: signed(body, "whsec_of_another_endpoint"),
        signed_at(-301),
        signed_at(400),
        lambda body: signed(body).replace("v1=", "v0="),
        lambda body: signed(body[1:]),
    ],
)
async def test_whatever_is_not_signed_by_stripe_is_a_400(edge: Client, sign: Sign) -> None:
    await _refused(edge, GOOD, sign(GOOD))


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + GOOD,
        b"\xff\xfe",
        b"",
        b'{"a":NaN}',
        b'{"a":' * 30_000,
    ],
    ids=range(5),
)
async def test_what_is_signed_and_no_json_is_a_400(edge: Client, body: bytes) -> None:
    await _refused(edge, body, signed(body))


async def _refused(edge: Client, body: bytes, signature: str | bytes | None) -> None:
    answer = await send(edge, body, signature)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json()["code"].startswith("stripe_")


async def test_a_body_above_the_cap_is_not_read(edge: Client) -> None:
    body = b" " * (webhooks.LARGEST_BODY + 1)
    answer = await send(edge, body, signed(body))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_a_webhook_is_posted(edge: Client) -> None:
    answer = await edge.call("GET", "/webhooks/stripe")
    assert (answer.status_code, answer.json()["code"], answer.headers["allow"]) == (
        405,
        "method_not_allowed",
        "POST",
    )


async def test_more_webhooks_than_fit_are_told_to_come_again(
    edge: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "LARGEST_IN_FLIGHT", 0)
    event = an_event()
    answer = await send(edge, raw(event), signed(raw(event)))
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (
        503,
        "webhooks_busy",
        "5",
    )


def a_thin_event(event_type: str) -> dict[str, Any]:
    """As Stripe's v2 API sends it: no data, no api_version, and a time in words."""
    return {
        "id": f"evt_test_{new_id().hex}",
        "object": "v2.core.event",
        "type": event_type,
        "livemode": False,
        "created": "2026-11-28T10:00:00.000Z",
        "context": None,
        "related_object": {"id": "acct_1", "type": "v2.core.account", "url": "/v2/core/accounts/acct_1"},
    }


DEAUTHORIZED = an_event(
    "account.application.deauthorized",
    account="acct_1",
    data={"object": {"id": "ca_1", "object": "application", "name": "ClinicPay"}},
)


@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        (a_thin_event("v1.billing.meter.error_report_triggered"), "ignored_thin"),
        (a_thin_event("v2.core.event_destination.ping"), "ignored_thin"),
        (a_thin_event("payment_intent.succeeded"), "ignored_thin"),
        (an_event("customer.created"), "ignored_type"),
        (an_event("invented.by.tomorrow"), "ignored_type"),
        (an_event("balance.available", data={"object": {"object": "balance"}}), "ignored_type"),
        (an_event(type=7), "ignored_type"),
        (an_event(livemode=True), "ignored_mode"),
        (an_event(livemode=None), "ignored_shape"),
        (an_event(data=None), "ignored_shape"),
        (an_event(data={"object": None}), "ignored_shape"),
        (an_event(data={"object": []}), "ignored_shape"),
        (an_event(data={"object": {"object": "payment_intent"}}), "ignored_shape"),
        (an_event(data={"object": {"id": 7, "object": "payment_intent"}}), "ignored_shape"),
        (an_event(id=None), "ignored_shape"),
        (an_event(created="soon"), "ignored_shape"),
        (an_event(created=-1), "ignored_shape"),
        (an_event(created=10**30), "ignored_shape"),
        (an_event(created=True), "ignored_shape"),
        (an_event(object="list"), "ignored_shape"),
        ([], "ignored_shape"),
        (None, "ignored_shape"),
        ("x", "ignored_shape"),
        ({}, "ignored_shape"),
    ],
    ids=range(24),
)
async def test_what_nothing_acts_on_is_acknowledged_without_kafka(
    edge: Client, event: Any, outcome: str
) -> None:
    with structlog.testing.capture_logs() as logged:
        answer = await send(edge, raw(event), signed(raw(event)))
    assert (answer.status_code, answer.json()) == (200, {})
    assert [each["reason"] for each in logged if each["event"] == "webhook_ignored"] == [outcome]


async def test_no_answer_has_what_an_earlier_one_had(edge: Client) -> None:
    unknown = raw(an_event("customer.created"))

    answers = [await send(edge, unknown, signed(unknown)) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200] * 3
    ids = [answer.headers.get_list("x-request-id") for answer in answers]
    assert [len(each) for each in ids] == [1, 1, 1] and len({each[0] for each in ids}) == 3


@pytest.mark.parametrize("key", ["sk_live_x", "rk_live_x", "sk_test_x", "rk_test_x"])
@pytest.mark.parametrize("livemode", [True, False])
@pytest.mark.parametrize("account", [None, "acct_1"])
@pytest.mark.parametrize("event_type", ["payment_intent.succeeded", "refund.failed", "customer.deleted"])
async def test_an_endpoint_takes_events_of_its_own_mode_alone(
    monkeypatch: pytest.MonkeyPatch, key: str, livemode: bool, account: str | None, event_type: str
) -> None:
    """A live endpoint of a platform gets its accounts' test events too. 503: this one goes to Kafka, which is away."""
    monkeypatch.setattr(stripe_events, "SEND_SECONDS", 0.1)
    body = raw(an_event(event_type, livemode=livemode, account=account))
    async with an_edge(NOBODY, key) as edge:
        answer = await send(edge, body, signed(body))

    assert answer.status_code == (503 if livemode is ("_live_" in key) else 200)


def test_any_object_can_be_read() -> None:
    seen = observations.read_event(DEAUTHORIZED)
    assert (seen.account, seen.object_id, seen.object_type) == ("acct_1", "ca_1", "application")
    assert seen.key == "ca_1"


async def test_one_of_several_signatures_is_enough(edge: Client) -> None:
    """While an endpoint's secret is rolled, Stripe signs with both; test events have a v0 too."""
    body = raw(a_thin_event("v2.core.event_destination.ping"))
    ours, another = signed(body), signed(body, "whsec_of_the_new_one").split(",")[1]
    t, v1 = ours.split(",")
    for signature in (f"{t},{another},{v1}", f"{t},{v1},{another}", f"{t},v0=00,{another},{v1}"):
        assert (await send(edge, body, signature)).status_code == 200
    await _refused(edge, body, f"{t},{another},v0={v1[3:]}")


async def test_without_kafka_stripe_is_asked_to_send_again(
    edge: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stripe_events, "SEND_SECONDS", 0.5)
    answer = await send(edge, GOOD, signed(GOOD))
    assert (answer.status_code, answer.json()["code"]) == (503, "events_unavailable")
    assert "retry-after" in answer.headers


def test_an_event_carries_what_is_allowed_and_nothing_personal() -> None:
    event = an_event()
    intent = event["data"]["object"]
    intent["last_payment_error"] = {
        "code": "card_declined",
        "decline_code": "lost_card",
        "message": CANARY,
        "payment_method": {
            "type": "card",
            "billing_details": {"name": CANARY, "email": CANARY},
            "card": {
                "brand": "visa",
                "last4": "0002",
                "exp_month": 4,
                "exp_year": 2030,
                "fingerprint": CANARY,
            },
        },
    }
    seen = observations.read_event(event)

    assert CANARY.encode() not in seen.encode()
    assert seen.method is not None
    assert (seen.method.brand, seen.method.last4) == ("visa", "0002")
    assert (seen.failure_code, seen.decline_code) == ("card_declined", "lost_card")
    assert seen.payment_intent == seen.key == "pi_1"
    assert (seen.amount, seen.currency) == (12500, "EUR")
    assert seen.traceparent == TRACE
    assert StripeEvent.decode(seen.encode()) == seen


def test_metadata_that_is_not_ours_is_no_error() -> None:
    event = an_event()
    event["data"]["object"]["metadata"] = {"clinic_id": "x", "payment_id": 7, "traceparent": "00-zz"}
    seen = observations.read_event(event)
    assert (seen.clinic, seen.payment_id, seen.traceparent) == (None, None, None)


def test_the_same_event_sent_twice_has_one_id_and_that_of_another_account_another() -> None:
    event = an_event()
    first, again = observations.read_event(event), observations.read_event(json.loads(raw(event)))
    assert first.id == again.id
    assert observations.read_event(event | {"account": "acct_1"}).id != first.id


@pytest.fixture
async def with_topic(kafka: str) -> str:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topics.STRIPE_EVENT.name, 3, 1)])
    except TopicAlreadyExistsError:
        pass
    finally:
        await admin.close()
    return kafka


async def published(kafka: str, stripe_event_id: str) -> tuple[bytes, StripeEvent]:
    """(key, event) of the record that holds a Stripe event, waiting until it is there."""
    topic = topics.STRIPE_EVENT.name
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with asyncio.timeout(20):
            async for record in consumer:
                event = StripeEvent.decode(record.value)
                if event.stripe_event_id == stripe_event_id:
                    return record.key, event
    finally:
        await consumer.stop()
    raise AssertionError("the topic ended")


@pytest.mark.parametrize("secret", [OLD, NEW])
async def test_with_postgres_away_a_signed_event_is_kept_in_kafka(with_topic: str, secret: str) -> None:
    event = an_event()
    async with an_edge(with_topic) as edge:
        answer = await send(edge, raw(event), signed(raw(event), secret))
    assert (answer.status_code, answer.json()) == (200, {})

    key, kept = await published(with_topic, event["id"])

    assert key == b"pi_1"
    assert kept.id == observations.read_event(event).id
    assert kept.traceparent is not None
    assert kept.traceparent.split("-")[1] == TRACE.split("-")[1]


async def test_after_a_failed_send_a_new_producer_works_at_once(
    with_topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stripe_events, "SEND_SECONDS", 1.0)
    first, second = an_event(), an_event()
    async with _a_door_to(with_topic) as (door, opened), an_edge(door) as edge:
        away = await send(edge, raw(first), signed(raw(first)))
        assert away.status_code == 503
        opened.set()
        monkeypatch.setattr(stripe_events, "SEND_SECONDS", 10.0)
        assert (await send(edge, raw(second), signed(raw(second)))).status_code == 200
    await published(with_topic, second["id"])


async def test_a_producer_that_fails_once_is_used_no_more(with_topic: str) -> None:
    events = stripe_events.StripeEvents(with_topic)
    first, second, third = (an_event() for _ in range(3))
    await events.send(observations.read_event(first))
    assert events.producer is not None
    await events.producer.stop()  # as one that is poisoned: whatever it is given from now on fails

    with pytest.raises(stripe_events.EventsUnavailable):
        await events.send(observations.read_event(second))
    await events.send(observations.read_event(third))

    await events.close()
    await published(with_topic, third["id"])


@asynccontextmanager
async def _a_door_to(kafka: str) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A bootstrap address that hangs up until it is opened, and then leads to the real broker."""
    target = urlsplit(f"//{kafka.split(',')[0]}")
    opened = asyncio.Event()

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def come_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not opened.is_set():
            writer.close()
            return
        to_broker = await asyncio.open_connection(target.hostname, target.port)
        await asyncio.gather(pipe(reader, to_broker[1]), pipe(to_broker[0], writer), return_exceptions=True)

    async with await asyncio.start_server(come_in, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", opened
