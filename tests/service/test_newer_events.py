"""Events of a newer release: a reader applies one with an unknown status, and parks a movement of an unknown kind.

Nothing is paid on an unknown status, and an event that nothing applies is counted.
"""

import json
from dataclasses import replace
from typing import Any

import pytest
import structlog

from contracts.events.envelope import CloudEvent
from contracts.events.invoice import InvoiceUpdated
from contracts.events.stripe import StripeEvent
from contracts.vocabulary import UNKNOWN
from services.chassis.ids import new_id
from services.chassis.kafka.park import Record
from services.invoice import consumers as invoice
from services.notification import consumers as notification
from services.payment import consumers as payment
from services.payment.stripe.observations import read_event
from tests.builders.events import deliver, deliver_records, next_state, outbox_events, record, waiting_parked
from tests.builders.invoices import an_invoice
from tests.builders.payments import a_settlement
from tests.builders.values import eur
from tests.running.databases import ServiceDb
from tests.running.payment import PaymentService, a_payment_service

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


@pytest.mark.parametrize("begun", [False, True])
async def test_no_payment_starts_on_an_invoice_with_an_unknown_status(
    db_payment: ServiceDb, begun: bool
) -> None:
    """Alone, together with another invoice, and where a payment had begun; a known status ends it."""
    async with a_payment_service(db_payment) as payments:
        first, other = await payments.open_invoice(eur(125)), await payments.open_invoice(eur(50))
        if begun:
            assert (await payments.start((first, eur(125)))).status_code == 201
        newer = as_a_newer_release_writes(payments.invoice(first, eur(125), 2, InvoiceUpdated), status=NEWER)
        await deliver_records(db_payment.worker, payment, [newer])
        before = await kept(payments)

        for shares in ([(first, eur(125))], [(first, eur(75))], [(first, eur(125)), (other, eur(50))]):
            refused = await payments.start(*shares)
            assert (refused.status_code, refused.json()["code"]) == (409, "invoice_being_updated")
            assert refused.json()["invoice_id"] == str(first)
        assert await kept(payments) == before
        assert (await payments.start((other, eur(50)))).status_code == 201

        known = payments.invoice(first, eur(125), 3, InvoiceUpdated)
        await deliver(payments.worker, payment, known)
        assert (await payments.start((first, eur(125)))).status_code == (200 if begun else 201)


async def kept(payments: PaymentService) -> tuple[int, int, int]:
    """Payments, reservations, and what Stripe was asked."""
    count: Any = payments.db.admin.fetchval
    return (
        await count("SELECT count(*) FROM payments"),
        await count("SELECT count(*) FROM allocations WHERE state = 'open'"),
        len(payments.sandbox.requests()),
    )


@pytest.mark.parametrize("beside", [[], ["customer.deleted"]])
async def test_a_stripe_event_that_no_room_applies_is_counted(
    db_payment: ServiceDb, beside: list[str]
) -> None:
    """An edge of another release published it: a type of tomorrow, and one that this release leaves alone."""
    types = ["invented.by.tomorrow", "invented.by.tomorrow", "charge.refunded", *beside]
    with structlog.testing.capture_logs() as logged:
        await deliver(db_payment.worker, payment, *(a_stripe_event(each) for each in types))

    counted = {
        line["event_type"]: line["events"] for line in logged if line["event"] == "stripe_events_without_room"
    }
    assert counted == {"invented.by.tomorrow": 2, "charge.refunded": 1}
    assert await waiting_parked(db_payment) == []


def a_stripe_event(event_type: str) -> StripeEvent:
    body = {"id": f"evt_{new_id()}", "type": event_type, "created": 1_790_000_000, "livemode": False}
    return read_event(body | {"data": {"object": {"id": "cus_1", "object": "customer"}}})


async def test_a_movement_of_an_unknown_kind_is_parked(db_invoice: ServiceDb) -> None:
    movement = a_settlement(new_id(), new_id(), eur(125))
    await deliver_records(db_invoice.worker, invoice, [as_a_newer_release_writes(movement, kind=NEWER)])

    assert await waiting_parked(db_invoice) == [("payment.settled", "undecodable")]
    assert await outbox_events(db_invoice) == []
