"""A client's credit and its refunds, as the payment service takes and shows them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from contracts.vocabulary import RefundStatus
from services.gateway.shapes.common import MethodRef, Money, Question


class RefundIn(Question, kw_only=True):
    """Credit to send back to the payments that left it.

    `payment_id` takes it from that payment alone; `amount` (minor units) left out is all that can be refunded.
    """

    client_id: UUID
    currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$(?!\n)")]
    payment_id: UUID | None = None
    amount: Annotated[int, msgspec.Meta(ge=1, le=10**15)] | None = None


class Refund(msgspec.Struct, kw_only=True):
    """`created` and `pending` are on their way, `succeeded` was sent; `failed` and `canceled` are credit again.

    One that succeeded may still fail, days later, when the bank returns it.
    """

    id: UUID
    client_id: UUID
    payment_id: UUID
    status: RefundStatus
    amount: Money
    created_at: datetime
    updated_at: datetime
    method: MethodRef | None = None
    failure_reason: str | None = None
    refunded_at: datetime | None = None


class Refunds(msgspec.Struct):
    """One for each payment that credit goes back to."""

    refunds: list[Refund]


class Surplus(msgspec.Struct, kw_only=True):
    """A payment that left credit, and how much of it can still go back to where it came from."""

    payment_id: UUID
    refundable: Money
    method: MethodRef | None = None


class ClientCredit(msgspec.Struct, kw_only=True):
    """What the clinic owes a client by currency, how much of it can be refunded to what, and refunds, newest first."""

    balances: list[Money] = []
    refundable: list[Money] = []
    payments: list[Surplus] = []
    refunds: list[Refund] = []
