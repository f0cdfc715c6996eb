"""Bodies of the public API about invoices, with the limits that it promises."""

from datetime import date
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from contracts.http.common import Currency
from contracts.http.invoices import InvoiceIn, InvoicesIn, LineIn
from services.gateway.api.schemas import Decimals, ShortText

Note = Annotated[str, msgspec.Meta(max_length=2000)]


class NewLine(LineIn, frozen=True, kw_only=True):
    """`unit_price` is without tax. `quantity` is a decimal text above 0 with up to three places."""

    service: ShortText
    practitioner: str
    quantity: Decimals = "1"


class NewInvoice(InvoiceIn, frozen=True, kw_only=True):
    """An invoice to issue. Without `currency` the clinic's, without `issued_on` today at the clinic."""

    lines: Annotated[list[NewLine], msgspec.Meta(min_length=1, max_length=200)]
    currency: Currency | UnsetType = UNSET
    issued_on: date | UnsetType = UNSET
    note: Note | UnsetType = UNSET


class NewInvoices(InvoicesIn, frozen=True, kw_only=True):
    """Invoices to issue together: all of them or none."""

    invoices: Annotated[list[NewInvoice], msgspec.Meta(min_length=1, max_length=100)]
