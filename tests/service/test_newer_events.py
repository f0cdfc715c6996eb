"""Events of a newer release: a reader applies one with an unknown status, and parks a movement of an unknown kind."""

import json
from dataclasses import replace
from typing import Any

from contracts.events.envelope import CloudEvent
from contracts.events.invoice import InvoiceUpdated
from contracts.vocabulary import UNKNOWN
from services.chassis.ids import new_id
from services.chassis.kafka.park import Record
from services.invoice import consumers as invoice
from services.notification import consumers as notification
from services.payment import consumers as payment
from tests.builders.events import deliver, deliver_records, next_state, outbox_events, record, waiting_parked
from tests.builders.invoices import an_invoice
from tests.builders.payments import a_settlement
from tests.builders.values import eur
from tests.running.databases import ServiceDb

NEWER = "a_value_of_tomorrow"


def as_a_newer_release_writes(event: CloudEvent, **changes: Any) -> Record:
    """The event's record, with other values of some fields."""
    body = json.loads(event.encode())
    body["data"] |= changes
    return replace(record(event), value=json.dumps(body).encode())


async def test_payment_and_notification_apply_an_invoice_with_an_unknown_status(
    db_payment: ServiceDb, db_notification: ServiceDb
) -> None:
    issued = an_invoice(new_id(), new_id(), eur(125))
    reduced = next_state(InvoiceUpdated, issued, 2, due_before_payments=eur(100))
    newer = as_a_newer_release_writes(reduced, status=NEWER)
    for db, consumers in ((db_payment, payment), (db_notification, notification)):
        await deliver(db.worker, consumers, issued)
        await deliver_records(db.worker, consumers, [newer])
        assert await waiting_parked(db) == []

    receivable = await db_payment.admin.fetchrow("SELECT status, version, due_amount FROM payables")
    copy = await db_notification.admin.fetchrow("SELECT status, version, due_amount FROM invoices")

    assert receivable is not None and tuple(receivable) == (UNKNOWN, 2, 10_000)
    assert copy is not None and tuple(copy) == (UNKNOWN, 2, 10_000)


async def test_a_known_status_replaces_an_unknown_one(db_payment: ServiceDb) -> None:
    issued = an_invoice(new_id(), new_id())
    unknown = as_a_newer_release_writes(next_state(InvoiceUpdated, issued, 2), status=NEWER)
    known = next_state(InvoiceUpdated, issued, 3, status="processing")
    await deliver_records(db_payment.worker, payment, [unknown])
    await deliver(db_payment.worker, payment, known)

    kept = await db_payment.admin.fetchrow("SELECT status, version FROM payables")

    assert kept is not None and tuple(kept) == ("processing", 3)


async def test_a_movement_of_an_unknown_kind_is_parked(db_invoice: ServiceDb) -> None:
    movement = a_settlement(new_id(), new_id(), eur(125))
    await deliver_records(db_invoice.worker, invoice, [as_a_newer_release_writes(movement, kind=NEWER)])

    assert await waiting_parked(db_invoice) == [("payment.settled", "undecodable")]
    assert await outbox_events(db_invoice) == []
