"""Changes to a clinic's settings."""

from uuid import UUID

from services.chassis import audit
from services.chassis.db.database import Connection
from services.chassis.http.auth import Caller
from services.chassis.outbox import outbox
from services.invoice.clinics import domain, store
from services.invoice.clinics.domain import Clinic, ClinicSettings


async def put_clinic(tx: Connection, caller: Caller, given: ClinicSettings) -> Clinic:
    """Create the caller's clinic, or replace its settings. Publishes `clinic.updated` when something changed."""
    await store.lock_clinic(tx, caller.clinic)
    before = await store.get_clinic(tx, caller.clinic)
    settings = domain.checked(given, before)
    await _check_start(tx, caller.clinic, settings, before)
    changed = await store.put_clinic(tx, caller.clinic, settings)
    if changed is None:
        return await get_clinic(tx, caller.clinic)
    clinic, changed_at = changed
    await outbox.add(tx, [(domain.updated_event(clinic, changed_at), None)])
    await audit.record(tx, caller, "put_clinic", clinic.id, before, clinic)
    return clinic


async def create_clinic(tx: Connection, caller: Caller, given: ClinicSettings) -> tuple[Clinic, bool]:
    """Create the caller's clinic; True when it was created. An existing clinic stays as it is.

    Settings that break a rule are refused in both cases, except by a rule that came after the clinic.
    """
    await store.lock_clinic(tx, caller.clinic)
    existing = await store.get_clinic(tx, caller.clinic)
    if existing is None:
        return await put_clinic(tx, caller, given), True
    domain.tidy(given)
    return existing, False


async def lock_clinic(tx: Connection, clinic_id: UUID) -> Clinic:
    """Read a clinic in order to change it: another change waits for this one. Raises `ClinicNotFound`."""
    await store.lock_clinic(tx, clinic_id)
    return await get_clinic(tx, clinic_id)


async def get_clinic(tx: Connection, clinic_id: UUID) -> Clinic:
    """Raises `ClinicNotFound`."""
    clinic = await store.get_clinic(tx, clinic_id)
    if clinic is None:
        raise domain.ClinicNotFound("no clinic has this id")
    return clinic


async def _check_start(
    tx: Connection, clinic_id: UUID, settings: ClinicSettings, before: Clinic | None
) -> None:
    """Raises `NumbersBegun` for another start of a year that has invoices."""
    start = settings.number_start
    if start is None or (before is not None and before.number_start == start):
        return
    if await store.has_numbers(tx, clinic_id, start.year):
        raise domain.NumbersBegun("that year's invoices are numbered already", field="number_start")
