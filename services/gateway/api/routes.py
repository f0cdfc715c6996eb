"""The public API, `/api/v1`: clinics, clients, invoices."""

from typing import Annotated
from uuid import UUID

from litestar import Router, get, post, put
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter, RawBody

from services.chassis.http import json_only
from services.gateway.api import actions
from services.gateway.api.actions import ApiKeyMade, KeyUse, derived_id, strictly
from services.gateway.api.credit_routes import credit_routes
from services.gateway.api.keys import api_key, as_operator, at_clinic
from services.gateway.api.shapes import (
    ClientAnswer,
    ClinicAnswer,
    CreatedApiKey,
    IdempotencyKey,
    NewApiKey,
    NewClient,
    NewClinic,
    NewStaff,
    Staff,
)
from services.gateway.dependencies import Asks, Db, Hashes
from services.gateway.shapes import (
    Client,
    Clinic,
    InvoiceIn,
    InvoiceOut,
    InvoiceRow,
    InvoicesIn,
    InvoicesOut,
    InvoiceStatus,
    Page,
)
from services.gateway.store import ApiKey

Key = NamedDependency[ApiKey]
Limit = Annotated[int, QueryParameter(ge=1, le=100)]
Cursor = Annotated[str | None, QueryParameter(max_length=500)]


@post("/clinics", summary="Put a clinic on")
async def create_clinic(
    body: RawBody,
    data: JSONBody[NewClinic],
    key: Key,
    idempotency_key: IdempotencyKey,
    db: Db,
    upstreams: Asks,
) -> ClinicAnswer:
    """Operators only. 409 `slug_taken` when another clinic has the slug."""
    clinic_id = derived_id(key, "clinic", idempotency_key)
    caller = as_operator(key, clinic_id)
    use = KeyUse(key, f"clinic:{idempotency_key}", body)
    if await use.is_done(db):
        return await actions.get_clinic(upstreams, caller)
    answer = await actions.put_clinic(db, upstreams, caller, clinic_id, strictly(body, NewClinic))
    await use.keep(db)
    return answer


@put("/clinics/{clinic_id:uuid}", summary="Change a clinic's settings")
async def change_clinic(
    body: RawBody, clinic_id: FromPath[UUID], data: JSONBody[NewClinic], key: Key, db: Db, upstreams: Asks
) -> ClinicAnswer:
    """Operators only. The settings are put whole: what is left out takes its default."""
    caller = as_operator(key, clinic_id)
    await upstreams.clinic(caller)
    new = strictly(body, NewClinic)
    return await actions.put_clinic(db, upstreams, caller, clinic_id, new)


@get("/clinics", summary="List clinics")
async def list_clinics(key: Key, upstreams: Asks, cursor: Cursor = None, limit: Limit = 20) -> Page[Clinic]:
    """Every clinic for an operator; for a clinic's key, its own."""
    if key.clinic_id is not None:
        return Page([await upstreams.clinic(at_clinic(key, key.clinic_id))])
    return await upstreams.clinics(as_operator(key), cursor, limit)


@get("/clinics/{clinic_id:uuid}", summary="Get a clinic")
async def get_clinic(clinic_id: FromPath[UUID], key: Key, upstreams: Asks) -> ClinicAnswer:
    """The clinic's settings and its Stripe account."""
    return await actions.get_clinic(upstreams, at_clinic(key, clinic_id))


@post("/clinics/{clinic_id:uuid}/clients", summary="Add a client")
async def create_client(
    body: RawBody,
    clinic_id: FromPath[UUID],
    data: JSONBody[NewClient],
    key: Key,
    idempotency_key: IdempotencyKey,
    db: Db,
    upstreams: Asks,
    passwords: Hashes,
) -> ClientAnswer:
    """With `login`, the e-mail can sign in to the portal. An e-mail that has a login keeps its password.

    409 `login_taken` when the e-mail already signs in at this clinic as another client.
    """
    caller = at_clinic(key, clinic_id)
    use = KeyUse(key, f"client:{clinic_id}:{idempotency_key}", body)
    client_id = derived_id(key, "client", idempotency_key, clinic_id)
    if await use.is_done(db):
        return await actions.get_client(upstreams, caller, client_id)
    new = strictly(body, NewClient)
    await upstreams.clinic(caller)
    answer = await actions.put_client(db, upstreams, passwords, caller, client_id, new)
    await use.keep(db)
    return answer


@get("/clinics/{clinic_id:uuid}/clients", summary="List clients")
async def list_clients(
    clinic_id: FromPath[UUID], key: Key, upstreams: Asks, cursor: Cursor = None, limit: Limit = 20
) -> Page[Client]:
    """A clinic's clients."""
    return await upstreams.clients(at_clinic(key, clinic_id), cursor, limit)


