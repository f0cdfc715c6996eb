"""How the rows of a payment that was taken back become its event again."""

from collections.abc import Iterable

import asyncpg

from contracts.events.envelope import Event
from services.chassis.outbox.reemit import Source
from services.payment.outside import domain
from services.payment.payments.reads import PAYMENT, payment_of

_REVERSALS = f"""
    SELECT {PAYMENT}, r.reversed_at, (
        SELECT array_agg((a.payable_id, a.reversed_amount, a.due_after_reversal)) FROM allocations AS a
        WHERE (a.clinic_id, a.payment_id) = (payments.clinic_id, payments.id) AND a.reversed_amount > 0
    ) AS lost
    FROM recorded_payments AS r JOIN payments ON (payments.clinic_id, payments.id) = (r.clinic_id, r.payment_id)
    WHERE r.reversed_at >= $1 ORDER BY r.clinic_id, r.payment_id
"""


def reversal_events(row: asyncpg.Record) -> Iterable[Event]:
    """That it was taken back."""
    lost = [domain.Reversed(*each) for each in row["lost"] or ()]
    yield domain.reversal_of(payment_of(row), lost, row["reversed_at"])


SOURCE = Source(_REVERSALS, reversal_events)
