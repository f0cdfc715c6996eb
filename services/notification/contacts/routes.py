"""HTTP in: contacts, and what became of e-mails."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from contracts.vocabulary import DeliveryState
from services.chassis.db.database import Connection, trial
from services.chassis.http.auth import Caller, staff
from services.chassis.http.patches import patched
from services.notification.emails import actions, domain, store
from services.notification.emails.domain import Contact

Who = NamedDependency[Caller]
Tx = NamedDependency[Connection]
CheckOnly = FromQuery[bool]
"""With `check=true` the request is checked, answered, and changes nothing."""
# `$` alone would let a newline stand at the end.
_Line = Annotated[
    str,
    msgspec.Meta(
        min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$(?!\n)"
    ),
]


class ContactIn(msgspec.Struct, forbid_unknown_fields=True):
    """`language` is kept for the day that e-mails have more than English."""

    email: str
    name: _Line
    language: Annotated[str, msgspec.Meta(pattern=r"^[a-z]{2}$(?!\n)")] = "en"

    def of(self, client_id: UUID) -> Contact:
        return Contact(client_id, self.email, self.name, self.language)


class ContactOut(msgspec.Struct):
    client_id: UUID
    email: str
    name: str
    language: str

    @classmethod
    def of(cls, contact: Contact) -> Self:
        return cls(contact.client_id, contact.email, contact.name, contact.language)


class DeliveryOut(msgspec.Struct):
    """An e-mail. `subject_id` is its invoice or payment; `last_error` an SMTP code or a reason in one word."""

    id: UUID
    client_id: UUID
    template: str
    subject_id: UUID
    state: DeliveryState
    attempts: int
    last_error: str | None
    created_at: datetime
    sent_at: datetime | None
    next_attempt_at: datetime | None


class Deliveries(msgspec.Struct):
    items: list[DeliveryOut]
    next: str | None


@post("/contacts/{client_id:uuid}", guards=[staff])
async def create_contact(
    client_id: FromPath[UUID], data: JSONBody[ContactIn], caller: Who, tx: Tx, check: CheckOnly = False
) -> Response[ContactOut]:
    """Keep how to reach a client, and send what waited for it (201). One that is there stays as it is (200).

    422 `email_not_valid`.
    """
    async with trial(tx, check):
        contact, is_new = await actions.create_contact(tx, caller, data.of(client_id))
    return Response(ContactOut.of(contact), status_code=201 if is_new else 200)


@patch("/contacts/{client_id:uuid}", guards=[staff])
async def change_contact(
    client_id: FromPath[UUID],
    data: JSONBody[dict[str, Any]],
    caller: Who,
    tx: Tx,
    check: CheckOnly = False,
) -> ContactOut:
    """Change how to reach a client: a JSON merge patch. 422 `email_not_valid`, 404 `contact_not_found`."""
    async with trial(tx, check):
        before = await actions.get_contact(tx, caller.clinic, client_id, lock=True)
        given = patched(ContactOut.of(before), data, ContactIn)
        return ContactOut.of(await actions.save_contact(tx, caller, given.of(client_id), before))


@delete("/contacts/{client_id:uuid}", guards=[staff])
async def delete_contact(client_id: FromPath[UUID], caller: Who, tx: Tx) -> None:
    """Take a contact away again whose client was refused elsewhere. 404 `contact_not_found`."""
    await actions.delete_contact(tx, caller, client_id)


@get("/contacts/{client_id:uuid}")
async def get_contact(client_id: FromPath[UUID], caller: Who, tx: Tx) -> ContactOut:
    """A client's contact; clients see their own alone. 404 `contact_not_found`."""
    if caller.role == "client" and caller.subject != client_id:
        raise domain.ContactNotFound("No contact is kept for this client.")
    return ContactOut.of(await actions.get_contact(tx, caller.clinic, client_id))


@get("/deliveries", guards=[staff])
async def list_deliveries(
    caller: Who,
    tx: Tx,
    client_id: FromQuery[UUID | None] = None,
    cursor: FromQuery[UUID | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
) -> Deliveries:
    """A clinic's e-mails, newest first, and what became of them."""
    rows = await store.list_deliveries(tx, caller.clinic, client_id, cursor, limit + 1)
    items = [DeliveryOut(**row) for row in rows[:limit]]
    return Deliveries(items, str(items[-1].id) if len(rows) > limit else None)


HANDLERS = [create_contact, change_contact, delete_contact, get_contact, list_deliveries]
