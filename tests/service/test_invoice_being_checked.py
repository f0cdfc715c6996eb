"""An invoice of which a movement is parked is being checked: nobody is asked to pay it. Nothing else is held back."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from contracts.events.invoice import InvoicePaid, InvoiceState
from contracts.events.payment import PaymentFailed, PaymentSettled
from contracts.money import Money
from deploy.ops import parked
from services.chassis.ids import new_id
from services.chassis.kafka.park import Record
from services.invoice import consumers
from tests.builders.events import deliver_records, outbox_events, record, waiting_parked
from tests.builders.payments import a_payment, a_settlement
from tests.builders.values import eur, money
from tests.running.apps import in_own_task
from tests.running.databases import ServiceDb
from tests.running.invoice import InvoiceService, an_invoice_service

SETTLED = PaymentSettled.topic.name


@pytest.fixture
async def world(db_invoice: ServiceDb) -> AsyncIterator[InvoiceService]:
    async with in_own_task(an_invoice_service(db_invoice)) as made:
        yield made


def a_newer_schema(movement: PaymentSettled) -> Record:
    """The movement as a newer program writes it: an event of ours that this one cannot read."""
    body = {**json.loads(movement.encode()), "dataschema": f"{SETTLED}/2"}
    return Record(SETTLED, 0, 1, str(movement.key).encode(), json.dumps(body).encode())


async def an_invoice(world: InvoiceService) -> UUID:
    return UUID((await world.issue(12_500))["id"])


async def hand(world: InvoiceService, *records: Record) -> None:
    await deliver_records(world.db.worker, consumers, records)


async def shown(world: InvoiceService, invoice_id: UUID) -> Any:
    return await world.get(f"/invoices/{invoice_id}", world.client)


async def published(world: InvoiceService, invoice_id: UUID) -> list[InvoiceState]:
    """The invoice's events, in order of its versions, each of which has one."""
    events = [e for e in await outbox_events(world.db) if isinstance(e, InvoiceState) and e.key == invoice_id]
    assert [event.version for event in events] == list(range(1, len(events) + 1))
    return events


@pytest.mark.parametrize("garbage", [b"\xff", b"{", b"null", None, b'{"specversion":"1.0"}'])
async def test_garbage_under_an_open_invoices_key_then_a_real_payment(
    world: InvoiceService, garbage: bytes | None
) -> None:
    invoice_id = await an_invoice(world)

    await hand(world, Record(SETTLED, 0, 1, str(invoice_id).encode(), garbage))
    before = await shown(world, invoice_id)
    await hand(world, record(a_settlement(world.clinic_id, invoice_id, eur(125)), 2))

    assert (before["being_checked"], before["methods"]) == (False, ["card", "redirect"])
    assert (await shown(world, invoice_id))["status"] == "paid"
    assert isinstance((await published(world, invoice_id))[-1], InvoicePaid)
    assert await waiting_parked(world.db) == [(SETTLED, "undecodable")]


@pytest.mark.parametrize("what", ["refused", "a newer schema"])
async def test_the_invoice_of_a_parked_movement_is_being_checked(world: InvoiceService, what: str) -> None:
    invoice_id, other_id = await an_invoice(world), await an_invoice(world)
    movement = a_settlement(world.clinic_id, invoice_id, money(5_000, "USD" if what == "refused" else "EUR"))

    await hand(world, record(movement) if what == "refused" else a_newer_schema(movement))

    invoice = await shown(world, invoice_id)
    rows = (await world.get("/invoices", world.client))["items"]
    summary = await world.get("/summary", world.client)
    assert (invoice["being_checked"], invoice["methods"], invoice["overdue"]) == (True, [], False)
    assert {row["id"]: row["being_checked"] for row in rows} == {str(invoice_id): True, str(other_id): False}
    assert (summary["checked_count"], summary["unpaid_count"]) == (1, 1)
    assert summary["due"] == [{"minor": 12_500, "currency": "EUR"}]
    assert summary["next"]["id"] == str(other_id)
    assert [event.being_checked for event in await published(world, invoice_id)] == [False, True]


async def test_a_later_payment_of_it_is_booked_all_the_same(world: InvoiceService) -> None:
    invoice_id = await an_invoice(world)
    wrong = a_settlement(world.clinic_id, invoice_id, money(5_000, "USD"))

    await hand(world, record(wrong, 1), record(a_settlement(world.clinic_id, invoice_id, eur(50)), 2))
    await hand(world, record(a_settlement(world.clinic_id, invoice_id, eur(75)), 3))

    invoice = await shown(world, invoice_id)
    assert (invoice["status"], invoice["being_checked"]) == ("paid", True)
    assert await waiting_parked(world.db) == [(SETTLED, "wrong_currency")]


