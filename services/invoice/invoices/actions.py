"""What payments do to invoices: load, decide, save, publish."""

from collections.abc import Collection, Sequence
from uuid import UUID

from contracts.events import Event
from contracts.payment import PaymentSettled, PaymentState, PaymentUpdated
from services.chassis import clock
from services.chassis.db.database import Connection, Key
from services.chassis.kafka import park
from services.chassis.outbox import outbox
from services.invoice.invoices import domain, store
from services.invoice.invoices.domain import Invoice


async def book_payments(
    tx: Connection, events: Sequence[PaymentSettled | PaymentState | PaymentUpdated]
) -> None:
    """Book movements, each once for ever, follow payments on their way, and keep how they were made.

    However many events of a batch touch an invoice, they make one new version of it and one event about it,
    or none when nothing changed. Raises `InvoiceNotFound` for an invoice that the event's clinic does not
    have, and what `domain.book` raises.
    """
    causes = {key: event for event in events for key in _invoice_keys(event)}
    invoices = await _locked(tx, causes)
    if completed := [event for event in events if isinstance(event, PaymentUpdated)]:
        await store.keep_methods(tx, completed)
    moved = await _book_movements(tx, [event for event in events if isinstance(event, PaymentSettled)])
    await store.note_payments(tx, [event for event in events if isinstance(event, PaymentState)])
    on_the_way = await store.with_open_payments(tx, causes)
    at = clock.now()
    steps: list[tuple[Invoice, Invoice, Event | None]] = []
    for key, cause in causes.items():
        before = invoices[key]
        after = domain.book(before, moved.get(key, []), processing=key in on_the_way, at=at)
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
    """Write movements; those that were not there yet, by invoice, in the order they came."""
    new_ids = await store.add_movements(tx, _distinct(settled))
    if known := await store.end_payments(tx, settled):
        await store.show_methods(tx, known)
    moved: dict[Key, list[PaymentSettled]] = {}
    for movement in {movement.movement_id: movement for movement in settled}.values():
        if movement.movement_id in new_ids:
            moved.setdefault(movement.invoice_key, []).append(movement)
    return moved


def _distinct(movements: Sequence[PaymentSettled]) -> list[PaymentSettled]:
    """Movements without the second of two that are one: an earlier release named no object of Stripe's."""
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


async def note_checks(tx: Connection, keys: Collection[Key]) -> None:
    """Mark invoices of which a movement is parked as being checked, and say so; and when that is over."""
    invoices = await store.lock_invoices(tx, keys)
    waiting = await park.with_waiting(tx, PaymentSettled.topic.name, keys)
    at = clock.now()
    await _save(
        tx,
        [
            (invoice, domain.check(invoice, being_checked=key in waiting, at=at), None)
            for key, invoice in invoices.items()
        ],
    )


async def _save(tx: Connection, steps: Collection[tuple[Invoice, Invoice, Event | None]]) -> None:
    """Save those invoices that have a new version, with the one fact about each."""
    changed = [step for step in steps if step[1].version != step[0].version]
    if changed:
        await store.save_invoices(tx, [after for _, after, _ in changed])
        await outbox.add(tx, [(domain.fact_about(before, after), cause) for before, after, cause in changed])
