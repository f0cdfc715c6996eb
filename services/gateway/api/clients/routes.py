"""The public API's part about clients."""

from datetime import date
from hashlib import sha256
from uuid import UUID

from litestar import Response, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody

from contracts.http.clients import ClientOut
from contracts.http.common import Page
from services.gateway.accounts.passwords import InjectedPasswords
from services.gateway.api.clients import actions
from services.gateway.api.clients.schemas import ClientAnswer, ClientPatch, InvitationAnswer, NewClient
from services.gateway.api.idempotency.actions import IdempotentRequest
from services.gateway.api.idempotency.dependencies import BodyFingerprint
from services.gateway.api.idempotency.domain import derived_id
from services.gateway.api.keys.dependencies import CurrentKey, at_clinic
from services.gateway.api.operations.actions import InjectedOperations
from services.gateway.api.schemas import Cursor, Email, ExternalId, IdempotencyKey, Limit
from services.gateway.upstream.services import InjectedUpstreams
from services.gateway.web.bodies import members_of
from services.gateway.web.dependencies import Db
from services.gateway.web.files import (
    MOST_ZIPPED,
    PDF,
    UNCHANGED,
    ZIP,
    DaysOutOfOrder,
    Known,
    TooManyInvoices,
    passed_on,
    with_heads,
    zipped,
)


@post("/clinics/{clinic_id:uuid}/clients", summary="Add a client")
async def create_client(
    clinic_id: FromPath[UUID],
    data: JSONBody[NewClient],
    key: CurrentKey,
    idempotency_key: IdempotencyKey,
    fingerprint: BodyFingerprint,
    operations: InjectedOperations,
    upstreams: InjectedUpstreams,
    passwords: InjectedPasswords,
) -> ClientAnswer:
    """With `login`, the e-mail can sign in to the portal as this client. An e-mail that has a login keeps its
    password, and can sign in as this client too once its owner has accepted that in the portal.

    With `"invite": true` and no `login`, the client is invited by e-mail to choose a password. Without both, no
    e-mail is sent.
    """
    caller = at_clinic(key, clinic_id)
    request = IdempotentRequest(key.id, f"client:{clinic_id}:{idempotency_key}", fingerprint)
    client_id = derived_id(key.id, "client", idempotency_key, clinic_id)
    await actions.create_client(operations, upstreams, passwords, caller, client_id, data, request)
    return await actions.get_client(upstreams, caller, client_id)


@post("/clinics/{clinic_id:uuid}/clients/{client_id:uuid}/invitation", summary="Invite a client")
async def invite_client(
    clinic_id: FromPath[UUID],
    client_id: FromPath[UUID],
    key: CurrentKey,
    idempotency_key: IdempotencyKey,
    fingerprint: BodyFingerprint,
    db: Db,
    upstreams: InjectedUpstreams,
) -> InvitationAnswer:
    """Send the client's contact an e-mail with a link to choose a password for the portal: 7 days, once.

    A new invitation ends the older. An address that has a login gets an e-mail that the clinic waits to be accepted.
    """
    caller = at_clinic(key, clinic_id)
    about = sha256(fingerprint + client_id.bytes).digest()
    request = IdempotentRequest(key.id, f"invitation:{clinic_id}:{idempotency_key}", about)
    return await actions.invite_client(db, upstreams, caller, client_id, request)


@patch("/clinics/{clinic_id:uuid}/clients/{client_id:uuid}", summary="Change a client")
async def change_client(
    clinic_id: FromPath[UUID],
    client_id: FromPath[UUID],
    data: JSONBody[ClientPatch],
    key: CurrentKey,
    operations: InjectedOperations,
    upstreams: InjectedUpstreams,
) -> ClientAnswer:
    """A JSON merge patch (RFC 7396): an absent member stays, null resets it to its default.

    E-mails go to the new `email` from now on. A login keeps the e-mail with which it was made.
    """
    caller = at_clinic(key, clinic_id)
    await actions.change_client(operations, upstreams, caller, client_id, members_of(data))
    return await actions.get_client(upstreams, caller, client_id)


@get("/clinics/{clinic_id:uuid}/clients", summary="List clients")
async def list_clients(
    clinic_id: FromPath[UUID],
    key: CurrentKey,
    upstreams: InjectedUpstreams,
    email: Email = None,
    external_id: ExternalId = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> Page[ClientOut]:
    """A clinic's clients; with `email`, those whom this address reaches, whatever its case. 422 `email_not_valid`.

    With `external_id` the one that has it.
    """
    caller = at_clinic(key, clinic_id)
    if external_id is not None:
        return await upstreams.clients_by_external_id(caller, external_id)
    if email is not None:
        return await upstreams.clients_by_email(caller, email, cursor, limit)
    return await upstreams.clients(caller, cursor, limit)


@get("/clinics/{clinic_id:uuid}/clients/{client_id:uuid}", summary="Get a client")
async def get_client(
    clinic_id: FromPath[UUID], client_id: FromPath[UUID], key: CurrentKey, upstreams: InjectedUpstreams
) -> ClientAnswer:
    """The client with its contact's e-mail and language."""
    return await actions.get_client(upstreams, at_clinic(key, clinic_id), client_id)


@get(
    "/clinics/{clinic_id:uuid}/clients/{client_id:uuid}/statement",
    summary="Get a client's statement as PDF",
    media_type=PDF,
    responses=UNCHANGED,
)
async def get_statement_pdf(
    clinic_id: FromPath[UUID],
    client_id: FromPath[UUID],
    key: CurrentKey,
    upstreams: InjectedUpstreams,
    since: FromQuery[date | None] = None,
    until: FromQuery[date | None] = None,
    if_none_match: Known = None,
) -> Response[bytes]:
    """The invoices issued from the day `since` to the day `until`, the payments and refunds of these days, and what
    is to pay today of all invoices issued until then.

    Without `until` it ends today, without `since` it begins with that year. 422 `days_out_of_order`, and
    `statement_too_long` for more than 1,000 invoices or payments.
    """
    caller = at_clinic(key, clinic_id)
    return passed_on(await upstreams.statement(caller, client_id, since, until, if_none_match))


@get(
    "/clinics/{clinic_id:uuid}/clients/{client_id:uuid}/invoices.zip",
    summary="Get a client's invoices as PDFs in a ZIP",
    media_type=ZIP,
)
async def get_invoices_zip(
    clinic_id: FromPath[UUID],
    client_id: FromPath[UUID],
    key: CurrentKey,
    upstreams: InjectedUpstreams,
    since: FromQuery[date | None] = None,
    until: FromQuery[date | None] = None,
) -> Response[bytes]:
    """The invoices issued from the day `since` to the day `until`, each as it was issued.

    Without these days all of them. 422 `days_out_of_order`, and `too_many_invoices` for more than 100. 503
    `pdf_unavailable` when too many documents are asked for at once.
    """
    caller = at_clinic(key, clinic_id)
    if since and until and since > until:
        raise DaysOutOfOrder("The first day is after the last one.")
    await upstreams.client(caller, client_id)
    found = await upstreams.invoices(
        caller, None, None, MOST_ZIPPED, client_id, issued_from=since, issued_to=until
    )
    if found.next:
        raise TooManyInvoices(f"A ZIP holds at most {MOST_ZIPPED} invoices. Choose fewer days.")
    return await zipped(upstreams, caller, found.items, "invoices")


client_routes = [
    create_client,
    invite_client,
    change_client,
    list_clients,
    get_client,
    *with_heads(get_statement_pdf, get_invoices_zip),
]
