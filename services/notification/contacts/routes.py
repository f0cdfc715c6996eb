"""Contacts over HTTP. With `check=true` a request is checked and answered, and changes nothing."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Response, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from contracts.http.common import Page
from contracts.http.contacts import ContactIn, ContactOut, MailChoiceIn, MailChoicesOut
from contracts.vocabulary import chosen_mail
from services.chassis import emails
from services.chassis.db.database import Connection, trial
from services.chassis.http.auth import Caller, client, staff
from services.chassis.http.patches import patched
from services.notification.contacts import actions, domain, store
from services.notification.contacts.schemas import contact_of, contact_out


@post("/contacts/{client_id:uuid}", guards=[staff])
async def create_contact(
    client_id: FromPath[UUID],
    data: JSONBody[ContactIn],
    caller: NamedDependency[Caller],
    tx: NamedDependency[Connection],
    check: FromQuery[bool] = False,
) -> Response[ContactOut]:
    """Add a client's contact and release the e-mails that waited for it (201). An existing one stays as it is (200).

    422 `email_not_valid`, `unknown_language`.
    """
    async with trial(tx, check):
        contact, is_new = await actions.create_contact(tx, caller, contact_of(data, client_id))
    return Response(contact_out(contact), status_code=201 if is_new else 200)


@patch("/contacts/{client_id:uuid}", guards=[staff])
async def change_contact(
    client_id: FromPath[UUID],
    data: JSONBody[dict[str, Any]],
    caller: NamedDependency[Caller],
    tx: NamedDependency[Connection],
    check: FromQuery[bool] = False,
) -> ContactOut:
    """Change a client's contact: a JSON merge patch.

    422 `email_not_valid`, `unknown_language`, 404 `contact_not_found`.
    """
    async with trial(tx, check):
        before = await actions.get_contact(tx, caller.clinic, client_id, lock=True)
        given = patched(contact_out(before), data, ContactIn)
        return contact_out(await actions.save_contact(tx, caller, contact_of(given, client_id), before))


@delete("/contacts/{client_id:uuid}", guards=[staff])
async def delete_contact(
    client_id: FromPath[UUID], caller: NamedDependency[Caller], tx: NamedDependency[Connection]
) -> None:
    """Delete a contact, such as one whose client another service refused. 404 `contact_not_found`."""
    await actions.delete_contact(tx, caller, client_id)


@get("/contacts", guards=[staff])
async def list_contacts(
    caller: NamedDependency[Caller],
    tx: NamedDependency[Connection],
    email: FromQuery[str] = "",
    cursor: FromQuery[UUID | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
) -> Page[ContactOut]:
    """The contacts that an address reaches. 422 `email_not_valid`."""
    rows = await store.list_contacts(
        tx, caller.clinic, emails.address(email), cursor or UUID(int=0), limit + 1
    )
    more = str(rows[limit - 1].client_id) if len(rows) > limit else None
    return Page(items=[contact_out(each) for each in rows[:limit]], next=more)


@get("/contacts/{client_id:uuid}")
async def get_contact(
    client_id: FromPath[UUID], caller: NamedDependency[Caller], tx: NamedDependency[Connection]
) -> ContactOut:
    """A client's contact; clients see their own alone. 404 `contact_not_found`."""
    _check_own(caller, client_id)
    return contact_out(await actions.get_contact(tx, caller.clinic, client_id))


@get("/contacts/{client_id:uuid}/mail")
async def get_choices(
    client_id: FromPath[UUID], caller: NamedDependency[Caller], tx: NamedDependency[Connection]
) -> MailChoicesOut:
    """The kinds of e-mails that a client does not want; clients see their own alone. 404 `contact_not_found`."""
    _check_own(caller, client_id)
    await actions.get_contact(tx, caller.clinic, client_id)
    return MailChoicesOut(
        client_id=client_id, unwanted=await store.list_unwanted(tx, caller.clinic, client_id)
    )


@put("/contacts/{client_id:uuid}/mail/{kind:str}", guards=[client])
async def choose_mail(
    client_id: FromPath[UUID],
    kind: FromPath[str],
    data: JSONBody[MailChoiceIn],
    caller: NamedDependency[Caller],
    tx: NamedDependency[Connection],
) -> MailChoicesOut:
    """Save whether a client wants e-mails of a kind; each client does so itself. 404 `contact_not_found`.

    404 `unknown_mail` for a kind that always comes.
    """
    _check_own(caller, client_id)
    chosen = chosen_mail(kind)
    if chosen is None:
        raise domain.UnknownMail("E-mails of this kind cannot be chosen.")
    unwanted = await actions.choose_mail(tx, caller.clinic, client_id, chosen, wanted=data.wanted)
    return MailChoicesOut(client_id=client_id, unwanted=unwanted)


def _check_own(caller: Caller, client_id: UUID) -> None:
    if caller.role == "client" and caller.subject != client_id:
        raise domain.ContactNotFound("No contact is kept for this client.")


ALL: list[Any] = [
    create_contact,
    change_contact,
    delete_contact,
    list_contacts,
    get_contact,
    get_choices,
    choose_mail,
]
