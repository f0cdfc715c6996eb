"""How a movement's row becomes its event again."""

from collections.abc import Iterable

import asyncpg

from contracts.events.envelope import Event, Method
from contracts.events.payment import PaymentSettled
from contracts.money import Money
from services.chassis.outbox.reemit import Source

_MOVEMENTS = """
    SELECT clinic_id, id, payable_id, payment_id, kind, amount, currency, method_kind, method_brand, method_last4,
        booked_at, stripe_object_id
    FROM movements WHERE booked_at >= $1 ORDER BY booked_at, clinic_id, id
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
        stripe_object_id=row["stripe_object_id"],
    )


SOURCE = Source(_MOVEMENTS, movement_events)
