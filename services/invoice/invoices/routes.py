"""The invoice service over HTTP. Who asks stands in the internal token: role, clinic, and for clients who."""

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from litestar import Response, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter, RawBody
from msgspec.structs import replace

from services.chassis.db.database import Connection, Database, trial
from services.chassis.http.auth import Caller, client, operator, staff
from services.invoice import paging
from services.invoice.clinics import store as store_clinics
from services.invoice.clinics.domain import ClientNotFound
from services.invoice.invoices import actions, issuing
from services.invoice.invoices import reads as store_reads
from services.invoice.invoices.domain import InvoiceNotFound
from services.invoice.invoices.reads import StatusFilter
from services.invoice.schemas import (
    ClientIn,
    ClientOut,
    ClinicIn,
    ClinicOut,
    InvoiceIn,
    InvoiceOut,
    InvoiceRow,
    InvoicesIn,
    InvoicesOut,
    Page,
    Summary,
)

Who = NamedDependency[Caller]
Tx = NamedDependency[Connection]
Cursor = FromQuery[str | None]
Limit = Annotated[int, QueryParameter(ge=1, le=paging.LARGEST_LIMIT)]
CheckOnly = FromQuery[bool]
"""With `check=true` the request is checked, answered, and changes nothing."""
IdempotencyKey = Annotated[str | None, HeaderParameter(name="Idempotency-Key", required=False)]


@put("/clinics/{clinic_id:uuid}", guards=[operator])
async def put_clinic(
    clinic_id: FromPath[UUID],
    data: JSONBody[ClinicIn],
    caller: Who,
    db: NamedDependency[Database],
    check: CheckOnly = False,
) -> ClinicOut:
    """Put a clinic on, or replace its settings. The same settings again change nothing."""
    async with db.tx(clinic_id, operator=True) as tx, trial(tx, check):
        return await actions.put_clinic(tx, replace(caller, clinic_id=clinic_id), data)


@post("/clinics/{clinic_id:uuid}", guards=[operator])
async def create_clinic(
    clinic_id: FromPath[UUID],
    data: JSONBody[ClinicIn],
    caller: Who,
    db: NamedDependency[Database],
    check: CheckOnly = False,
) -> Response[ClinicOut]:
    """Put a clinic on (201). One that is there stays as it is, and is the answer (200)."""
    async with db.tx(clinic_id, operator=True) as tx, trial(tx, check):
        clinic, is_new = await actions.create_clinic(tx, replace(caller, clinic_id=clinic_id), data)
    return Response(clinic, status_code=201 if is_new else 200)


@patch("/clinics/{clinic_id:uuid}", guards=[operator])
async def change_clinic(
    clinic_id: FromPath[UUID],
    data: JSONBody[dict[str, Any]],
    caller: Who,
    db: NamedDependency[Database],
    check: CheckOnly = False,
) -> ClinicOut:
    """Change some of a clinic's settings: a JSON merge patch."""
    async with db.tx(clinic_id, operator=True) as tx, trial(tx, check):
        return await actions.change_clinic(tx, replace(caller, clinic_id=clinic_id), data)


@get("/clinics/{clinic_id:uuid}")
async def get_clinic(clinic_id: FromPath[UUID], tx: Tx) -> ClinicOut:
    """A clinic and its settings: one's own, or for operators any."""
    return await actions.known_clinic(tx, clinic_id)


@get("/clinics", guards=[operator])
async def list_clinics(
    tx: Tx, slug: FromQuery[str | None] = None, cursor: Cursor = None, limit: Limit = paging.DEFAULT_LIMIT
) -> Page[ClinicOut]:
    """All clinics in order of their ids, or the one with this slug."""
    after = paging.after_id(cursor)
    clinics = await store_clinics.list_clinics(tx, slug=slug, after=after, limit=limit + 1)
    return paging.page(clinics, limit, lambda last: (last.id,))


@post("/clients/{client_id:uuid}", guards=[staff])
async def create_client(
    client_id: FromPath[UUID], data: JSONBody[ClientIn], caller: Who, tx: Tx, check: CheckOnly = False
) -> Response[ClientOut]:
    """Add a client to the clinic (201). One that is there stays as it is, and is the answer (200)."""
    async with trial(tx, check):
        client, is_new = await actions.create_client(tx, caller, client_id, data)
    return Response(client, status_code=201 if is_new else 200)


