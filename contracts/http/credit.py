"""A client's credit, and refunds: bodies of the payment service."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, field

from contracts.http.common import LARGEST_AMOUNT, Answer, Currency, Money, PaidWith, Request
from contracts.http.payments import ShareOut
from contracts.vocabulary import RefundDestination, RefundPlace, RefundStatus

_Minor = Annotated[int, Meta(ge=1, le=LARGEST_AMOUNT)]


class RefundShareIn(Request, frozen=True, kw_only=True):
    """The part of a refund that is of one invoice. `amount` in minor units of the payment's currency."""

    invoice_id: UUID
    amount: _Minor


class RefundIn(Request, frozen=True, kw_only=True):
    """Money to give back: a client's credit, or a payment.

    With `client_id` and `currency`: credit to the payments that left it; `payment_id` takes it from that payment alone.
    With `payment_id` and neither of the two: that payment, also what settled invoices. `invoices` says how much of
    which; left out, its surplus goes first, then the newest invoice. `to` `credit` makes it the client's credit.
    `amount` (minor units) left out is all that can be refunded. `on_behalf_of` says for whom the caller acts.
    """

    client_id: UUID | None = None
    currency: Currency | None = None
    payment_id: UUID | None = None
    amount: _Minor | None = None
    invoices: Annotated[list[RefundShareIn], Meta(min_length=1, max_length=50)] | None = None
    to: RefundDestination = "method"
    on_behalf_of: Annotated[str, Meta(min_length=1, max_length=200)] | None = None


class ApprovalIn(Request, frozen=True, kw_only=True):
    """Whether a refund that waits may begin. Without approval it is canceled."""

    approved: bool


class RefundRulesBody(Request, frozen=True, kw_only=True):
    """A clinic's rules of refunds; null is no limit. Sums are minor units of the refund's currency.

    `most_a_day` and `most_amount_a_day` are of one login or API key in 24 hours. A refund above `approve_above` waits
    until another one approves. `refund_application_fee` gives the platform's fee back in part, where there is one.
    """

    most_a_day: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    most_amount_a_day: Annotated[int, Meta(ge=0, le=LARGEST_AMOUNT)] | None = None
    approve_above: Annotated[int, Meta(ge=0, le=LARGEST_AMOUNT)] | None = None
    refund_application_fee: bool = False


class RefundOut(Answer, frozen=True, kw_only=True):
    """A refund. `awaiting_approval` waits for another login or key, and `held` can be undone.

    `created` and `pending` are on their way, `requires_action` needs the client, `succeeded` was sent. The money of
    `failed` and `canceled` is what it was before. One that succeeded may still fail, days later, when the bank returns
    it. `invoices` is what went back of which invoice; the rest of the amount was credit. `made_at` is `stripe` for one
    that was made in Stripe's dashboard. `created_at` is when it could begin: of one that waited, when it was approved.
    """

    id: UUID
    client_id: UUID
    payment_id: UUID
    status: RefundStatus
    amount: Money
    method: PaidWith | None
    failure_reason: str | None
    created_at: datetime
    updated_at: datetime
    refunded_at: datetime | None
    to: RefundDestination = "method"
    made_at: RefundPlace = "clinicpay"
    invoices: list[ShareOut] = field(default_factory=list)


class RefundsOut(Answer, frozen=True, kw_only=True):
    """One refund for each payment that money goes back to."""

    refunds: list[RefundOut]


class SurplusOut(Answer, frozen=True, kw_only=True):
    """A payment that left credit, and how much of it can still go back to where it came from."""

    payment_id: UUID
    refundable: Money
    method: PaidWith | None


class CreditOut(Answer, frozen=True, kw_only=True):
    """A client's credit by currency, how much of it can be refunded to which payment, and its refunds, newest first.

    `reserved` is credit that payments on their way are to use: it is no longer in `balances`.
    """

    balances: list[Money]
    refundable: list[Money]
    payments: list[SurplusOut]
    refunds: list[RefundOut]
    reserved: list[Money] = field(default_factory=list)
