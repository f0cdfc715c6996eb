"""Dashboard, Billing History, an invoice and its details."""

import asyncio
from uuid import UUID

from litestar import get
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect, Template

from services.gateway.portal.credit import current as current_credit
from services.gateway.portal.credit import views as credit
from services.gateway.portal.invoices import current, lists
from services.gateway.portal.invoices import views as invoices
from services.gateway.portal.page import CurrentPage
from services.gateway.upstream.services import InjectedUpstreams

PAGE_SIZE = 20


@get("/")
async def dashboard(page: CurrentPage, upstreams: InjectedUpstreams) -> Template:
    """The sums due and the next step; how to reach the clinic when it does not show bills."""
    summary = None
    if page.clinic.billing_shown:
        summary = invoices.summary(await current.get_summary(page, upstreams), page.clinic)
    return page.render("dashboard.html", "dashboard", summary=summary)


@get("/billing")
async def billing_history(
    billing: CurrentPage,
    upstreams: InjectedUpstreams,
    status: FromQuery[str] = "",
    cursor: FromQuery[str | None] = None,
) -> Template:
    """Every invoice, newest first, and the client's credit. `status` is `unpaid` or `paid`; anything else means all."""
    chosen = status if status in lists.FILTERS else ""
    found, kept = await asyncio.gather(
        current.list_invoices(billing, upstreams, chosen or None, cursor, PAGE_SIZE),
        _nothing() if chosen or cursor else current_credit.get_credit(billing, upstreams),
    )
    here = billing.path("billing")
    return billing.render(
        "billing.html",
        "payments",
        rows=[invoices.row(row, billing.clinic) for row in found.items],
        filter=chosen,
        here=lists.kept(lists.query(chosen, cursor)),
        credit=credit.credit(kept, billing.clinic) if kept else None,
        older=lists.address(here, lists.query(chosen, found.next)) if found.next else None,
        newer=lists.address(here, lists.query(chosen, None)) if cursor else None,
    )


@get("/invoices/{invoice_id:uuid}")
async def invoice(
    invoice_id: FromPath[UUID], billing: CurrentPage, upstreams: InjectedUpstreams, list: FromQuery[str] = ""
) -> Template:
    """The total amount due, and its parts. `list` is the query of the list that led here."""
    found = await current.get_invoice(billing, upstreams, invoice_id)
    query = lists.read(list)
    return billing.render(
        "invoice.html",
        "payments",
        invoice=invoices.invoice(found, billing.clinic),
        credit_pays=await current_credit.pays_alone(billing, upstreams, found),
        here=lists.kept(query),
        listed=lists.address(billing.path("billing"), query),
    )


@get("/invoices/{invoice_id:uuid}/details")
async def details(
    invoice_id: FromPath[UUID], billing: CurrentPage, upstreams: InjectedUpstreams, list: FromQuery[str] = ""
) -> Template:
    """Services, employee, taxes, appointment, and the way to the payment page."""
    found = await current.get_invoice(billing, upstreams, invoice_id)
    by_card = "card" in invoices.ways(found, billing.clinic)
    return billing.render(
        "details.html",
        "payments",
        invoice=invoices.invoice(found, billing.clinic),
        pay_label="Pay with Card" if by_card else "Pay online",
        credit_pays=await current_credit.pays_alone(billing, upstreams, found),
        here=lists.kept_list(list),
    )


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


billing_routes = [dashboard, billing_history, invoice, details, credit_notes]
