"""Bodies of the public API about invoices, with the limits that it promises."""

from datetime import UTC, date, datetime
from typing import Annotated

import msgspec
from litestar.params import QueryParameter
from msgspec import UNSET, UnsetType

from contracts.http.common import Currency
from contracts.http.documents import CorrectionIn
from contracts.http.invoices import DiscountIn, InvoiceIn, InvoicesIn, LineIn, PayLinkOut
from services.chassis.http.faults import parameter_fault
from services.gateway.api.schemas import Decimals, GivenId, ShortText
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


Quantity = Annotated[str, msgspec.Meta(pattern=r"^-?[0-9]{1,9}(\.[0-9]{1,6})?$")]
TaxCodes = Annotated[list[str], msgspec.Meta(min_length=1, max_length=2)]


class NewDiscount(DiscountIn, frozen=True, kw_only=True):
    """Takes an `amount` off, or a `percent` ("0" to "100"): one of both. `reason` is shown on the document."""

    percent: Decimals | UnsetType = UNSET


class NewLine(LineIn, frozen=True, kw_only=True):
    """`unit_price` is from 0, with or without tax as `prices` of the invoice says.

    `quantity` is a decimal text with up to three places; a negative one takes off. A line has `tax_code`, or
    `tax_codes` with the codes of two taxes on the same amount, such as GST and PST.
    """

    service: ShortText
    practitioner: str
    quantity: Quantity = "1"
    tax_codes: TaxCodes | UnsetType = UNSET
    discount: NewDiscount | UnsetType = UNSET


class NewInvoice(InvoiceIn, frozen=True, kw_only=True):
    """An invoice to issue. Without `currency` or `prices` the clinic's, without `issued_on` today at the clinic.

    `discount` takes off the sum of the lines, in proportion: each tax is less by its part. A total of zero is paid.
    `insurer_reference` and `location` are shown on it. `external_id` is another program's id, unique at the clinic.
    """

    lines: Annotated[list[NewLine], msgspec.Meta(min_length=1, max_length=500)]
    currency: Currency | UnsetType = UNSET
    issued_on: date | UnsetType = UNSET
    note: Note | UnsetType = UNSET
    discount: NewDiscount | UnsetType = UNSET
    insurer_reference: Annotated[str, msgspec.Meta(max_length=100)] | UnsetType = UNSET
    location: Annotated[str, msgspec.Meta(max_length=200)] | UnsetType = UNSET
    external_id: GivenId | UnsetType = UNSET


class NewInvoices(InvoicesIn, frozen=True, kw_only=True):
    """Invoices to issue together: all of them or none."""

    invoices: Annotated[list[NewInvoice], msgspec.Meta(min_length=1, max_length=100)]


class PayLinkAnswer(PayLinkOut, frozen=True, kw_only=True):
    """A pay link, made now. `generation` is the one of the links that work; `expires_on` is its last day (UTC)."""

    url: str
    expires_on: date


class Replacement(CorrectionIn, frozen=True, kw_only=True):
    """Credit all that is left of an invoice, and issue `invoice` in its place."""

    invoice: NewInvoice
