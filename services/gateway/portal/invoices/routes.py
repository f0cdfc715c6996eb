"""Dashboard, Billing History, an invoice and its details."""

import asyncio
from typing import Any
from uuid import UUID

from litestar import Request, Response, get
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect, Template

from contracts.http.common import Page
from contracts.http.invoices import InvoiceItem
from services.gateway.portal.credit import current as current_credit
from services.gateway.portal.credit import views as credit
from services.gateway.portal.invoices import current, export, lists
from services.gateway.portal.invoices import views as invoices
from services.gateway.portal.invoices.lists import Listing
from services.gateway.portal.page import CurrentPage, PortalPage
from services.gateway.upstream.calls import UpstreamError
from services.gateway.upstream.services import InjectedUpstreams, Upstreams
from services.gateway.web.files import MOST_ZIPPED, PDF, XML, Known, passed_on, with_heads, zipped

PAGE_SIZE = 20
MOST_ROWS = 5000
"""Invoices in one table."""
_FILES = (
    ("save-statement", "Save a statement (PDF)", "statement"),
    ("save-invoices", "Save these invoices (PDFs in a ZIP)", "billing.zip"),
    ("save-list", "Save this list as a table (CSV)", "billing.csv"),
)
"""The files of a list: the id of each on the page, its words, and its address."""
_FILTERS = (("", "All"), ("unpaid", "Unpaid"), ("paid", "Paid"))


@get("/")
async def dashboard(page: CurrentPage, upstreams: InjectedUpstreams) -> Template:
    """The sums due, the next step and the client's credit; how to reach the clinic when it does not show bills."""
    if not page.clinic.billing_shown:
        return page.render("dashboard.html", "dashboard", summary=None)
    found, held = await asyncio.gather(
        current.get_summary(page, upstreams), current_credit.get_usable(page, upstreams)
    )
    summary = invoices.summary(found, page.clinic, held)
    return page.render("dashboard.html", "dashboard", summary=summary)


@get("/billing")
async def billing_history(
    request: Request[Any, Any, Any], billing: CurrentPage, upstreams: InjectedUpstreams
) -> Template:
    """The invoices that the client asks for, newest first, and its credit. Every invoice without a filter.

    The address has the filter and the page, as `Listing` reads them.
    """
    return await _billing(billing, upstreams, Listing.of(request.query_params))


async def _billing(
    billing: PortalPage, upstreams: Upstreams, wanted: Listing, refused: str = "", status: int = 200
) -> Template:
    """The page. `refused` says why a file of the list was not made."""
    found, kept = await asyncio.gather(
        _listed(billing, upstreams, wanted),
        _nothing() if wanted.query else current_credit.get_credit(billing, upstreams),
    )
    # Up to hundreds of invoices are read for it, which helps nobody who has few of them.
    is_long = bool(wanted.narrowed or found.next or found.previous)
    places = await upstreams.invoice_locations(billing.caller) if is_long else []
    here = billing.path("billing")
    return billing.render(
        "billing.html",
        "payments",
        status,
        refused=refused,
        rows=[invoices.row(row, billing.clinic) for row in found.items],
        wanted=wanted,
        filters=[(word, value, wanted.of_status(value).address(here)) for value, word in _FILTERS],
        places=places,
        here=lists.kept(wanted),
        credit=credit.credit(kept, billing.clinic) if kept else None,
        older=wanted.at(found.next).address(here) if found.next else None,
        newer=wanted.at(found.previous).address(here) if found.previous else None,
        files=[
            (name, words, wanted.at("").address(billing.path(path)))
            for name, words, path in _FILES
            if found.items
        ],
    )


async def _listed(page: PortalPage, upstreams: Upstreams, wanted: Listing) -> Page[InvoiceItem]:
    if wanted.error:
        return Page(items=[])
    return await current.list_invoices(page, upstreams, wanted, PAGE_SIZE)


@get("/billing.csv")
async def save_list(
    request: Request[Any, Any, Any], billing: CurrentPage, upstreams: InjectedUpstreams
) -> Response[str] | Template | Redirect:
    """The same invoices as a table for spreadsheets; a page that says why there is none."""
    wanted = Listing.of(request.query_params)
    if wanted.error:
        return _mend(billing, wanted)
    found = await current.list_all(billing, upstreams, wanted, MOST_ROWS)
    if found is None:
        return await _too_many(billing, upstreams, wanted, MOST_ROWS)
    headers = {"Content-Disposition": f'attachment; filename="{billing.clinic.slug}-invoices.csv"'}
    return Response(export.table(found, billing.clinic), media_type="text/csv", headers=headers)


@get("/billing.zip")
async def save_invoices(
    request: Request[Any, Any, Any], billing: CurrentPage, upstreams: InjectedUpstreams
) -> Response[bytes] | Template | Redirect:
    """The same invoices as PDFs in one file; a page that says why there is none."""
    wanted = Listing.of(request.query_params)
    if wanted.error:
        return _mend(billing, wanted)
    found = await current.list_all(billing, upstreams, wanted, MOST_ZIPPED)
    if found is None:
        return await _too_many(billing, upstreams, wanted, MOST_ZIPPED)
    if not found:  # an empty file says nothing; the page says that no invoice is in these days
        return Redirect(f"{request.url.path.removesuffix('.zip')}?{request.url.query}")
    return await zipped(upstreams, billing.caller, found, f"{billing.clinic.slug}-invoices")


async def _too_many(billing: PortalPage, upstreams: Upstreams, wanted: Listing, most: int) -> Template:
    refused = f"One file holds at most {most:,} invoices. Choose fewer days."
    return await _billing(billing, upstreams, wanted, refused, 422)


