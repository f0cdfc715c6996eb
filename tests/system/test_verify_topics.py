"""`clinicpay verify --topics` on a real broker: what is missing, too much, wrong or without effect is seen."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from contracts.events.invoice import InvoiceCreated, InvoicePaid, InvoiceUpdated
from contracts.events.payment import PaymentSettled
from contracts.events.topics import ALL
from deploy.local.kafka import EmbeddedKafka
from deploy.ops import topics
from deploy.ops.verify import run, topic_checks
from deploy.ops.verify.access import Access
from deploy.ops.verify.databases import Databases
from deploy.ops.verify.report import Breach, Result
from deploy.ops.verify.run import verify
from services.chassis.ids import new_id
from services.chassis.kafka.consume import consumers_of
from services.chassis.kafka.park import Record as ParkedRecord
from services.invoice import consumers as invoice_consumers
from tests.builders.events import deliver_records
from tests.builders.payments import a_settlement
from tests.builders.values import eur, money
from tests.running.apps import in_own_task
from tests.running.installation import Installation, an_installation, broken

Record = tuple[str, bytes | None, bytes | None]


@pytest.fixture(scope="module")
async def installation(postgres: str, roles: dict[str, str]) -> AsyncIterator[Installation]:
    async with in_own_task(an_installation(postgres, roles)) as made:
        yield made


@pytest.fixture(scope="module")
async def broker() -> AsyncIterator[str]:
    async with EmbeddedKafka() as broker:
        await topics.ensure(broker.bootstrap_servers)
        yield broker.bootstrap_servers


@pytest.fixture
async def kafka_of_its_own(broker: str) -> str:
    """Every topic, with nothing in it."""
    reader, admin = AIOKafkaConsumer(bootstrap_servers=broker), AIOKafkaAdminClient(bootstrap_servers=broker)
    await reader.start()
    await admin.start()
    ends = await reader.end_offsets(
        [TopicPartition(topic.name, number) for topic in ALL for number in range(topic.partitions)]
    )
    full = {part: RecordsToDelete(before_offset=end) for part, end in ends.items() if end}
    if full:
        await admin.delete_records(full)
    await reader.stop()
    await admin.close()
    return broker


async def send(servers: str, records: Sequence[Record]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=servers)
    await producer.start()
    await asyncio.gather(*[await producer.send(topic, value, key=key) for topic, key, value in records])
    await producer.stop()


def published_records(installation: Installation, *but: type) -> list[Record]:
    """All that the services said, as their topics hold it, each twice: a relay may have to."""
    return [
        (event.topic.name, str(event.key).encode(), event.encode())
        for event in installation.published.values()
        if not isinstance(event, but)
        for _ in range(2)
    ]


async def on_topics(access: Access) -> list[Breach]:
    report = await verify(access, topics=True, wait=0)
    return [breach for result in report.results if result.where == "topics" for breach in result.breaches]


async def test_topics_that_hold_what_was_said_are_sound(
    installation: Installation, kafka_of_its_own: str
) -> None:
    await send(kafka_of_its_own, published_records(installation))
    access = replace(installation.access, kafka=kafka_of_its_own)

    report = await verify(access, topics=True, wait=0)

    # Nobody consumes here: events were carried by hand.
    assert report.broken == {"consumers_are_done"}, str(report)
    behind = {(breach.row["group"], breach.row["topic"]) for breach in report.breaches}
    assert ("invoice", "payment.settled") in behind


async def test_what_was_on_its_way_is_read_once_more(
    installation: Installation, kafka_of_its_own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The events reach their topics after the first reading of them."""
    real, late = topic_checks.compare, {"payment.settled", "invoice.paid"}
    records = published_records(installation)
    await send(kafka_of_its_own, [each for each in records if each[0] not in late])
    readings = 0

    async def read(access: Access, databases: Databases) -> list[Result]:
        nonlocal readings
        readings += 1
        found = await real(access, databases)
        if readings == 1:
            await send(kafka_of_its_own, [each for each in records if each[0] in late])
        return found

    async def done(access: Access, deadline: float) -> list[Result]:
        """Nobody consumes here."""
        return []

    monkeypatch.setattr(topic_checks, "compare", read)
    monkeypatch.setattr(run, "settle", done)

    report = await verify(replace(installation.access, kafka=kafka_of_its_own), topics=True, wait=60)

    assert readings == 2
    assert not report.breaches, str(report)


async def test_what_no_topic_holds_is_named(installation: Installation, kafka_of_its_own: str) -> None:
    await send(kafka_of_its_own, published_records(installation, PaymentSettled, InvoicePaid))

    found = await on_topics(replace(installation.access, kafka=kafka_of_its_own))

    assert {breach.check for breach in found} == {"state_is_on_its_topic"}
    assert {breach.row["topic"] for breach in found} == {"payment.settled", "invoice.paid"}


