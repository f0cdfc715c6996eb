"""How a refund's row becomes its event again."""

from collections.abc import Iterable

import asyncpg

from contracts.events.envelope import Event
from services.chassis.outbox.reemit import Source
from services.payment.refunds import domain
from services.payment.refunds.store import JOINED, REFUND, refund_of

_REFUNDS = f"SELECT {REFUND} FROM {JOINED} WHERE r.refunded_at >= $1 ORDER BY r.clinic_id, r.id"


def refund_events(row: asyncpg.Record) -> Iterable[Event]:
    """The refund whose money went."""
    yield domain.fact_about(refund_of(row))


SOURCE = Source(_REFUNDS, refund_events)
