"""The public API, `/api/v1`: clinics, clients, invoices."""

from uuid import UUID

from litestar import Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, JSONBody, RawBody

from contracts.http.common import Page
from contracts.http.invoices import InvoiceItem, InvoiceOut, InvoicesOut
from contracts.vocabulary import InvoiceStatus
from services.chassis.http.app import json_only
from services.gateway.accounts.dependencies import Asks, Db, Hashes
from services.gateway.api import actions
from services.gateway.api.account_routes import account_routes
from services.gateway.api.client_routes import client_routes
from services.gateway.api.clinic_routes import clinic_routes
from services.gateway.api.credit_routes import credit_routes
from services.gateway.api.key_routes import key_routes
from services.gateway.api.key_store import ApiKey
from services.gateway.api.key_uses import KeyUse
from services.gateway.api.keys import api_key, as_operator, at_clinic
from services.gateway.api.schemas import (
    Cursor,
    IdempotencyKey,
    Limit,
    MadeApiKey,
    NewApiKey,
    NewInvoice,
    NewInvoices,
    NewStaff,
    Staff,
)
from services.gateway.web.bodies import strictly

Key = NamedDependency[ApiKey]


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
    await upstreams.clinic(caller)
    await actions.create_staff(db, passwords, caller, new, use)
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
) -> MadeApiKey:
    """Operators only. The key reaches this clinic alone and is shown this once: sent again, 409
    `api_key_already_made`.
    """
    new = strictly(body, NewApiKey)
    caller = as_operator(key, clinic_id)
    use = KeyUse(key, f"api-key:{clinic_id}:{idempotency_key}", body)
    await upstreams.clinic(caller)
    return await actions.create_api_key(db, caller, new, use)


@post("/clinics/{clinic_id:uuid}/invoices", summary="Issue an invoice")
async def create_invoice(
    body: RawBody,
    clinic_id: FromPath[UUID],
    data: JSONBody[NewInvoice],
    key: Key,
    idempotency_key: IdempotencyKey,
    upstreams: Asks,
) -> InvoiceOut:
    """Numbered, and sent to the client by e-mail. 422 `idempotency_key_reused` for a key with another body."""
    caller = at_clinic(key, clinic_id)
    return await upstreams.issue_invoice(caller, strictly(body, NewInvoice), idempotency_key)


@post("/clinics/{clinic_id:uuid}/invoices/bulk", summary="Issue a set of invoices")
async def create_invoices(
    body: RawBody,
    clinic_id: FromPath[UUID],
    data: JSONBody[NewInvoices],
    key: Key,
    idempotency_key: IdempotencyKey,
    upstreams: Asks,
) -> InvoicesOut:
    """At most 100, all or none, numbered in their order. 422 `invoices_refused` has an entry in `errors` for each that
    cannot be issued: its `position` in the request from 0, `code`, `detail`, and often `field`.
    """
    caller = at_clinic(key, clinic_id)
    return await upstreams.issue_invoices(caller, strictly(body, NewInvoices), idempotency_key)


@get("/clinics/{clinic_id:uuid}/invoices", summary="List invoices")
async def list_invoices(
    clinic_id: FromPath[UUID],
    key: Key,
    upstreams: Asks,
    status: FromQuery[InvoiceStatus | None] = None,
    client_id: FromQuery[UUID | None] = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> Page[InvoiceItem]:
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
        *clinic_routes,
        *client_routes,
        create_staff,
        create_api_key,
        create_invoice,
        create_invoices,
        list_invoices,
        get_invoice,
        *account_routes,
        *credit_routes,
        *key_routes,
    ],
    before_request=json_only,
    dependencies={"key": Provide(api_key)},
    tags=["ClinicPay"],
    security=[{"api_key": []}],
)