async def test_what_should_not_be_there_is_named(installation: Installation, kafka_of_its_own: str) -> None:
    """A record that is no event, a movement and a version that nobody booked, a version said twice."""
    known = next(event for event in installation.published.values() if isinstance(event, InvoiceUpdated))
    now = datetime.now(UTC)
    other_id = known.model_copy(update={"id": new_id()})
    newer = known.model_copy(update={"id": new_id(), "version": 99, "time": now})
    stray = known.model_copy(update={"id": new_id(), "invoice_id": new_id()})
    money_from_nowhere = a_settlement(installation.world.clinic_id, known.invoice_id, eur(1))
    events = [other_id, newer, stray, money_from_nowhere]
    records = [(event.topic.name, str(event.key).encode(), event.encode()) for event in events]
    await send(
        kafka_of_its_own, [*published_records(installation), *records, ("invoice.created", b"x", b"no event")]
    )

    found = await on_topics(replace(installation.access, kafka=kafka_of_its_own))

    rows = {breach.check: 0 for breach in found}
    for breach in found:
        rows[breach.check] += 1
    # Payment and notification listen to invoices, invoice to movements: none of them had these.
    assert rows == {
        "records_are_events": 1,
        "one_event_per_version": 1,
        "events_have_their_row": 3,
        "events_had_their_effect": 3 * 2 + 1,
    }


GARBAGE: list[tuple[bytes | None, bytes | None]] = [
    (b"x", b"no event"),
    (b"x", None),
    (None, b"{}"),
]


async def test_after_garbage_was_parked_and_discarded_the_topics_are_sound(
    installation: Installation, kafka_of_its_own: str
) -> None:
    """A movement under another key than its own never was an event of ours, for consumers and for `verify`."""
    real = next(event for event in installation.published.values() if isinstance(event, PaymentSettled))
    forged = a_settlement(installation.world.clinic_id, real.invoice_id, eur(1))
    garbage = [*GARBAGE, (str(new_id()).encode(), forged.encode()), (None, forged.encode())]
    await send(
        kafka_of_its_own,
        [*published_records(installation), *(("payment.settled", *each) for each in garbage)],
    )
    access = replace(installation.access, kafka=kafka_of_its_own)
    found = await on_topics(access)
    assert {breach.check for breach in found} == {"records_are_events"}
    assert len(found) == len(garbage)

    await deliver_records(
        installation.dbs["invoice"].worker,
        invoice_consumers,
        await records_of(kafka_of_its_own, "payment.settled"),
    )
    rows = await installation.dbs["invoice"].admin.fetch(
        "SELECT id, reason FROM parked WHERE state = 'waiting'"
    )
    [consumer] = consumers_of(invoice_consumers, installation.dbs["invoice"].worker)
    for row in rows:
        assert await consumer.discard(row["id"], "ada", "garbage")

    assert [row["reason"] for row in rows] == ["undecodable"] * len(garbage)
    report = await verify(access, topics=True, wait=0)
    assert report.broken == {"consumers_are_done"} and not report.waiting, str(report)


async def test_garbage_on_topics_that_nobody_reads_is_counted(
    installation: Installation, kafka_of_its_own: str
) -> None:
    unread = ("notification.sent", "notification.failed")
    await send(
        kafka_of_its_own,
        [*published_records(installation), *((topic, *each) for topic in unread for each in GARBAGE)],
    )

    report = await verify(replace(installation.access, kafka=kafka_of_its_own), topics=True, wait=0)

    assert report.broken == {"consumers_are_done"}, str(report)
    [result] = [each for each in report.results if each.check == "records_are_events"]
    assert result.left_out == {f"record of {topic} that is no event": len(GARBAGE) for topic in unread}


async def records_of(servers: str, topic: str) -> list[ParkedRecord]:
    """All that a topic holds, as consumers get it."""
    reader = AIOKafkaConsumer(topic, bootstrap_servers=servers, auto_offset_reset="earliest")
    await reader.start()
    ends = await reader.end_offsets(reader.assignment())
    found: list[ParkedRecord] = []
    while any([await reader.position(part) < end for part, end in ends.items()]):
        batches = await reader.getmany(timeout_ms=200)
        found += [
            ParkedRecord(each.topic, each.partition, each.offset, each.key, each.value)
            for records in batches.values()
            for each in records
        ]
    await reader.stop()
    return found


async def test_another_amount_than_was_booked_is_named(
    installation: Installation, kafka_of_its_own: str
) -> None:
    movement = next(event for event in installation.published.values() if isinstance(event, PaymentSettled))
    wrong = movement.model_copy(update={"amount": money(1)})
    record = (wrong.topic.name, str(wrong.key).encode(), wrong.encode())
    await send(kafka_of_its_own, [record, *published_records(installation)])

    found = await on_topics(replace(installation.access, kafka=kafka_of_its_own))

    assert [breach.check for breach in found] == ["state_is_on_its_topic"]


async def test_a_version_without_its_event_and_an_event_without_effect_are_named(
    installation: Installation, kafka_of_its_own: str
) -> None:
    await send(kafka_of_its_own, published_records(installation))

    async with broken(installation, "invoice", "UPDATE invoices SET version = version + 1") as access:
        unpublished = await on_topics(replace(access, kafka=kafka_of_its_own))
    async with broken(installation, "notification", "DELETE FROM inbox") as access:
        unheard = await on_topics(replace(access, kafka=kafka_of_its_own))

    assert {breach.check for breach in unpublished} == {"state_is_on_its_topic"}
    assert {(breach.check, breach.row["group"]) for breach in unheard} == {
        ("events_had_their_effect", "notification")
    }
    created = sum(isinstance(event, InvoiceCreated) for event in installation.published.values())
    assert sum(breach.row["topic"] == "invoice.created" for breach in unheard) == created
