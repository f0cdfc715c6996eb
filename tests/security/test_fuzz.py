"""Bytes that nobody meant to send, at the two edges that take bytes: Stripe's webhooks and the topics."""

import copy
import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.events.catalogue import EVENTS
from contracts.events.envelope import CloudEvent, Undecodable
from services.chassis.errors import DomainError
from services.chassis.ids import new_id
from services.chassis.kafka.park import Record
from services.invoice import consumers
from services.payment.consumers import ACTED_ON
from services.payment.stripe import webhooks
from tests.builders.events import deliver_records, outbox_events, record, waiting_parked
from tests.builders.payments import a_settlement
from tests.builders.values import eur
from tests.running.databases import ServiceDb
from tests.security.test_matrix_services import OPENAPI
from tests.service.test_payment_webhooks import NEW, an_event, signed

EXAMPLES = OPENAPI.parent / "examples"
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(2**70), max_value=2**70)
    | st.floats()
    | st.text()
    | st.sampled_from(
        ["", "\x00", "\ud83d", "evt_1", "-1", "9" * 400, "2026-02-30T25:00:00Z", str(UUID(int=0))]
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
quick = settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)


def ways(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to each thing in a document, the document itself left out."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way for key, each in items for way in ((*path, key), *ways(each, (*path, key)))]


@st.composite
def mutated(draw: st.DrawFn, document: Any) -> Any:
    """The document with one to three of its parts replaced or taken away."""
    changed = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        way = draw(st.sampled_from(ways(changed) or [()]))
        if not way:
            return draw(JSON)
        place = changed
        for key in way[:-1]:
            place = place[key]
        if draw(st.booleans()) and isinstance(place, dict):
            del place[way[-1]]
        else:
            place[way[-1]] = draw(JSON)
    return changed


def stripe_events() -> st.SearchStrategy[bytes]:
    kinds = [an_event(kind) for kind in sorted(ACTED_ON)]
    whole = st.sampled_from(kinds).flatmap(mutated).map(lambda each: json.dumps(each).encode())
    return st.binary(max_size=300) | JSON.map(lambda each: json.dumps(each).encode()) | whole


class Taken:
    """Instead of Kafka: what the edge would have sent, encoded and decoded again, as a reader would."""

    async def send(self, event: CloudEvent, traceparent: str | None = None) -> None:
        raw = event.encode(traceparent)
        assert EVENTS[event.topic.name].decode(raw).encode() == raw


@given(body=stripe_events())
@quick
async def test_what_is_signed_and_strange_is_ignored_or_an_event_that_readers_read(body: bytes) -> None:
    try:
        await webhooks.receive_webhook(body, signed(body), [NEW], False, Taken(), ACTED_ON)  # type: ignore[arg-type]
    except DomainError as refusal:
        assert refusal.status == 400
        assert refusal.code in ("stripe_event_unreadable", "stripe_signature_invalid")  # it signs text alone


@given(body=st.binary(max_size=200), signature=st.none() | st.text(max_size=200))
@quick
async def test_what_is_not_signed_is_a_400(body: bytes, signature: str | None) -> None:
    with pytest.raises(webhooks.SignatureInvalid):
        await webhooks.receive_webhook(body, signature, [NEW], False, Taken(), ACTED_ON)  # type: ignore[arg-type]


EVERY_EXAMPLE = [
    (path.parent.name, json.loads(path.read_text())) for path in sorted(EXAMPLES.glob("*/*.json"))
]


@given(data=st.data())
@quick
def test_a_record_is_an_event_or_undecodable_and_nothing_else(data: st.DataObject) -> None:
    """And what is decoded can be said again, so that a parked event can be replayed."""
    topic, example = data.draw(st.sampled_from(EVERY_EXAMPLE))
    strange = st.binary(max_size=200) | mutated(example).map(lambda each: json.dumps(each).encode())
    raw = data.draw(strange)
    try:
        event = EVENTS[topic].decode(raw)
    except Undecodable as error:
        assert len(str(error)) < 2_000
    else:
        assert EVENTS[topic].decode(event.encode()) == event


INVOICE = new_id()
KEY = str(INVOICE).encode()


def forged(**changes: Any) -> bytes:
    """A settlement with these fields of the record changed; those of its data by `data`."""
    body = json.loads(a_settlement(new_id(), INVOICE, eur(1)).encode())
    data = {**body["data"], **changes.pop("data", {})}
    return json.dumps({**body, "data": data, **changes}).encode()


BAD_RECORDS = {
    "no id": forged(id=None),
    "an id that is none": forged(id="1"),
    "another type": forged(type="payment.succeeded"),
    "another source": forged(source=7),
    "no clinic": forged(clinicid=None),
    "no time": forged(time="soon"),
    "an unknown kind": forged(data={"kind": "gift"}),
    "a float for an amount": forged(data={"amount": {"minor": 1.5, "currency": "EUR"}}),
    "an amount as text": forged(data={"amount": {"minor": "100", "currency": "EUR"}}),
    "an amount that no reader keeps": forged(data={"amount": {"minor": 2**63, "currency": "EUR"}}),
    "no currency": forged(data={"amount": {"minor": 100, "currency": "euro"}}),
    "a megabyte of nothing": b" " * 1_000_000,
    "a NUL in an id": forged(data={"invoice_id": "\x00"}),
}
NOT_OURS = {
    "an invoice that there is not": forged(),
    "a time in 1970": forged(time="1970-01-01T00:00:00Z"),
    "a time in 2100": forged(time="2100-01-01T00:00:00Z"),
    "no money": forged(data={"amount": {"minor": 0, "currency": "EUR"}}),
}


@pytest.mark.parametrize("what", [*BAD_RECORDS, *NOT_OURS])
async def test_a_bad_record_is_parked_whole_and_stops_nobody_else(db_invoice: ServiceDb, what: str) -> None:
    value = {**BAD_RECORDS, **NOT_OURS}[what]
    before = await outbox_events(db_invoice)

    await deliver_records(db_invoice.worker, consumers, [Record("payment.settled", 0, 1, KEY, value)])

    parked = await db_invoice.admin.fetch("SELECT value, reason FROM parked")
    assert [(row["value"], bool(row["reason"])) for row in parked] == [(value, True)]
    assert await outbox_events(db_invoice) == before


async def test_another_topics_event_and_another_key_are_parked(db_invoice: ServiceDb) -> None:
    sent = record(a_settlement(new_id(), new_id(), eur(1)))
    wrong_topic = Record("payment.failed", 0, 1, sent.key, sent.value)
    wrong_key = Record(sent.topic, 0, 2, str(new_id()).encode(), sent.value)

    await deliver_records(db_invoice.worker, consumers, [wrong_topic, wrong_key])

    assert await waiting_parked(db_invoice) == [
        ("payment.failed", "undecodable"),
        ("payment.settled", "undecodable"),
    ]
