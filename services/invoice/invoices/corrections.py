"""Taking a movement out of an invoice that payment never booked."""

from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from services.chassis import audit, clock, texts
from services.chassis.db.database import Connection
from services.chassis.errors import DomainError
from services.chassis.http.auth import Caller
from services.chassis.outbox import outbox
from services.invoice.invoices import domain, store


class MovementNotFound(DomainError):
    code = "movement_not_found"
    status = 404


class OnePerson(DomainError):
    code = "two_persons_needed"
    status = 422


@dataclass(frozen=True, slots=True)
class Correction:
    reason: str
    reversed_by: str
    approved_by: str

    def checked(self) -> "Correction":
        """The same with texts that can be kept. Raises `InvalidText`, `OnePerson`."""
        limits = {"reason": 500, "reversed_by": 200, "approved_by": 200}
        found = Correction(
            **{
                name: texts.text(getattr(self, name), name, least=1, most=most)
                for name, most in limits.items()
            }
        )
        if found.reversed_by.casefold() == found.approved_by.casefold():
            raise OnePerson("Another person must approve it.")
        return found


async def reverse_movement(
    tx: Connection, caller: Caller, movement_id: UUID, correction: Correction
) -> domain.Invoice:
    """Take the movement out of its invoice, keep it as a correction, and publish the invoice's change.

    Whether payment has booked it is checked by who calls. Raises `MovementNotFound`, `InvalidText`, `OnePerson`.
    """
    correction = correction.checked()
    found = await store.get_movement(tx, caller.clinic, movement_id)
    if found is None:
        raise MovementNotFound("The clinic has no movement with this id.")
    key = (caller.clinic, found["invoice_id"])
    before = (await store.lock_invoices(tx, [key]))[key]
    movement = await _taken_out(tx, caller.clinic, movement_id, correction)
    processing = key in await store.select_processing(tx, [key])
    after = domain.take_out(
        before, movement["amount"], movement["kind"], processing=processing, at=clock.now()
    )
    await store.save_invoices(tx, [after])
    await outbox.add(tx, [(domain.change_event(before, after), None)])
    await audit.record(tx, caller, "reverse_movement", movement_id, dict(movement), asdict(correction))
    return after


async def _taken_out(tx: Connection, clinic_id: UUID, movement_id: UUID, correction: Correction) -> Any:
    """The movement, which another correction at the same time may have taken out. Its invoice is locked."""
    movement = await store.get_movement(tx, clinic_id, movement_id)
    if movement is None:
        raise MovementNotFound("It was reversed a moment ago.")
    await store.add_correction(tx, clinic_id, movement_id, **asdict(correction))
    await store.delete_movement(tx, clinic_id, movement_id)
    await store.forget_settled_payment(tx, clinic_id, movement["invoice_id"], movement["payment_id"])
    return movement
