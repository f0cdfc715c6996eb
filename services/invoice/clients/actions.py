"""Changes to a clinic's clients."""

from uuid import UUID

from services.chassis import audit
from services.chassis.db.database import Connection
from services.chassis.errors import DomainError
from services.chassis.http.auth import Caller
from services.invoice.clients import domain, store
from services.invoice.clients.domain import Client, ClientDetails
from services.invoice.clinics import actions as clinics


async def create_client(
    tx: Connection, caller: Caller, client_id: UUID, given: ClientDetails
) -> tuple[Client, bool]:
    """Add a client to the caller's clinic; True when it was added. An existing client stays as it is.

    One who was erased is added again, or others would keep what the request has of a person whom this clinic has not.

    Raises `ClinicNotFound`, `InvalidAddress`.
    """
    await clinics.get_clinic(tx, caller.clinic)
    try:
        details = domain.checked(given, None)
    except DomainError:
        existing = await store.get_client(tx, caller.clinic, client_id, lock=False)
        if existing is None or existing.erased:
            raise
        domain.tidy(given)  # a rule about countries came after some clients
        return existing, False
    added = await store.add_client(tx, caller.clinic, client_id, details)
    if added is None:
        return await get_client(tx, caller.clinic, client_id), False
    await audit.record(tx, caller, "put_client", client_id, None, added)
    return added, True


async def save_client(tx: Connection, caller: Caller, given: ClientDetails, before: Client) -> Client:
    """Replace the details of a client that `get_client` read and locked as `before`. Raises `InvalidAddress`."""
    after = await store.save_client(tx, caller.clinic, before.id, domain.checked(given, before))
    await audit.record(tx, caller, "put_client", before.id, before, after)
    return after


async def get_client(tx: Connection, clinic_id: UUID, client_id: UUID, *, lock: bool = False) -> Client:
    """A client; with `lock`, another change waits for this one. Raises `ClientNotFound`."""
    client = await store.get_client(tx, clinic_id, client_id, lock=lock)
    if client is None:
        raise domain.ClientNotFound("the clinic has no client with this id")
    return client
