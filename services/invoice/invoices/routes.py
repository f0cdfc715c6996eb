"""Invoices over HTTP. The internal token names the caller: role, clinic, and for clients their id."""

from datetime import UTC, date, datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter, RawBody

from contracts.http.common import Page
from contracts.http.invoices import (
    LONGEST_SEARCH,
    InvoiceIn,
    InvoiceOut,
    InvoiceRow,
    InvoicesIn,
    InvoicesOut,
    PayLinkOut,
    Summary,
)
from services.chassis.db.database import Connection
from services.chassis.http.auth import Caller, client, staff
from services.invoice import paging
from services.invoice.invoices import actions, issuing, pay_links, reads
from services.invoice.invoices.domain import ClientNeeded
from services.invoice.invoices.reads import StatusFilter, Wanted
from services.invoice.invoices.schemas import draft_of

Search = Annotated[str, QueryParameter(max_length=LONGEST_SEARCH)]
IdempotencyKey = Annotated[str | None, HeaderParameter(name="Idempotency-Key", required=False)]


@post("/invoices", guards=[staff])
async def issue_invoice(
    data: JSONBody[InvoiceIn],
    body: RawBody,
    caller: NamedDependency[Caller],
    tx: NamedDependency[Connection],
    idempotency_key: IdempotencyKey = None,
) -> Response[InvoiceOut]:
    """Issue an invoice. The same `Idempotency-Key` with the same body answers as the first time."""
    invoice = await issuing.issue_invoice(tx, caller, draft_of(data), key=idempotency_key, body=body)
    return Response(invoice, status_code=201, headers={"Location": f"/invoices/{invoice.id}"})


@post("/invoices/bulk", guards=[staff])
async def issue_invoices(
    data: JSONBody[InvoicesIn],
    body: RawBody,
    caller: NamedDependency[Caller],
    tx: NamedDependency[Connection],
    idempotency_key: IdempotencyKey = None,
) -> InvoicesOut:
    """Issue up to 100 invoices, all or none, under one `Idempotency-Key`; 422 `invoices_refused` names the bad ones."""
    drafts = [draft_of(each) for each in data.invoices]
    return await issuing.issue_invoices(tx, caller, drafts, key=idempotency_key, body=body)


@get("/invoices")
async def list_invoices(
    caller: NamedDependency[Caller],
    tx: NamedDependency[Connection],
    status: FromQuery[StatusFilter] = "all",
    client_id: FromQuery[UUID | None] = None,
    external_id: FromQuery[str | None] = None,
    issued_from: FromQuery[date | None] = None,
    issued_to: FromQuery[date | None] = None,
    location: FromQuery[str] = "",
    search: Search = "",
    cursor: paging.Cursor = None,
    limit: paging.Limit = paging.DEFAULT_LIMIT,
) -> Page[InvoiceRow]:
    """Billing History, newest first. `unpaid` is all that is open. Clients see their own alone.

    The number, the location, a service, an employee or a place of the invoice has each word of `search`. It
    and `location` are for one client's invoices. With `external_id`, which staff give, the one invoice that has it.
    """
    if external_id is not None and caller.role != "client":
        return Page(items=await reads.get_by_external_id(tx, caller.clinic, external_id))
    wanted = Wanted(
        client_id=actions.own(caller) or client_id,
        status=status,
        issued_from=issued_from,
        issued_to=issued_to,
        location=location,
        words=tuple(search.split()),
    )
    if wanted.client_id is None and (wanted.location or wanted.words):
        raise ClientNeeded("Give the client whose invoices are searched.", field="client_id")
    at = paging.place(cursor, date.fromisoformat, UUID)
    rows = await reads.list_invoices(tx, caller.clinic, wanted, at, limit + 1)
    return paging.page_of_two_ways(rows, limit, at, lambda row: (row.issued_on, row.id))


@get("/invoices/locations", guards=[client])
async def list_locations(caller: NamedDependency[Caller], tx: NamedDependency[Connection]) -> list[str]:
    """The places that stand on the client's invoices, by name."""
    return await reads.list_locations(tx, caller.clinic, caller.subject)


EARLIEST = datetime.min.replace(tzinfo=UTC)


@get("/invoices/changed")
async def list_changed_invoices(
    caller: NamedDependency[Caller],
    tx: NamedDependency[Connection],
    since: FromQuery[datetime] = EARLIEST,
    client_id: FromQuery[UUID | None] = None,
    cursor: paging.Cursor = None,
    limit: paging.Limit = paging.DEFAULT_LIMIT,
) -> Page[InvoiceRow]:
    """Invoices that changed since then, in the order of their last change. Clients see their own alone."""
    rows = await reads.list_changed(
        tx,
        caller.clinic,
        client_id=actions.own(caller) or client_id,
        since=since,
        after=_after_change(cursor),
        limit=limit + 1,
    )
    return paging.page(rows, limit, _change_of)


@get("/invoices/{invoice_id:uuid}")
async def get_invoice(
    invoice_id: FromPath[UUID], caller: NamedDependency[Caller], tx: NamedDependency[Connection]
) -> InvoiceOut:
    """An invoice with its lines, taxes and movements; another client's is not found."""
    return await actions.get_invoice(tx, caller, invoice_id)


@get("/invoices/{invoice_id:uuid}/pay-link", guards=[staff])
async def get_pay_link(
    invoice_id: FromPath[UUID], caller: NamedDependency[Caller], tx: NamedDependency[Connection]
) -> PayLinkOut:
    """The generation of the pay links that work now. The audit log keeps that it was asked for."""
    return await pay_links.show_pay_link(tx, caller, invoice_id)


@post("/invoices/{invoice_id:uuid}/pay-link/revoke", guards=[staff], status_code=200)
async def revoke_pay_links(
    invoice_id: FromPath[UUID],
    body: RawBody,
    caller: NamedDependency[Caller],
    tx: NamedDependency[Connection],
    idempotency_key: IdempotencyKey = None,
) -> PayLinkOut:
    """End all pay links of the invoice that were made so far; the same `Idempotency-Key` ends them once."""
    return await pay_links.revoke_pay_links(tx, caller, invoice_id, key=idempotency_key, body=body)


@get("/summary", guards=[client])
async def get_summary(caller: NamedDependency[Caller], tx: NamedDependency[Connection]) -> Summary:
    """The amounts that the client owes, the invoice to pay first, and the one that was paid last."""
    return await reads.get_summary(tx, caller.clinic, caller.subject)


def _change_of(row: InvoiceRow) -> tuple[str, UUID]:
    assert row.updated_at is not None, "the database has it"
    return row.updated_at.isoformat(), row.id


def _after_change(cursor: str | None) -> tuple[datetime, UUID] | None:
    if cursor is None:
        return None
    changed_at, invoice_id = paging.parts(cursor, paging.moment, UUID)
    return changed_at, invoice_id


ALL: list[Any] = [
    issue_invoice,
    issue_invoices,
    list_invoices,
    list_locations,
    list_changed_invoices,
    get_invoice,
    get_pay_link,
    revoke_pay_links,
    get_summary,
]
