"""How a movement's row becomes its event again."""

from collections.abc import Iterable

import asyncpg

from contracts.events.envelope import Event, Method
from contracts.events.payment import PaymentSettled
from contracts.money import Money
from services.chassis.outbox.reemit import Source

_MOVEMENTS = """
    SELECT m.clinic_id, m.id, m.payable_id, m.payment_id, m.kind, m.amount, m.currency, m.method_kind, m.method_brand,
        m.method_last4, m.booked_at, m.stripe_object_id,
        CASE WHEN m.kind = 'payment' THEN p.succeeded_at END AS captured_at
    FROM movements AS m JOIN payments AS p ON (p.clinic_id, p.id) = (m.clinic_id, m.payment_id)
    WHERE m.booked_at >= $1 ORDER BY m.booked_at, m.clinic_id, m.id
"""


def movement_events(row: asyncpg.Record) -> Iterable[Event]:
    """The movement, under its own id."""
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
        captured_at=row["captured_at"],
        stripe_object_id=row["stripe_object_id"],
    )


SOURCE = Source(_MOVEMENTS, movement_events)