def _mend(billing: PortalPage, wanted: Listing) -> Redirect:
    """To the list, which says what is wrong with the filter."""
    return Redirect(wanted.address(billing.path("billing")), status_code=303)


@get("/statement")
async def statement_pdf(
    request: Request[Any, Any, Any],
    billing: CurrentPage,
    upstreams: InjectedUpstreams,
    if_none_match: Known = None,
) -> Response[bytes] | Template | Redirect:
    """The invoices and payments of the filter's days, this year without them; a page that says why there is none."""
    wanted = Listing.of(request.query_params)
    if wanted.error:
        return _mend(billing, wanted)
    since, until = wanted.days
    try:
        reply = await upstreams.statement(billing.caller, billing.caller.subject, since, until, if_none_match)
    except UpstreamError as error:
        if error.status != 422:
            raise
        return await _billing(billing, upstreams, wanted, error.detail, 422)
    return passed_on(reply)


@get("/invoices/{invoice_id:uuid}")
async def invoice(
    invoice_id: FromPath[UUID], billing: CurrentPage, upstreams: InjectedUpstreams, list: FromQuery[str] = ""
) -> Template:
    """The total amount due, its parts, services, employee, taxes, appointment, and the way to the payment page.

    `list` is the query of the list that led here.
    """
    found = await current.get_invoice(billing, upstreams, invoice_id)
    query = lists.read(list)
    by_card = "card" in invoices.ways(found, billing.clinic)
    return billing.render(
        "invoice.html",
        "payments",
        invoice=invoices.invoice(found, billing.clinic),
        pay_label="Pay with Card" if by_card else "Pay online",
        credit_pays=await current_credit.pays_alone(billing, upstreams, found),
        here=lists.kept(query),
        listed=query.address(billing.path("billing")),
    )


@get("/invoices/{invoice_id:uuid}/pdf", media_type=PDF)
async def invoice_pdf(
    invoice_id: FromPath[UUID],
    billing: CurrentPage,
    upstreams: InjectedUpstreams,
    if_none_match: Known = None,
) -> Response[bytes]:
    """The invoice as it was issued, to save or to send to an insurer."""
    return passed_on(await upstreams.invoice_pdf(billing.caller, invoice_id, if_none_match))


@get("/invoices/{invoice_id:uuid}/receipt", media_type=PDF)
async def receipt_pdf(
    invoice_id: FromPath[UUID],
    billing: CurrentPage,
    upstreams: InjectedUpstreams,
    if_none_match: Known = None,
) -> Response[bytes]:
    """The payments of the invoice so far, and the money that went back."""
    return passed_on(await upstreams.receipt_pdf(billing.caller, invoice_id, if_none_match))


@get("/invoices/{invoice_id:uuid}/credit-notes/{document_id:uuid}/pdf", media_type=PDF)
async def credit_note_pdf(
    invoice_id: FromPath[UUID],
    document_id: FromPath[UUID],
    billing: CurrentPage,
    upstreams: InjectedUpstreams,
    if_none_match: Known = None,
) -> Response[bytes]:
    """A credit note as it was issued."""
    return passed_on(await upstreams.credit_note_pdf(billing.caller, invoice_id, document_id, if_none_match))


@get("/invoices/{invoice_id:uuid}/xml", media_type=XML)
async def invoice_xml(
    invoice_id: FromPath[UUID],
    billing: CurrentPage,
    upstreams: InjectedUpstreams,
    if_none_match: Known = None,
) -> Response[bytes]:
    """The invoice as an e-invoice, for the client's or an insurer's programs."""
    return passed_on(await upstreams.invoice_xml(billing.caller, invoice_id, if_none_match), XML)


@get("/invoices/{invoice_id:uuid}/credit-notes/{document_id:uuid}/xml", media_type=XML)
async def credit_note_xml(
    invoice_id: FromPath[UUID],
    document_id: FromPath[UUID],
    billing: CurrentPage,
    upstreams: InjectedUpstreams,
    if_none_match: Known = None,
) -> Response[bytes]:
    """A credit note as an e-invoice."""
    reply = await upstreams.credit_note_xml(billing.caller, invoice_id, document_id, if_none_match)
    return passed_on(reply, XML)


@get("/invoices/{invoice_id:uuid}/details")
async def details(
    invoice_id: FromPath[UUID], billing: CurrentPage, upstreams: InjectedUpstreams, list: FromQuery[str] = ""
) -> Redirect:
    """Invoice Details had a page of its own, to which bookmarks may lead."""
    await current.get_invoice(billing, upstreams, invoice_id)
    page = billing.path(f"invoices/{invoice_id}") + lists.kept_list(list)
    return Redirect(f"{page}#details", status_code=303)


@get("/invoices/{invoice_id:uuid}/credit-notes")
async def credit_notes(
    invoice_id: FromPath[UUID], billing: CurrentPage, upstreams: InjectedUpstreams, list: FromQuery[str] = ""
) -> Template | Redirect:
    """The invoice's credit notes, each on a printed page of its own."""
    found = await current.get_invoice(billing, upstreams, invoice_id)
    shown = invoices.invoice(found, billing.clinic)
    query = lists.kept_list(list)
    if not shown.credit_notes:
        return Redirect(shown.row.href + query, status_code=303)
    return billing.render("credit_notes.html", "payments", invoice=shown, here=query)


async def _nothing() -> None:
    return None


billing_routes = [
    dashboard,
    billing_history,
    invoice,
    *with_heads(save_list, save_invoices, statement_pdf),
    *with_heads(invoice_pdf, receipt_pdf, credit_note_pdf, invoice_xml, credit_note_xml),
    details,
    credit_notes,
]
