"""The verbs of receivables. Each takes the transaction first, and commits nothing."""

from collections.abc import Iterable, Sequence
from typing import TypeVar
from uuid import UUID

from contracts.events.clinic import ClinicState
from contracts.events.envelope import StateEvent
from contracts.events.invoice import InvoiceState
from services.chassis.db.database import Connection
from services.payment.receivables import store

StateT = TypeVar("StateT", bound=StateEvent)


async def upsert_clinics(tx: Connection, events: Sequence[ClinicState]) -> None:
    await store.upsert_clinics(tx, _newest(events))


async def upsert_invoices(tx: Connection, events: Sequence[InvoiceState]) -> None:
    await store.upsert_receivables(tx, _newest(events))


def _newest(events: Iterable[StateT]) -> list[StateT]:
    """The newest event of each clinic or invoice."""
    newest: dict[tuple[UUID, UUID | str], StateT] = {}
    for event in events:
        held = newest.get((event.clinic_id, event.key))
        if held is None or held.version < event.version:
            newest[event.clinic_id, event.key] = event
    return list(newest.values())
