"""Bodies of the public API about invoices, with the limits that it promises."""

from datetime import UTC, date, datetime
from typing import Annotated

import msgspec
from litestar.params import QueryParameter
from msgspec import UNSET, UnsetType

from contracts.http.common import Currency
from contracts.http.invoices import InvoiceIn, InvoicesIn, LineIn
from services.chassis.http.faults import parameter_fault
from services.gateway.api.schemas import Decimals, ShortText
from services.gateway.web.bodies import FieldsInvalid

Note = Annotated[str, msgspec.Meta(max_length=2000)]


UpdatedSince = Annotated[
    datetime | None,
    QueryParameter(
        description="A time with its offset from UTC: `2026-11-23T08:00:00Z`; `+` is written `%2B`."
    ),
]


def since_of(updated_since: datetime, status: str | None) -> datetime:
    """The time to list changes from. Raises `FieldsInvalid`."""
    faults = []
    if not _is_moment(updated_since):
        faults.append(parameter_fault("query", "updated_since", "Expected a time with its offset from UTC"))
    if status is not None:
        faults.append(parameter_fault("query", "status", "Not together with `updated_since`"))
    if faults:
        raise FieldsInvalid(faults)
    return updated_since


def _is_moment(time: datetime) -> bool:
    """Whether the time has an offset, and is a year from 1 to 9999 in UTC too, as PostgreSQL wants it."""
    try:
        return time.tzinfo is not None and bool(time.astimezone(UTC))
    except OverflowError:
        return False


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
