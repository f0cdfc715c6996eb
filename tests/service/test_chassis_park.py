"""Whatever is in a topic can be parked: any key, any size, any header, anything that looks like an event of ours."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from contracts.events.clinic import ClinicUpdated
from contracts.events.payment import PaymentSettled
from services.chassis.db.database import Connection
from services.chassis.errors import DomainError
from services.chassis.ids import new_id
from services.chassis.kafka import park
from services.chassis.kafka.consume import Consumer, Handler
from services.chassis.kafka.park import Parked, Record
from services.chassis.outbox import outbox
from tests.builders.events import outbox_events, record
from tests.builders.payments import a_settlement
from tests.builders.values import eur
from tests.running.databases import ServiceDb

SETTLED = PaymentSettled.topic.name
MEGABYTE = 1_000_000


class Unsayable(DomainError):
    code = "unsayable"


def consumer(db: ServiceDb) -> Consumer:
    async def apply(tx: Connection, events: Sequence[PaymentSettled]) -> None:
        await outbox.add(tx, [(event, event) for event in events])

    return Consumer(db.worker, "books", (Handler((PaymentSettled, ClinicUpdated), "books", apply),))


def an_event(topic: str = SETTLED, **changed: Any) -> bytes:
    """A body of ours but for what is changed."""
    body: dict[str, Any] = json.loads(a_settlement(new_id(), new_id(), eur(1)).encode())
    return json.dumps({**body, "type": topic, **changed}).encode()


RECORDS = {
    "a key of 9,000 bytes": Record(SETTLED, 0, 0, b"k" * 9_000, b"{"),
    "a key that does not compress": Record(SETTLED, 0, 0, bytes(range(256)) * 40, b"{"),
    "a key of a megabyte": Record(SETTLED, 0, 0, b"k" * MEGABYTE, b"{"),
    "a value of a megabyte": Record(SETTLED, 0, 0, b"k", b"\x00" * MEGABYTE),
    "no key and no value": Record(SETTLED, 0, 0, None, None),
    "an empty key and value": Record(SETTLED, 0, 0, b"", b""),
    "NUL in a header": Record(SETTLED, 0, 0, b"k", b"{", (("a\x00b", b"\x00"), ("\x00", None), ("", b""))),
    "a header's name that is not UTF-8": Record(SETTLED, 0, 0, b"k", b"{", (("a\udcff", b"\xff"),)),
    "a lone surrogate in a header's name": Record(SETTLED, 0, 0, b"k", b"{", (("\ud800", b"x"),)),
    "headers of a megabyte": Record(SETTLED, 0, 0, b"k", b"{", (("h" * MEGABYTE, b"v" * MEGABYTE),)),
    "a huge offset": Record(SETTLED, 2**31 - 1, 2**63 - 1, b"k", b"{"),
    "another topic's event": Record(SETTLED, 0, 0, b"k", an_event("payment.failed")),
    "a huge version": Record(
        "clinic.updated", 0, 0, None, an_event("clinic.updated", data={"version": 10**400})
    ),
    "a version of the schema that is not there": Record(
        SETTLED, 0, 0, None, an_event(dataschema=f"{SETTLED}/2")
    ),
    "a year before the first": Record(SETTLED, 0, 0, None, an_event(time="0000-01-01T00:00:00Z")),
    "a clinic that is none": Record(SETTLED, 0, 0, None, an_event(clinicid=5, subject=["x"])),
    "a clinic's id that is NUL": Record(SETTLED, 0, 0, None, an_event(clinicid="\x00")),
    "a list that nests for ever": Record(SETTLED, 0, 0, None, b"[" * 100_000),
}


@pytest.mark.parametrize("what", RECORDS)
async def test_it_is_parked_whole_and_a_good_one_beside_it_applied(db_invoice: ServiceDb, what: str) -> None:
    strange, good = RECORDS[what], a_settlement(new_id(), new_id(), eur(1))

    for _ in range(2):  # delivered twice, it stays one row
        await consumer(db_invoice).consume([strange, record(good, 7)])

    async with db_invoice.worker.worker_tx() as tx:
        kept = await park.get(tx, 1)
        waiting = await park.list_waiting(tx)
    assert kept is not None and kept["record"] == strange
    assert len(waiting) == 1
    assert [event.id for event in await outbox_events(db_invoice)] == [good.id]


@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]
)
async def test_an_event_of_any_year_is_applied_or_parked(db_invoice: ServiceDb, time: str) -> None:
    """The ends of the calendar: in UTC some of these have no year."""
    value = an_event(time=time)
    event = Record(SETTLED, 0, 0, json.loads(value)["subject"].encode(), value)

    await consumer(db_invoice).consume([event])

    parked = await db_invoice.admin.fetchval("SELECT count(*) FROM parked")
    assert parked + len(await db_invoice.admin.fetch("SELECT FROM outbox")) == 1


async def test_a_reason_is_kept_whatever_its_text(db_invoice: ServiceDb) -> None:
    async def refuse(tx: Connection, events: Sequence[PaymentSettled]) -> None:
        raise Unsayable("\x00 \ud800 " + "long " * 1_000)

    group = Consumer(db_invoice.worker, "books", (Handler((PaymentSettled,), "books", refuse),))

    await group.consume([record(a_settlement(new_id(), new_id(), eur(1)))])

    detail = await db_invoice.admin.fetchval("SELECT detail FROM parked")
    assert detail.startswith("? ? long") and len(detail) == 500


async def test_records_of_a_rebuilt_topic_are_told_apart_by_key_and_value(db_invoice: ServiceDb) -> None:
    same_place = [
        Record(SETTLED, 0, 0, key, value) for key in (None, b"", b"k") for value in (None, b"", b"v")
    ]

    for each in same_place:
        await consumer(db_invoice).consume([each])

    assert await db_invoice.admin.fetchval("SELECT count(*) FROM parked") == len(same_place)


def test_a_record_names_its_aggregate_as_far_as_it_can_be_read() -> None:
    clinic, invoice = new_id(), new_id()
    named = {"clinicid": str(clinic), "subject": str(invoice)}

    def aggregate(value: bytes, topic: str = SETTLED, key: bytes | None = str(invoice).encode()) -> object:
        return Parked(Record(topic, 0, 0, key, value), None, "undecodable").aggregate

    def newer(**changed: Any) -> bytes:
        """An event of ours that this program cannot read: nothing in it disagrees but what is changed."""
        return an_event(
            **{"dataschema": f"{SETTLED}/2", "data": {"invoice_id": str(invoice)}, **named, **changed}
        )

    settled = a_settlement(clinic, invoice, eur(1))
    assert Parked(record(settled), settled, "refused").aggregate == (clinic, invoice)
    assert aggregate(newer()) == (clinic, invoice), "a newer schema"
    assert aggregate(newer(data={"paid": str(invoice)})) == (clinic, invoice), (
        "where the field has another name"
    )
    assert aggregate(newer(time="\x00")) == (clinic, invoice), "with a NUL somewhere"
    for nothing in (
        b"\xff garbage",
        json.dumps(named).encode(),
        newer(type="payment.failed"),
        newer(subject="invoice"),
        newer(subject=None),
        newer(subject=str(new_id())),
        newer(subject=str(invoice).upper()),
        newer(subject=[str(invoice), str(new_id())]),
        newer(clinicid=f"urn:uuid:{clinic}"),
        newer(data={"invoice_id": str(new_id())}),
        newer(data={"invoice_id": [str(invoice)]}),
        newer(data=None),
    ):
        assert aggregate(nothing) is None
    for key in (None, b"", str(new_id()).encode(), str(invoice).upper().encode(), b"\xff"):
        assert aggregate(newer(), key=key) is None, "a key that is not the invoice's"
    assert aggregate(an_event("no.such.topic", **named), "no.such.topic") is None
