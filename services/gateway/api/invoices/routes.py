"""Invoices over the public API: issue, list, read."""

from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from contracts.http.common import Page
from contracts.http.invoices import InvoiceItem, InvoiceOut, InvoicesOut
from contracts.vocabulary import InvoiceStatus
from services.gateway.api.invoices.offers import as_account_can
from services.gateway.api.invoices.schemas import NewInvoice, NewInvoices, UpdatedSince, since_of
from services.gateway.api.keys.dependencies import CurrentKey, at_clinic
from services.gateway.api.schemas import Cursor, ExternalId, IdempotencyKey, Limit
from services.gateway.upstream.services import InjectedUpstreams
from services.gateway.web.files import PDF, UNCHANGED, XML, Known, passed_on, with_heads


@post("/clinics/{clinic_id:uuid}/invoices", summary="Issue an invoice")
async def create_invoice(
    clinic_id: FromPath[UUID],
    data: JSONBody[NewInvoice],
    key: CurrentKey,
    idempotency_key: IdempotencyKey,
    upstreams: InjectedUpstreams,
) -> InvoiceOut:
    """Numbered, and sent to the client by e-mail. 422 `idempotency_key_reused` for a key with another body."""
    caller = at_clinic(key, clinic_id)
    issued = await upstreams.issue_invoice(caller, data, idempotency_key)
    return (await as_account_can(upstreams, caller, [issued]))[0]


@post("/clinics/{clinic_id:uuid}/invoices/bulk", summary="Issue a set of invoices")
async def create_invoices(
    clinic_id: FromPath[UUID],
    data: JSONBody[NewInvoices],
    key: CurrentKey,
    idempotency_key: IdempotencyKey,
    upstreams: InjectedUpstreams,
) -> InvoicesOut:
    """At most 100, all or none, numbered in their order. 422 `invoices_refused` has an entry in `errors` for each that
    cannot be issued: its `position` in the request from 0, `code`, `detail`, and often `field`.
    """
    caller = at_clinic(key, clinic_id)
    issued = await upstreams.issue_invoices(caller, data, idempotency_key)
    return InvoicesOut(invoices=await as_account_can(upstreams, caller, issued.invoices))


