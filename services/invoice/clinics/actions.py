"""Changes to a clinic's settings."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from contracts.http.clinics import ClinicIn, ClinicOut
from services.chassis import audit
from services.chassis.db.database import Connection
from services.chassis.http.auth import Caller
from services.chassis.http.patches import patched
from services.chassis.outbox import outbox
from services.invoice.clinics import domain, store


async def put_clinic(tx: Connection, caller: Caller, given: ClinicIn) -> ClinicOut:
    """Put the caller's clinic on, or change its settings. Says `clinic.updated` when that changed something."""
    tidy = domain.clinic(given)
    await store.lock_clinic(tx, caller.clinic)
    before = await store.get_clinic(tx, caller.clinic)
    changed = await store.put_clinic(tx, caller.clinic, tidy)
    if changed is None:
        return await known_clinic(tx, caller.clinic)
    clinic, changed_at = changed
    await outbox.add(tx, [(domain.updated_event(clinic, changed_at), None)])
    await audit.record(tx, caller, "put_clinic", clinic.id, before, clinic)
    return clinic


async def create_clinic(tx: Connection, caller: Caller, given: ClinicIn) -> tuple[ClinicOut, bool]:
    """Put the caller's clinic on, and whether that was needed. One that is there is left as it is.

    Settings that could not be kept are refused all the same.
    """
    given = domain.clinic(given)
    await store.lock_clinic(tx, caller.clinic)
    known = await store.get_clinic(tx, caller.clinic)
    return (known, False) if known else (await put_clinic(tx, caller, given), True)


async def change_clinic(tx: Connection, caller: Caller, patch: Mapping[str, Any]) -> ClinicOut:
    """Change some settings of the caller's clinic. Raises `ClinicNotFound`, `PatchInvalid`, what `put_clinic` raises.

    Two changes at once follow each other: the second is made to what the first has left.
    """
    await store.lock_clinic(tx, caller.clinic)
    return await put_clinic(tx, caller, patched(await known_clinic(tx, caller.clinic), patch, ClinicIn))


async def known_clinic(tx: Connection, clinic_id: UUID) -> ClinicOut:
    """Raises `ClinicNotFound`."""
    clinic = await store.get_clinic(tx, clinic_id)
    if clinic is None:
        raise domain.ClinicNotFound("no clinic has this id")
    return clinic
