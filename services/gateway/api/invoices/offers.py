"""Only ways to pay that the clinic's Stripe account can charge."""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from contracts.http.invoices import InvoiceItem
from services.chassis.http.auth import Caller
from services.gateway.upstream.services import Upstreams

InvoiceT = TypeVar("InvoiceT", bound=InvoiceItem)


async def as_account_can(
    upstreams: Upstreams, caller: Caller, invoices: Sequence[InvoiceT]
) -> list[InvoiceT]:
    """The invoices with the ways to pay that the account can charge; with all while payment is unreachable."""
    account = await upstreams.account_if_known(caller)
    if account is None:
        return list(invoices)
    return [
        msgspec.structs.replace(
            invoice, methods=tuple(way for way in invoice.methods if account.takes(way, invoice.currency))
        )
        for invoice in invoices
    ]
