"""`clinicpay reemit`: what a topic lost is said again, under the ids it had, so that nothing happens twice.

State events are made from the aggregates as they stand (newest version, and an invoice's first, which announces it),
movements all. The auditor reads; the service's worker role writes to its outbox, and the relay sends.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from contracts.clinic import ClinicUpdated
from contracts.events import Event, Method, event_id
from contracts.money import Money
from contracts.notification import NotificationFailed, NotificationSent
from contracts.payment import PaymentSettled
from contracts.vocabulary import PUBLISHED_DELIVERIES, PUBLISHED_PAYMENTS
from services.chassis.db.database import Database
from services.chassis.db.sql import literals
from services.chassis.outbox import outbox
from services.invoice.invoices import domain as invoice_domain
from services.invoice.invoices.domain import Invoice
from services.payment.payments import facts
from services.payment.payments.reads import PAYMENT, payment_of
from services.payment.refunds import domain as refunds
from services.payment.refunds.store import JOINED, REFUND, refund_of

AT_ONCE = 1000

_INVOICES = """
    SELECT clinic_id, id, client_id, number, status, currency, total_amount, settled_amount, refunded_amount,
        issued_on, due_on, paid_at, version, changed_at, being_checked, created_at
    FROM invoices WHERE changed_at >= $1 ORDER BY clinic_id, id
"""
_CLINICS = """
    SELECT id AS clinic_id, version, changed_at, slug, name, currency, time_zone, locale, billing_shown,
        online_payment, methods, contact, accent
    FROM clinics WHERE changed_at >= $1 ORDER BY id
"""
_PAYMENTS = f"""
    SELECT {PAYMENT} FROM payments
    WHERE status IN {literals(PUBLISHED_PAYMENTS)} AND updated_at >= $1
    ORDER BY clinic_id, id
"""
# What movements were said with, and payments are known to be better by now. Stripe tells of a charge for three days.
_UPDATED_PAYMENTS = f"""
    SELECT {PAYMENT} FROM payments
    WHERE status = 'succeeded' AND method_kind IS NOT NULL
        AND updated_at >= $1::timestamptz - interval '3 days' AND EXISTS (
        SELECT FROM movements AS m
        WHERE m.clinic_id = payments.clinic_id AND m.payment_id = payments.id AND m.kind = 'payment'
            AND (m.method_kind, m.method_brand, m.method_last4)
                IS DISTINCT FROM (payments.method_kind, payments.method_brand, payments.method_last4)
    )
    ORDER BY clinic_id, id
"""
_MOVEMENTS = """
    SELECT clinic_id, id, payable_id, payment_id, kind, amount, currency, method_kind, method_brand, method_last4,
        booked_at, stripe_object_id
    FROM movements WHERE booked_at >= $1 ORDER BY booked_at, clinic_id, id
"""
_REFUNDS = f"SELECT {REFUND} FROM {JOINED} WHERE r.refunded_at >= $1 ORDER BY r.clinic_id, r.id"
_ENDED_AT = "CASE state WHEN 'sent' THEN sent_at ELSE next_attempt_at END"
_DELIVERIES = f"""
    SELECT clinic_id, id, client_id, template, attempts, state, last_error, {_ENDED_AT} AS ended_at
    FROM deliveries
    WHERE state IN {literals(PUBLISHED_DELIVERIES)} AND {_ENDED_AT} >= $1
    ORDER BY clinic_id, id
"""


async def reemit(auditor_dsn: str, worker_dsn: str, service: str, since: datetime) -> int:
    """Put a service's events since then into its outbox again; how many."""
    said = 0
    db = Database(worker_dsn)
    reader = await asyncpg.connect(auditor_dsn, timeout=10)
    try:
        async with reader.transaction(isolation="repeatable_read", readonly=True):
            for sql, events_of in SOURCES[service].items():
                async for rows in _chunks(reader, sql, since):
                    events = [event for row in rows for event in events_of(row)]
                    async with db.worker_tx() as tx:
                        await outbox.add(tx, [(event, None) for event in events])
                    said += len(events)
    finally:
        await reader.close()
        await db.close()
    return said


async def _chunks(
    reader: "asyncpg.Connection[Any]", sql: str, since: datetime
) -> AsyncIterator[list[asyncpg.Record]]:
    cursor = await reader.cursor(sql, since)
    while rows := await cursor.fetch(AT_ONCE):
        yield rows


def invoice_events(row: asyncpg.Record) -> Iterable[Event]:
    """The announcement, and the newest state if that is another."""
    fields = dict(row)
    created_at = fields.pop("created_at")
    newest = Invoice(**fields)
    first = replace(
        newest,
        status="unpaid",
        settled_amount=0,
        refunded_amount=0,
        paid_at=None,
        version=1,
        being_checked=False,
        changed_at=created_at,
    )
    yield invoice_domain.created_event(first)
    if newest.version > 1:
        # What an invoice was before its newest version is not kept: a version that is paid is the one that paid it.
        yield invoice_domain.change_event(replace(newest, status="unpaid"), newest)


def clinic_events(row: asyncpg.Record) -> Iterable[Event]:
    fields = dict(row)
    at = fields.pop("changed_at")
    fields["contact"] = msgspec.json.decode(fields["contact"])
    made = event_id(at, ClinicUpdated.topic.name, fields["clinic_id"], fields["version"])
    yield ClinicUpdated(id=made, time=at, **fields)


def payment_events(row: asyncpg.Record) -> Iterable[Event]:
    """The newest fact. One that is tried again after it failed has said nothing of that yet, and is left out."""
    yield facts.fact_about(payment_of(row))


def update_events(row: asyncpg.Record) -> Iterable[Event]:
    """How it was paid, where that was known only after its success was said."""
    update = facts.update_about(payment_of(row))
    return () if update is None else (update,)


def movement_events(row: asyncpg.Record) -> Iterable[Event]:
    kind = row["method_kind"]
    yield PaymentSettled(
        id=row["id"],
        time=row["booked_at"],
        clinic_id=row["clinic_id"],
        movement_id=row["id"],
        invoice_id=row["payable_id"],
        payment_id=row["payment_id"],
        kind=row["kind"],
        amount=Money(minor=row["amount"], currency=row["currency"]),
        method=Method(kind=kind, brand=row["method_brand"], last4=row["method_last4"]) if kind else None,
        stripe_object_id=row["stripe_object_id"],
    )


def refund_events(row: asyncpg.Record) -> Iterable[Event]:
    yield refunds.fact_about(refund_of(row))


def delivery_events(row: asyncpg.Record) -> Iterable[Event]:
    kind = NotificationSent if row["state"] == "sent" else NotificationFailed
    fields: dict[str, Any] = {
        "id": event_id(row["ended_at"], kind.topic.name, row["id"]),
        "time": row["ended_at"],
        "clinic_id": row["clinic_id"],
        "delivery_id": row["id"],
        "client_id": row["client_id"],
        "template": row["template"],
        "attempts": row["attempts"],
    }
    yield kind(**fields, **({"reason": row["last_error"]} if kind is NotificationFailed else {}))


SOURCES: Mapping[str, Mapping[str, Callable[[asyncpg.Record], Iterable[Event]]]] = {
    "invoice": {_CLINICS: clinic_events, _INVOICES: invoice_events},
    "payment": {
        _PAYMENTS: payment_events,
        _UPDATED_PAYMENTS: update_events,
        _MOVEMENTS: movement_events,
        _REFUNDS: refund_events,
    },
    "notification": {_DELIVERIES: delivery_events},
}
