"""How a clinic's row becomes its event again."""

from collections.abc import Iterable

import asyncpg

from contracts.events.envelope import Event
from services.chassis.outbox.reemit import Source
from services.invoice.clinics import domain, store

_CLINICS = f"SELECT {store.COLUMNS}, changed_at FROM clinics WHERE changed_at >= $1 ORDER BY id"


def clinic_events(row: asyncpg.Record) -> Iterable[Event]:
    """The newest settings."""
    yield domain.updated_event(store.clinic_of(row), row["changed_at"])


SOURCE = Source(_CLINICS, clinic_events)
