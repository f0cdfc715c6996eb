"""What goes in and out over HTTP about credit and its refunds."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta

from contracts import money
from contracts.vocabulary import RefundStatus
from services.payment.payments.schemas import Answer, MethodOut, Money, Question
from services.payment.refunds.actions import Credit
from services.payment.refunds.domain import Refund, RefundWish, Surplus


class RefundIn(Question, frozen=True, kw_only=True):
    """Credit to send back: in a currency, or what one payment left. `amount` left out is all that can go back."""

    client_id: UUID
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$(?!\n)")]
    payment_id: UUID | None = None
    amount: Annotated[int, Meta(ge=1, le=money.LARGEST_MINOR)] | None = None

    def wish(self) -> RefundWish:
        return RefundWish(self.client_id, self.currency, self.payment_id, self.amount)


class RefundOut(Answer, frozen=True, kw_only=True):
    """A refund. `created` and `pending` are on their way; `failed` and `canceled` are the client's credit again."""

    id: UUID
    client_id: UUID
    payment_id: UUID
    status: RefundStatus
    amount: Money
    method: MethodOut | None
    failure_reason: str | None
    created_at: datetime
    updated_at: datetime
    refunded_at: datetime | None

    @classmethod
    def of(cls, refund: Refund) -> "RefundOut":
        return cls(
            id=refund.id,
            client_id=refund.client_id,
            payment_id=refund.payment_id,
            status=refund.status,
            amount=Money(refund.amount, refund.currency),
            method=_method_of(refund),
            failure_reason=refund.failure_reason,
            created_at=refund.created_at,
            updated_at=refund.updated_at,
            refunded_at=refund.refunded_at,
        )


class RefundsOut(Answer, frozen=True, kw_only=True):
    """One refund for each payment that credit goes back to."""

    refunds: list[RefundOut]

    @classmethod
    def of(cls, refunds: list[Refund]) -> "RefundsOut":
        return cls(refunds=[RefundOut.of(refund) for refund in refunds])


class SurplusOut(Answer, frozen=True, kw_only=True):
    """A payment that left credit, and how much of it can still go back to where it came from."""

    payment_id: UUID
    refundable: Money
    method: MethodOut | None


class CreditOut(Answer, frozen=True, kw_only=True):
    """A client's credit by currency, what of it can be refunded to which payment, and its refunds, newest first."""

    balances: list[Money]
    refundable: list[Money]
    payments: list[SurplusOut]
    refunds: list[RefundOut]

    @classmethod
    def of(cls, credit: Credit) -> "CreditOut":
        return cls(
            balances=[Money(each.minor, each.currency) for each in credit.balances],
            refundable=[Money(each.minor, each.currency) for each in credit.refundable],
            payments=[
                SurplusOut(
                    payment_id=each.payment_id,
                    refundable=Money(each.left.minor, each.left.currency),
                    method=_method_of(each),
                )
                for each in credit.surpluses
            ],
            refunds=[RefundOut.of(refund) for refund in credit.refunds],
        )


def _method_of(of: Refund | Surplus) -> MethodOut | None:
    method = of.method
    return MethodOut(kind=method.kind, brand=method.brand, last4=method.last4) if method else None