@get("/clinics/{clinic_id:uuid}/invoices", summary="List invoices")
async def list_invoices(
    clinic_id: FromPath[UUID],
    key: CurrentKey,
    upstreams: InjectedUpstreams,
    status: FromQuery[InvoiceStatus | None] = None,
    client_id: FromQuery[UUID | None] = None,
    updated_since: UpdatedSince = None,
    external_id: ExternalId = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> Page[InvoiceItem]:
    """Newest first. With `updated_since` those whose `updated_at` is that time or later, the oldest change first.

    With `external_id` the one that has it, whatever else is asked. `updated_since` goes with no `status`: an invoice
    that left a status would be missing.
    """
    caller = at_clinic(key, clinic_id)
    await upstreams.clinic(caller)
    if external_id is not None:
        page = await upstreams.invoices_by_external_id(caller, external_id)
    elif updated_since is not None:
        since = since_of(updated_since, status)
        page = await upstreams.changed_invoices(caller, since, cursor, limit, client_id)
    else:
        page = await upstreams.invoices(caller, status, cursor, limit, client_id)
    return Page(items=await as_account_can(upstreams, caller, page.items), next=page.next)


@get("/clinics/{clinic_id:uuid}/invoices/{invoice_id:uuid}", summary="Get an invoice")
async def get_invoice(
    clinic_id: FromPath[UUID], invoice_id: FromPath[UUID], key: CurrentKey, upstreams: InjectedUpstreams
) -> InvoiceOut:
    """One invoice with its lines and the money that moved."""
    caller = at_clinic(key, clinic_id)
    return (await as_account_can(upstreams, caller, [await upstreams.invoice(caller, invoice_id)]))[0]


@get(
    "/clinics/{clinic_id:uuid}/invoices/{invoice_id:uuid}/pdf",
    summary="Get an invoice as PDF",
    media_type=PDF,
    responses=UNCHANGED,
)
async def get_invoice_pdf(
    clinic_id: FromPath[UUID],
    invoice_id: FromPath[UUID],
    key: CurrentKey,
    upstreams: InjectedUpstreams,
    if_none_match: Known = None,
) -> Response[bytes]:
    """The invoice as it was issued, tagged (PDF/UA-1) and to be kept for long (PDF/A-2a). It shows no payments.

    An e-invoice holds the XML (Factur-X, profile EN 16931) and is PDF/A-3a.

    `ETag` changes only with the bytes: send it as `If-None-Match`, and the answer is 304 while they are the same. A
    character that no font of ours has is shown as U+FFFD. 503 `pdf_unavailable` when too many are asked for at once.
    """
    return passed_on(await upstreams.invoice_pdf(at_clinic(key, clinic_id), invoice_id, if_none_match))


@get(
    "/clinics/{clinic_id:uuid}/invoices/{invoice_id:uuid}/receipt",
    summary="Get the receipt of an invoice as PDF",
    media_type=PDF,
    responses=UNCHANGED,
)
async def get_receipt_pdf(
    clinic_id: FromPath[UUID],
    invoice_id: FromPath[UUID],
    key: CurrentKey,
    upstreams: InjectedUpstreams,
    if_none_match: Known = None,
) -> Response[bytes]:
    """All payments of the invoice so far with day, method and reference, and what was refunded.

    The file stays the same until money moves or the invoice is corrected. 409 `nothing_paid` before the first payment.
    """
    return passed_on(await upstreams.receipt_pdf(at_clinic(key, clinic_id), invoice_id, if_none_match))


@get(
    "/clinics/{clinic_id:uuid}/invoices/{invoice_id:uuid}/credit-notes/{document_id:uuid}/pdf",
    summary="Get a credit note as PDF",
    media_type=PDF,
    responses=UNCHANGED,
)
async def get_credit_note_pdf(
    clinic_id: FromPath[UUID],
    invoice_id: FromPath[UUID],
    document_id: FromPath[UUID],
    key: CurrentKey,
    upstreams: InjectedUpstreams,
    if_none_match: Known = None,
) -> Response[bytes]:
    """The credit note as it was issued; its id is in the invoice's `documents`."""
    caller = at_clinic(key, clinic_id)
    return passed_on(await upstreams.credit_note_pdf(caller, invoice_id, document_id, if_none_match))


@get(
    "/clinics/{clinic_id:uuid}/invoices/{invoice_id:uuid}/xml",
    summary="Get an invoice as an e-invoice",
    media_type=XML,
    responses=UNCHANGED,
)
async def get_invoice_xml(
    clinic_id: FromPath[UUID],
    invoice_id: FromPath[UUID],
    key: CurrentKey,
    upstreams: InjectedUpstreams,
    if_none_match: Known = None,
) -> Response[bytes]:
    """The invoice as it was issued, as XML by EN 16931 (UN/CEFACT CII), the one that its PDF holds.

    409 `no_e_invoice`: `missing` says why, as the invoice's `e_invoice` does.
    """
    found = await upstreams.invoice_xml(at_clinic(key, clinic_id), invoice_id, if_none_match)
    return passed_on(found, XML)


@get(
    "/clinics/{clinic_id:uuid}/invoices/{invoice_id:uuid}/credit-notes/{document_id:uuid}/xml",
    summary="Get a credit note as an e-invoice",
    media_type=XML,
    responses=UNCHANGED,
)
async def get_credit_note_xml(
    clinic_id: FromPath[UUID],
    invoice_id: FromPath[UUID],
    document_id: FromPath[UUID],
    key: CurrentKey,
    upstreams: InjectedUpstreams,
    if_none_match: Known = None,
) -> Response[bytes]:
    """The credit note as XML by EN 16931, in the same way."""
    caller = at_clinic(key, clinic_id)
    return passed_on(await upstreams.credit_note_xml(caller, invoice_id, document_id, if_none_match), XML)


invoice_routes = [
    create_invoice,
    create_invoices,
    list_invoices,
    get_invoice,
    *with_heads(get_invoice_pdf, get_receipt_pdf, get_credit_note_pdf, get_invoice_xml, get_credit_note_xml),
]
