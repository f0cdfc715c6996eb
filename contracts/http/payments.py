"""Payments: bodies of the payment service."""

from datetime import datetime
from typing import Annotated, TypeAlias, cast
from uuid import UUID

from msgspec import Meta

from contracts.http.common import Answer, Money, PaidWith, Request
from contracts.vocabulary import PaymentKind, PaymentStatus


class ShareIn(Request, frozen=True, kw_only=True):
    """The amount that the client agreed to pay on one invoice."""

    invoice_id: UUID
    amount: Money


class PayByCard(Request, frozen=True, kw_only=True, tag="card", tag_field="kind"):
    """A card that is entered in the page's form."""


class PayBySaved(Request, frozen=True, kw_only=True, tag="saved", tag_field="kind"):
    """One of the client's saved payment methods."""

    payment_method_id: UUID


class PayByRedirect(Request, frozen=True, kw_only=True, tag="redirect", tag_field="kind"):
    """An online payment system that the client is sent to."""


PayBy: TypeAlias = PayByCard | PayBySaved | PayByRedirect


def kind_of(method: PayBy) -> PaymentKind:
    """How the client chose to pay: the tag of the body."""
    return cast(PaymentKind, method.__struct_config__.tag)


class PaymentIn(Request, frozen=True, kw_only=True):
    """A payment to start, over one or more invoices."""

    invoices: Annotated[list[ShareIn], Meta(min_length=1, max_length=50)]
    method: PayBy
    save: bool = False


class PaymentStart(Answer, frozen=True, kw_only=True):
    """The values with which a page confirms a payment. `saved_method` is Stripe's id of the method to confirm with."""

    payment_id: UUID
    status: PaymentStatus
    client_secret: str | None
    stripe_account: str | None
    saved_method: str | None


class PaymentFailure(Answer, frozen=True, kw_only=True):
    """Why the last attempt failed: Stripe's code, and a sentence for the client."""

    code: str
    message: str


class ShareOut(Answer, frozen=True, kw_only=True):
    """A payment's part for one invoice: the settled amount once the payment succeeded, before that the agreed one."""

    invoice_id: UUID
    amount: Money


class OnItsWay(Answer, frozen=True, kw_only=True):
    """An invoice for which money is or may be on its way.

    `processing`: a payment of it is confirmed and not booked yet. `open` is what is still to be paid by the payment
    service's count; where that is less than the invoice says, the invoice service has not booked a payment yet.
    """

    invoice_id: UUID
    open: Money | None
    processing: bool


class PaymentOut(Answer, frozen=True, kw_only=True):
    """A payment. `version` counts its state events, so that a page knows which of two answers is newer.

    `asked`: nothing more can have happened at Stripe. `taken`: Stripe has the money, and it is not booked yet.
    """

    id: UUID
    status: PaymentStatus
    amount: Money
    method: PaidWith | None
    failure: PaymentFailure | None
    created_at: datetime
    succeeded_at: datetime | None
    invoices: list[ShareOut]
    surplus: Money | None
    version: int
    asked: bool = False
    taken: bool = False
