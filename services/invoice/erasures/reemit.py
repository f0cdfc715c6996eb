"""How an entry of the log of erasures becomes its event again."""

from collections.abc import Iterable

import asyncpg

from contracts.events.envelope import Event
from services.chassis.outbox.reemit import Source
from services.invoice.erasures import domain
from services.invoice.erasures.domain import Erasure

_CLIENTS = """
    SELECT clinic_id, kind, subject_id, erased_at FROM erasures
    WHERE kind = 'client' AND erased_at >= $1 ORDER BY clinic_id, subject_id, erased_at
"""


def client_events(row: asyncpg.Record) -> Iterable[Event]:
    """That the client was erased."""
    yield domain.fact_about(Erasure(**row))


SOURCE = Source(_CLIENTS, client_events)
