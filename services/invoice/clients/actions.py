"""Changes to a clinic's clients."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from contracts.http.clients import ClientIn, ClientOut
from services.chassis import audit
from services.chassis.db.database import Connection
from services.chassis.http.auth import Caller
from services.chassis.http.patches import patched
from services.invoice.clients import domain, store
from services.invoice.clinics import actions as clinics


async def create_client(
    tx: Connection, caller: Caller, client_id: UUID, given: ClientIn
) -> tuple[ClientOut, bool]:
    """Add a client to the caller's clinic, and whether that was needed. One that is there is left as it is.

    Raises `ClinicNotFound`.
    """
    await clinics.known_clinic(tx, caller.clinic)
    added = await store.add_client(tx, caller.clinic, client_id, domain.client(given))
    if added is None:
        return await known_client(tx, caller.clinic, client_id), False
    await audit.record(tx, caller, "put_client", client_id, None, added)
    return added, True


async def change_client(
    tx: Connection, caller: Caller, client_id: UUID, patch: Mapping[str, Any]
) -> ClientOut:
    """Change a client's name or address. Raises `ClientNotFound`, `PatchInvalid`.

    Two changes at once follow each other: the second is made to what the first has left.
    """
    before = await known_client(tx, caller.clinic, client_id, lock=True)
    given = domain.client(patched(before, patch, ClientIn))
    after = await store.save_client(tx, caller.clinic, client_id, given)
    await audit.record(tx, caller, "put_client", client_id, before, after)
    return after


async def known_client(tx: Connection, clinic_id: UUID, client_id: UUID, *, lock: bool = False) -> ClientOut:
    """Raises `ClientNotFound`."""
    client = await store.get_client(tx, clinic_id, client_id, lock=lock)
    if client is None:
        raise domain.ClientNotFound("the clinic has no client with this id")
    return client
