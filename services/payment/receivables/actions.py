"""The verbs of receivables. Each takes the transaction first, and commits nothing."""

from collections.abc import Iterable, Sequence
from typing import TypeVar
from uuid import UUID

from contracts.events.clinic import ClinicState
from contracts.events.envelope import StateEvent
from contracts.events.invoice import InvoiceState
from services.chassis.db.database import Connection, Key
from services.payment.receivables import store
from services.payment.receivables.domain import document_of

StateT = TypeVar("StateT", bound=StateEvent)


async def upsert_clinics(tx: Connection, events: Sequence[ClinicState]) -> None:
    await store.upsert_clinics(tx, _newest(events))


async def upsert_invoices(tx: Connection, events: Sequence[InvoiceState]) -> set[Key]:
    """Keep the newest states, and every document. Returns the receivables on which more is settled than is due."""
    too_much = await store.upsert_receivables(tx, _newest(events))
    if documents := [made for event in events if (made := document_of(event)) is not None]:
        await store.add_documents(tx, documents)
    return too_much


def _newest(events: Iterable[StateT]) -> list[StateT]:
    """The newest event of each clinic or invoice."""
    newest: dict[tuple[UUID, UUID | str], StateT] = {}
    for event in events:
        held = newest.get((event.clinic_id, event.key))
        if held is None or held.version < event.version:
            newest[event.clinic_id, event.key] = event
    return list(newest.values())