@get("/clinics/{clinic_id:uuid}/clients/{client_id:uuid}", summary="Get a client")
async def get_client(
    clinic_id: FromPath[UUID], client_id: FromPath[UUID], key: Key, upstreams: Asks
) -> ClientAnswer:
    """The client with its contact's e-mail and language."""
    return await actions.get_client(upstreams, at_clinic(key, clinic_id), client_id)


@post("/clinics/{clinic_id:uuid}/staff", summary="Let staff sign in")
async def create_staff(
    body: RawBody,
    clinic_id: FromPath[UUID],
    data: JSONBody[NewStaff],
    key: Key,
    idempotency_key: IdempotencyKey,
    db: Db,
    upstreams: Asks,
    passwords: Hashes,
) -> Staff:
    """Operators only. An e-mail that has a login keeps its password."""
    new = strictly(body, NewStaff)
    caller = as_operator(key, clinic_id)
    use = KeyUse(key, f"staff:{clinic_id}:{idempotency_key}", body)
    if not await use.is_done(db):
        await upstreams.clinic(caller)
        await actions.put_staff(db, passwords, caller, new)
        await use.keep(db)
    return Staff(new.email)


@post("/clinics/{clinic_id:uuid}/api-keys", summary="Make a clinic's API key")
async def create_api_key(
    body: RawBody,
    clinic_id: FromPath[UUID],
    data: JSONBody[NewApiKey],
    key: Key,
    idempotency_key: IdempotencyKey,
    db: Db,
    upstreams: Asks,
) -> CreatedApiKey:
    """Operators only. The key reaches this clinic alone and is shown this once: sent again, 409
    `api_key_already_made`.
    """
    new = strictly(body, NewApiKey)
    caller = as_operator(key, clinic_id)
    use = KeyUse(key, f"api-key:{clinic_id}:{idempotency_key}", body)
    if await use.is_done(db):
        raise ApiKeyMade(
            "This request has made its key, which is shown once. Use a new Idempotency-Key for another."
        )
    await upstreams.clinic(caller)
    made = await actions.create_api_key(db, caller, new)
    await use.keep(db)
    return made


@post("/clinics/{clinic_id:uuid}/invoices", summary="Issue an invoice")
async def create_invoice(
    body: RawBody,
    clinic_id: FromPath[UUID],
    data: JSONBody[InvoiceIn],
    key: Key,
    idempotency_key: IdempotencyKey,
    upstreams: Asks,
) -> InvoiceOut:
    """Numbered, and sent to the client by e-mail. 422 `idempotency_key_reused` for a key with another body."""
    caller = at_clinic(key, clinic_id)
    return await upstreams.issue_invoice(caller, strictly(body, InvoiceIn), idempotency_key)


@post("/clinics/{clinic_id:uuid}/invoices/bulk", summary="Issue a set of invoices")
async def create_invoices(
    body: RawBody,
    clinic_id: FromPath[UUID],
    data: JSONBody[InvoicesIn],
    key: Key,
    idempotency_key: IdempotencyKey,
    upstreams: Asks,
) -> InvoicesOut:
    """At most 100, all or none, numbered in their order. 422 `invoices_refused` has an entry in `errors` for each that
    cannot be issued: its `position` in the request from 0, `code`, `detail`, and often `field`.
    """
    caller = at_clinic(key, clinic_id)
    return await upstreams.issue_invoices(caller, strictly(body, InvoicesIn), idempotency_key)


@get("/clinics/{clinic_id:uuid}/invoices", summary="List invoices")
async def list_invoices(
    clinic_id: FromPath[UUID],
    key: Key,
    upstreams: Asks,
    status: FromQuery[InvoiceStatus | None] = None,
    client_id: FromQuery[UUID | None] = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> Page[InvoiceRow]:
    """Newest first."""
    caller = at_clinic(key, clinic_id)
    await upstreams.clinic(caller)
    return await upstreams.invoices(caller, status, cursor, limit, client_id)


@get("/clinics/{clinic_id:uuid}/invoices/{invoice_id:uuid}", summary="Get an invoice")
async def get_invoice(
    clinic_id: FromPath[UUID], invoice_id: FromPath[UUID], key: Key, upstreams: Asks
) -> InvoiceOut:
    """One invoice with its lines and the money that moved."""
    return await upstreams.invoice(at_clinic(key, clinic_id), invoice_id)


api_router = Router(
    path="/api/v1",
    route_handlers=[
        create_clinic,
        change_clinic,
        list_clinics,
        get_clinic,
        create_client,
        list_clients,
        get_client,
        create_staff,
        create_api_key,
        create_invoice,
        create_invoices,
        list_invoices,
        get_invoice,
        *credit_routes,
    ],
    before_request=json_only,
    dependencies={"key": Provide(api_key)},
    tags=["ClinicPay"],
    security=[{"api_key": []}],
)
