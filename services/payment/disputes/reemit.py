"""How a dispute's row becomes its event again."""

from collections.abc import Iterable

import asyncpg

from contracts.events.envelope import Event
from services.chassis.outbox.reemit import Source
from services.payment.disputes import domain
from services.payment.disputes.reads import DISPUTE, dispute_of

_DISPUTES = f"SELECT {DISPUTE} FROM disputes AS d WHERE d.updated_at >= $1 ORDER BY d.clinic_id, d.id"


def dispute_events(row: asyncpg.Record) -> Iterable[Event]:
    """The newest state."""
    yield domain.fact_about(dispute_of(row))


SOURCE = Source(_DISPUTES, dispute_events)
