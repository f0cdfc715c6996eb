"""Changes to clients' contacts, each in the caller's transaction."""

from collections.abc import Sequence
from operator import attrgetter
from uuid import UUID

from contracts.events.client import ClientErased
from contracts.vocabulary import ChosenMail
from services.chassis import audit
from services.chassis.db.database import Connection
from services.chassis.errors import DomainError
from services.chassis.http.auth import Caller
from services.notification.contacts import domain, store
from services.notification.contacts.domain import Contact
from services.notification.emails import actions as deliveries


async def create_contact(tx: Connection, caller: Caller, contact: Contact) -> tuple[Contact, bool]:
    """Add a client's contact and release the e-mails that waited for it; True when it was added.

    An existing contact stays as it is. Raises `EmailNotValid`, `InvalidText`, `UnknownLanguage`.
    """
    try:
        contact = domain.checked(contact, None)
    except DomainError:
        existing = await store.get_contact(tx, caller.clinic, contact.client_id)
        if existing is None:
            raise
        domain.tidy(contact)  # a rule about languages came after some contacts
        return existing, False
    added = await store.add_contact(tx, caller.clinic, contact)
    if added is None:
        return await get_contact(tx, caller.clinic, contact.client_id), False
    await deliveries.end_waiting(tx, caller.clinic, contact.client_id)
    await audit.record(tx, caller, "put_contact", contact.client_id, None, added)
    return added, True


async def save_contact(tx: Connection, caller: Caller, contact: Contact, before: Contact) -> Contact:
    """Replace the contact that `get_contact` read and locked as `before`.

    Raises `EmailNotValid`, `InvalidText`, `UnknownLanguage`.
    """
    contact = domain.checked(contact, before)
    await store.save_contact(tx, caller.clinic, contact)
    await audit.record(tx, caller, "put_contact", contact.client_id, before, contact)
    return contact


async def delete_contact(tx: Connection, caller: Caller, client_id: UUID) -> None:
    """Delete a client's contact. Raises `ContactNotFound`."""
    before = await store.delete_contact(tx, caller.clinic, client_id)
    if before is None:
        raise domain.ContactNotFound("No contact is kept for this client.")
    await audit.record(tx, caller, "delete_contact", client_id, before, None)


async def erase(tx: Connection, events: Sequence[ClientErased]) -> None:
    """Delete the contacts of erased clients. One that was given after the erasure stays: the client is one again."""
    if events:
        # Of two erasures of one client the later counts.
        ordered = sorted(events, key=attrgetter("time"))
        await store.delete_erased(tx, {(each.clinic_id, each.client_id): each.time for each in ordered})


async def choose_mail(
    tx: Connection, clinic_id: UUID, client_id: UUID, kind: ChosenMail, *, wanted: bool
) -> tuple[ChosenMail, ...]:
    """Save whether a client wants e-mails of a kind; returns the kinds that it does not want.

    Raises `ContactNotFound`.
    """
    await get_contact(tx, clinic_id, client_id)
    await store.save_choice(tx, clinic_id, client_id, kind, wanted=wanted)
    return await store.list_unwanted(tx, clinic_id, client_id)


async def get_contact(tx: Connection, clinic_id: UUID, client_id: UUID, *, lock: bool = False) -> Contact:
    """A client's contact; with `lock`, others wait with changing it. Raises `ContactNotFound`."""
    if lock:
        await store.lock_contact(tx, clinic_id, client_id)
    contact = await store.get_contact(tx, clinic_id, client_id)
    if contact is None:
        raise domain.ContactNotFound("No contact is kept for this client.")
    return contact
