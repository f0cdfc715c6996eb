"""Money taken outside Stripe, credit that is used, and counts of cash: bodies of the payment service."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta

from contracts.http.common import LARGEST_AMOUNT, Answer, Currency, Money, Request
from contracts.vocabulary import OutsideKind

Minor = Annotated[int, Meta(ge=1, le=LARGEST_AMOUNT)]


class PartIn(Request, frozen=True, kw_only=True):
    """The part of a sum that is for one invoice, in minor units."""

    invoice_id: UUID
    amount: Minor


class RecordIn(Request, frozen=True, kw_only=True):
    """Money that the clinic took from a client: cash, by its card terminal, by bank transfer, or from an insurer.

    `invoices` divides it; left out, the invoices that are due first are paid first. A rest becomes the client's
    credit. Write no card number into `reference`. `on_behalf_of` names the person who took it.
    """

    client_id: UUID
    kind: OutsideKind
    amount: Minor
    currency: Currency
    invoices: Annotated[list[PartIn], Meta(min_length=1, max_length=100)] | None = None
    received_at: Annotated[datetime, Meta(tz=True)] | None = None
    location: str = ""
    reference: str = ""
    on_behalf_of: str = ""


class ReverseIn(Request, frozen=True, kw_only=True):
    """Take a recorded payment back, such as a transfer that the bank returned."""

    reason: str


class UseCreditIn(Request, frozen=True, kw_only=True):
    """Pay invoices with the client's credit. `invoices` left out: those due first, until the credit is used."""

    client_id: UUID
    currency: Currency
    invoices: Annotated[list[PartIn], Meta(min_length=1, max_length=100)] | None = None


class ClosingIn(Request, frozen=True, kw_only=True):
    """A count of the cash of one location, in minor units."""

    counted: Annotated[int, Meta(ge=0, le=LARGEST_AMOUNT)]
    currency: Currency
    location: str = ""
    note: str = ""


class ClosingOut(Answer, frozen=True, kw_only=True):
    """A count of cash. `expected` is the cash taken since the last count, less what was taken back."""

    id: UUID
    location: str
    expected: Money
    counted: Money
    difference: Money
    note: str
    closed_at: datetime
