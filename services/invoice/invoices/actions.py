"""Effects of payments on invoices: load, decide, save, publish. And who may read an invoice."""

from collections.abc import Collection, Sequence
from uuid import UUID

from contracts.events.envelope import Event
from contracts.events.payment import PaymentSettled, PaymentState, PaymentUpdated
from contracts.http.invoices import InvoiceOut
from services.chassis import clock
from services.chassis.db.database import Connection, Database, Key
from services.chassis.http.auth import Caller
from services.chassis.kafka import park
from services.chassis.outbox import outbox
from services.invoice.invoices import domain, reads, store
from services.invoice.invoices.domain import Invoice

OVERDUE_AT_ONCE = 500


async def get_invoice(tx: Connection, caller: Caller, invoice_id: UUID) -> InvoiceOut:
    """The invoice whole. Raises `InvoiceNotFound`, also for another client's."""
    invoice = await reads.get_invoice(tx, caller.clinic, invoice_id, client_id=own(caller))
    if invoice is None:
        raise domain.InvoiceNotFound("the clinic has no invoice with this id")
    return invoice


def own(caller: Caller) -> UUID | None:
    """The client to whom the caller's view is limited."""
    return caller.subject if caller.role == "client" else None


async def book_payments(
    tx: Connection, events: Sequence[PaymentSettled | PaymentState | PaymentUpdated]
) -> None:
    """Book movements, each only once, and store the states and methods of payments.

    All events of a batch that touch an invoice make one new version of it and one event, or none when nothing
    changed. Raises `InvoiceNotFound` for an invoice that the event's clinic does not
    have, and what `domain.book` raises.
    """
    causes = {key: event for event in events for key in _invoice_keys(event)}
    invoices = await _locked(tx, causes)
    if completed := [event for event in events if isinstance(event, PaymentUpdated)]:
        await store.upsert_methods(tx, completed)
    moved = await _book_movements(tx, [event for event in events if isinstance(event, PaymentSettled)])
    await store.upsert_payment_states(tx, [event for event in events if isinstance(event, PaymentState)])
    processing = await store.select_processing(tx, causes)
    at = clock.now()
    steps: list[tuple[Invoice, Invoice, Event | None]] = []
    for key, cause in causes.items():
        before = invoices[key]
        after = domain.book(before, moved.get(key, []), processing=key in processing, at=at)
        steps.append((before, after, cause))
    await _save(tx, steps)


def _invoice_keys(event: PaymentSettled | PaymentState | PaymentUpdated) -> list[Key]:
    if isinstance(event, PaymentSettled):
        return [event.invoice_key]
    if isinstance(event, PaymentUpdated):
        return [(event.clinic_id, invoice_id) for invoice_id in event.invoices]
    return [(event.clinic_id, share.invoice_id) for share in event.invoices]


async def _book_movements(
    tx: Connection, settled: Sequence[PaymentSettled]
) -> dict[Key, list[PaymentSettled]]:
    """Insert movements. Return the new ones by invoice, in the order in which they came."""
    new_ids = await store.add_movements(tx, _distinct(settled))
    if stored := await store.mark_payments_settled(tx, settled):
        await store.update_movement_methods(tx, stored)
    moved: dict[Key, list[PaymentSettled]] = {}
    for movement in {movement.movement_id: movement for movement in settled}.values():
        if movement.movement_id in new_ids:
            moved.setdefault(movement.invoice_key, []).append(movement)
    return moved


def _distinct(movements: Sequence[PaymentSettled]) -> list[PaymentSettled]:
    """Movements without duplicates: an earlier release published the same movement without its Stripe object."""
    unnamed = {_moved_by(each) for each in movements if each.stripe_object_id is None}
    return [each for each in movements if each.stripe_object_id is None or _moved_by(each) not in unnamed]


def _moved_by(movement: PaymentSettled) -> tuple[UUID, UUID, UUID, str]:
    return movement.clinic_id, movement.invoice_id, movement.payment_id, movement.kind


async def _locked(tx: Connection, keys: Collection[Key]) -> dict[Key, Invoice]:
    invoices = await store.lock_invoices(tx, keys)
    missing = [invoice_id for clinic_id, invoice_id in keys if (clinic_id, invoice_id) not in invoices]
    if missing:
        raise domain.InvoiceNotFound("the clinic has no invoice with this id", invoice_id=str(min(missing)))
    return invoices


async def mark_being_checked(tx: Connection, keys: Collection[Key]) -> None:
    """Set or clear `being_checked` on these invoices: it is set while a movement of the invoice is parked."""
    invoices = await store.lock_invoices(tx, keys)
    waiting = await park.with_waiting(tx, PaymentSettled.topic.name, keys)
    at = clock.now()
    await _save(
        tx,
        [
            (invoice, domain.mark_checked(invoice, being_checked=key in waiting, at=at), None)
            for key, invoice in invoices.items()
        ],
    )


async def announce_overdue(db: Database) -> None:
    """Publish once of each invoice that it is overdue, a bounded number in each transaction."""
    announced = OVERDUE_AT_ONCE
    while announced == OVERDUE_AT_ONCE:
        async with db.worker_tx() as tx:
            announced = await _announce_overdue(tx)


async def _announce_overdue(tx: Connection) -> int:
    at = clock.now()
    overdue = [domain.mark_overdue(each, at) for each in await store.lock_overdue(tx, OVERDUE_AT_ONCE)]
    if overdue:
        await store.save_overdue(tx, overdue)
        await outbox.add(tx, [(domain.overdue_event(each), None) for each in overdue])
    return len(overdue)


async def _save(tx: Connection, steps: Collection[tuple[Invoice, Invoice, Event | None]]) -> None:
    """Save the invoices that have a new version, and publish one event about each."""
    changed = [step for step in steps if step[1].version != step[0].version]
    if changed:
        await store.save_invoices(tx, [after for _, after, _ in changed])
        await outbox.add(
            tx, [(domain.change_event(before, after), cause) for before, after, cause in changed]
        )