async def test_nothing_due_and_nothing_overdue_while_the_only_invoice_is_checked(
    world: InvoiceService,
) -> None:
    invoice_id = UUID((await world.issue(12_500, issued_on="2026-01-01", due_on="2026-01-02"))["id"])

    await hand(world, record(a_settlement(world.clinic_id, invoice_id, money(1, "USD"))))

    summary = await world.get("/summary", world.client)
    assert (summary["due"], summary["next"], summary["overdue_count"]) == ([], None, 0)
    assert not (await shown(world, invoice_id))["overdue"]


async def test_what_names_another_clinics_invoice_or_no_movement_marks_nothing(world: InvoiceService) -> None:
    stranger, _ = await world.add_clinic("elsewhere")
    invoice_id = await an_invoice(world)
    forged = a_settlement(stranger, invoice_id, eur(125))
    failed = a_payment(PaymentFailed, world.clinic_id, (new_id(), eur(125)), version=1, payment_id=invoice_id)

    await hand(world, record(forged), a_newer_schema(forged), record(failed, 2))

    assert len(await waiting_parked(world.db)) == 3
    assert not (await shown(world, invoice_id))["being_checked"]
    assert len(await published(world, invoice_id)) == 1


@pytest.mark.parametrize("what", ["key", "no key", "subject", "data", "clinic", "no id"])
async def test_a_record_that_names_several_invoices_or_none_is_parked_and_marks_none(
    world: InvoiceService, what: str
) -> None:
    """No producer of ours writes one: it says nothing of any invoice, and switches off no Pay."""
    invoice_id, other_id = await an_invoice(world), await an_invoice(world)
    other_clinic, _ = await world.add_clinic("elsewhere")
    body = json.loads(a_settlement(world.clinic_id, invoice_id, eur(125)).encode())
    key: bytes | None = str(invoice_id).encode()
    if what == "key":
        key = str(other_id).encode()
    elif what == "no key":
        key = None
    elif what == "subject":
        body["subject"] = str(other_id)
    elif what == "data":
        body["data"]["invoice_id"] = str(other_id)
    elif what == "clinic":
        body["clinicid"] = str(other_clinic)
    else:
        key, body["subject"], body["data"]["invoice_id"] = b"invoice", "invoice", "invoice"
    newer = {**body, "dataschema": f"{SETTLED}/2"}

    records = [Record(SETTLED, 0, n, key, json.dumps(each).encode()) for n, each in enumerate((body, newer))]
    await hand(world, *records)

    assert len(await waiting_parked(world.db)) == 2
    for each in (invoice_id, other_id):
        assert not (await shown(world, each))["being_checked"]
        assert len(await published(world, each)) == 1


async def test_a_mark_of_an_earlier_version_ends_with_its_record(world: InvoiceService) -> None:
    """A row keeps the invoice that it marked, whatever today's rules would say of its record."""
    invoice_id = await an_invoice(world)
    await hand(world, a_newer_schema(a_settlement(world.clinic_id, invoice_id, eur(125))))
    await world.db.admin.execute("UPDATE parked SET key = 'another key'")

    assert await parked.discard("invoice", world.db.worker_dsn, 1, "Ada", "a test")

    assert not (await shown(world, invoice_id))["being_checked"]


async def test_it_is_over_when_the_last_of_its_movements_is_applied_or_discarded(
    world: InvoiceService,
) -> None:
    invoice_id = await an_invoice(world)
    movements = [a_settlement(world.clinic_id, invoice_id, money(minor, "USD")) for minor in (10_000, 2_500)]
    await hand(world, *(record(each, n) for n, each in enumerate(movements)))
    await hand(world, record(movements[0], 7))
    assert len(await published(world, invoice_id)) == 2, "it is said once"

    await world.db.admin.execute("UPDATE invoices SET currency = 'USD'")
    assert await parked.replay("invoice", world.db.worker_dsn, 1)
    assert (await shown(world, invoice_id))["being_checked"], "another one waits"
    waiting = await world.db.admin.fetch("SELECT id FROM parked WHERE state = 'waiting'")
    for row in waiting:
        assert await parked.discard("invoice", world.db.worker_dsn, row["id"], "Ada", "a test")

    invoice = await shown(world, invoice_id)
    assert (invoice["being_checked"], invoice["status"], invoice["settled"]) == (
        False,
        "part_paid",
        {"minor": 10_000, "currency": "USD"},
    )
    last = (await published(world, invoice_id))[-1]
    assert (last.being_checked, last.settled) == (False, Money(minor=10_000, currency="USD"))
