"""A client's credit and its refunds: bodies of the payment service."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta

from contracts.http.common import LARGEST_AMOUNT, Answer, Currency, Money, PaidWith, Request
from contracts.vocabulary import RefundStatus


class RefundIn(Request, frozen=True, kw_only=True):
    """Credit to send back to the payments that left it.

    `payment_id` takes it from that payment alone; `amount` (minor units) left out is all that can be refunded.
    """

    client_id: UUID
    currency: Currency
    payment_id: UUID | None = None
    amount: Annotated[int, Meta(ge=1, le=LARGEST_AMOUNT)] | None = None


class RefundOut(Answer, frozen=True, kw_only=True):
    """`created` and `pending` are on their way, `succeeded` was sent; `failed` and `canceled` are credit again.

    One that succeeded may still fail, days later, when the bank returns it.
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


class RefundsOut(Answer, frozen=True, kw_only=True):
    """One refund for each payment that credit goes back to."""

    refunds: list[RefundOut]


class SurplusOut(Answer, frozen=True, kw_only=True):
    """A payment that left credit, and how much of it can still go back to where it came from."""

    payment_id: UUID
    refundable: Money
    method: PaidWith | None


class CreditOut(Answer, frozen=True, kw_only=True):
    """A client's credit by currency, how much of it can be refunded to which payment, and its refunds, newest first."""

    balances: list[Money]
    refundable: list[Money]
    payments: list[SurplusOut]
    refunds: list[RefundOut]