@patch("/clients/{client_id:uuid}", guards=[staff])
async def change_client(
    client_id: FromPath[UUID],
    data: JSONBody[dict[str, Any]],
    caller: Who,
    tx: Tx,
    check: CheckOnly = False,
) -> ClientOut:
    """Change a client's name or billing address: a JSON merge patch."""
    async with trial(tx, check):
        return await actions.change_client(tx, caller, client_id, data)


@get("/clients/{client_id:uuid}")
async def get_client(client_id: FromPath[UUID], caller: Who, tx: Tx) -> ClientOut:
    """A client of the clinic; clients see only themselves."""
    if caller.role == "client" and caller.subject != client_id:
        raise ClientNotFound("the clinic has no client with this id")
    return await actions.known_client(tx, caller.clinic, client_id)


@get("/clients", guards=[staff])
async def list_clients(
    caller: Who, tx: Tx, cursor: Cursor = None, limit: Limit = paging.DEFAULT_LIMIT
) -> Page[ClientOut]:
    """The clinic's clients in order of their ids."""
    after = paging.after_id(cursor)
    clients = await store_clinics.list_clients(tx, caller.clinic, after=after, limit=limit + 1)
    return paging.page(clients, limit, lambda last: (last.id,))


@post("/invoices", guards=[staff])
async def issue_invoice(
    data: JSONBody[InvoiceIn], body: RawBody, caller: Who, tx: Tx, idempotency_key: IdempotencyKey = None
) -> Response[InvoiceOut]:
    """Issue an invoice. The same `Idempotency-Key` with the same body answers as the first time."""
    invoice = await issuing.issue_invoice(tx, caller, data, key=idempotency_key, body=body)
    return Response(invoice, status_code=201, headers={"Location": f"/invoices/{invoice.id}"})


@post("/invoices/bulk", guards=[staff])
async def issue_invoices(
    data: JSONBody[InvoicesIn], body: RawBody, caller: Who, tx: Tx, idempotency_key: IdempotencyKey = None
) -> InvoicesOut:
    """Issue up to 100 invoices, all or none, under one `Idempotency-Key`; 422 `invoices_refused` names the bad ones."""
    return await issuing.issue_invoices(tx, caller, data.invoices, key=idempotency_key, body=body)


@get("/invoices")
async def list_invoices(
    caller: Who,
    tx: Tx,
    status: FromQuery[StatusFilter] = "all",
    client_id: FromQuery[UUID | None] = None,
    cursor: Cursor = None,
    limit: Limit = paging.DEFAULT_LIMIT,
) -> Page[InvoiceRow]:
    """Billing History, newest first. `unpaid` is all that is open. Clients see their own alone."""
    rows = await store_reads.list_invoices(
        tx,
        caller.clinic,
        client_id=_own(caller) or client_id,
        status=status,
        after=_after_row(cursor),
        limit=limit + 1,
    )
    return paging.page(rows, limit, lambda last: (last.issued_on, last.id))


@get("/invoices/{invoice_id:uuid}")
async def get_invoice(invoice_id: FromPath[UUID], caller: Who, tx: Tx) -> InvoiceOut:
    """An invoice with its lines, taxes and movements; another client's is not found."""
    invoice = await store_reads.get_invoice(tx, caller.clinic, invoice_id, client_id=_own(caller))
    if invoice is None:
        raise InvoiceNotFound("the clinic has no invoice with this id")
    return invoice


@get("/summary", guards=[client])
async def get_summary(caller: Who, tx: Tx) -> Summary:
    """What the client owes, which invoice to pay first, and which was paid last."""
    return await store_reads.get_summary(tx, caller.clinic, caller.subject)


def _own(caller: Caller) -> UUID | None:
    """The client to whom the caller's view is limited."""
    return caller.subject if caller.role == "client" else None


def _after_row(cursor: str | None) -> tuple[date, UUID] | None:
    if cursor is None:
        return None
    issued_on, invoice_id = paging.parts(cursor, date.fromisoformat, UUID)
    return issued_on, invoice_id


ALL: list[Any] = [
    put_clinic,
    create_clinic,
    change_clinic,
    get_clinic,
    list_clinics,
    create_client,
    change_client,
    get_client,
    list_clients,
    issue_invoice,
    issue_invoices,
    list_invoices,
    get_invoice,
    get_summary,
]
