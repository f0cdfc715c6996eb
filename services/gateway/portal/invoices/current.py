"""A client's invoices as they are now, for every page alike: with what payment knows and invoice does not yet.

Stripe's webhook may be late, and events take their time. Such an invoice is "On its way" and offers no Pay.
"""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import TypeVar
from uuid import UUID

import msgspec

from contracts.http.common import Money, Page
from contracts.http.invoices import InvoiceItem, InvoiceOut, Summary
from contracts.http.payments import OnItsWay
from contracts.vocabulary import is_payable
from services.gateway.portal.invoices.lists import Listing
from services.gateway.portal.page import PortalPage
from services.gateway.upstream.calls import UpstreamError
from services.gateway.upstream.services import PAYMENT_SECONDS, Upstreams

Known = Mapping[UUID, OnItsWay]
T = TypeVar("T")
InvoiceT = TypeVar("InvoiceT", bound=InvoiceItem)

MOST_UNPAID = 100
MOST_PAGES = 10


async def get_invoice(page: PortalPage, upstreams: Upstreams, invoice_id: UUID) -> InvoiceOut:
    found, known = await _with_known(upstreams.invoice(page.caller, invoice_id), page, upstreams)
    return now(found, known)


async def as_known(invoice: InvoiceT, page: PortalPage, upstreams: Upstreams) -> InvoiceT:
    """The same for an invoice that was read already."""
    return now(invoice, await _known(page, upstreams))


async def list_invoices(
    page: PortalPage, upstreams: Upstreams, wanted: Listing, limit: int
) -> Page[InvoiceItem]:
    """A page of the list. `wanted` has no error."""
    since, until = wanted.days
    listed = upstreams.invoices(
        page.caller,
        wanted.status or None,
        wanted.cursor or None,
        limit,
        issued_from=since,
        issued_to=until,
        location=wanted.location or None,
        search=wanted.search or None,
    )
    found, known = await _with_known(listed, page, upstreams)
    return msgspec.structs.replace(found, items=[now(each, known) for each in found.items])


async def list_all(
    page: PortalPage, upstreams: Upstreams, wanted: Listing, most: int
) -> list[InvoiceItem] | None:
    """All invoices of the list, newest first; None when there are more than `most`, a number of whole hundreds."""
    found, cursor = list[InvoiceItem](), ""
    while len(found) < most:
        listed = await list_invoices(page, upstreams, wanted.at(cursor), MOST_UNPAID)
        found, cursor = [*found, *listed.items], listed.next or ""
        if not cursor:
            return found
    return None


async def list_unpaid(page: PortalPage, upstreams: Upstreams) -> list[InvoiceItem]:
    """All that the client may have to pay, the first due first."""
    found, known = await _with_known(unpaid(page, upstreams), page, upstreams)
    return sorted((now(each, known) for each in found), key=lambda each: (each.due_on, each.id))


async def unpaid(page: PortalPage, upstreams: Upstreams) -> list[InvoiceItem]:
    """The unpaid invoices as the invoice service has them, newest first; the oldest of very many are left out."""
    found, cursor = list[InvoiceItem](), None
    for _ in range(MOST_PAGES):
        listed = await upstreams.invoices(page.caller, "unpaid", cursor, MOST_UNPAID)
        found, cursor = [*found, *listed.items], listed.next
        if cursor is None:
            break
    return found


async def get_summary(page: PortalPage, upstreams: Upstreams) -> Summary:
    found, known = await _with_known(upstreams.summary(page.caller), page, upstreams)
    if not known or not found.unpaid_count:
        return found
    listed = await upstreams.invoices(page.caller, "unpaid", None, MOST_UNPAID)
    return without(found, listed.items, known)


def now(invoice: InvoiceT, known: Known) -> InvoiceT:
    """The invoice, on its way if payment has taken money for it that is not booked yet, or a bank is working on it."""
    found = known.get(invoice.id)
    if found is None or not is_payable(invoice.status):
        return invoice
    taken = found.open is not None and found.open.minor < invoice.due.minor
    if not found.processing and not taken:
        return invoice
    return msgspec.structs.replace(invoice, status="processing", methods=())


def without(summary: Summary, unpaid: Sequence[InvoiceItem], known: Known) -> Summary:
    """The summary without the invoices on their way, which count neither as due nor as unpaid."""
    moved = [each for each in unpaid if now(each, known) is not each and not each.being_checked]
    due = {amount.currency: amount.minor for amount in summary.due}
    for each in moved:
        due[each.currency] = due.get(each.currency, 0) - each.due.minor
    ids = {each.id for each in moved}
    left = [
        each for each in unpaid if is_payable(each.status) and not each.being_checked and each.id not in ids
    ]
    first = min(left, key=lambda each: (each.due_on, each.id), default=None)
    return msgspec.structs.replace(
        summary,
        due=[Money(minor, currency) for currency, minor in due.items() if minor > 0],
        unpaid_count=summary.unpaid_count - len(moved),
        overdue_count=summary.overdue_count - sum(each.overdue for each in moved),
        next=first if summary.next is None or summary.next.id in ids else summary.next,
    )


async def _with_known(asked: Awaitable[T], page: PortalPage, upstreams: Upstreams) -> tuple[T, Known]:
    return await asyncio.gather(asked, _known(page, upstreams))


async def _known(page: PortalPage, upstreams: Upstreams) -> Known:
    try:
        async with asyncio.timeout(PAYMENT_SECONDS):
            return {each.invoice_id: each for each in await upstreams.on_its_way(page.caller)}
    except (UpstreamError, TimeoutError):
        return {}
