"""The client's credit as payment has it now, for pages that are shown without it too."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from contracts.http.common import Money
from contracts.http.credit import CreditOut
from contracts.http.invoices import InvoiceItem
from services.gateway.portal.credit import uses
from services.gateway.portal.page import PortalPage
from services.gateway.upstream.calls import UpstreamError
from services.gateway.upstream.services import Upstreams

T = TypeVar("T")

CREDIT_SECONDS = 1.0


async def get_credit(page: PortalPage, upstreams: Upstreams) -> CreditOut | None:
    """The client's credit; None when payment does not answer soon."""
    return await _soon(upstreams.client_credit(page.caller, page.caller.subject))


async def get_usable(page: PortalPage, upstreams: Upstreams) -> list[Money]:
    """The credit that the client can pay with; none when payment does not answer soon."""
    return await _soon(upstreams.credit(page.caller)) or []


async def pays_alone(page: PortalPage, upstreams: Upstreams, invoice: InvoiceItem) -> bool:
    """Whether the client's credit pays all of this invoice, whose amount cannot be charged."""
    asked = page.clinic.online_payment and not invoice.being_checked and uses.is_only_way(invoice.due)
    return asked and uses.pays_alone(invoice.due, 1, await get_usable(page, upstreams))


async def _soon(answer: Awaitable[T]) -> T | None:
    try:
        async with asyncio.timeout(CREDIT_SECONDS):
            return await answer
    except (UpstreamError, TimeoutError):
        return None
