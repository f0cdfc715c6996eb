"""Between the bodies in `contracts.http.credit` and the domain's values."""

from collections.abc import Sequence

from contracts import money
from contracts.http.common import Money
from contracts.http.credit import CreditOut, RefundIn, RefundOut, RefundsOut, SurplusOut
from services.payment.payments.schemas import paid_with
from services.payment.refunds.actions import Credit
from services.payment.refunds.domain import Refund, RefundRequest


def refund_request(body: RefundIn) -> RefundRequest:
    return RefundRequest(body.client_id, body.currency, body.payment_id, body.amount)


def refund_out(refund: Refund) -> RefundOut:
    return RefundOut(
        id=refund.id,
        client_id=refund.client_id,
        payment_id=refund.payment_id,
        status=refund.status,
        amount=Money(refund.amount, refund.currency),
        method=paid_with(refund.method),
        failure_reason=refund.failure_reason,
        created_at=refund.created_at,
        updated_at=refund.updated_at,
        refunded_at=refund.refunded_at,
    )


def refunds_out(refunds: Sequence[Refund]) -> RefundsOut:
    return RefundsOut(refunds=[refund_out(refund) for refund in refunds])


def credit_out(credit: Credit) -> CreditOut:
    return CreditOut(
        balances=_amounts(credit.balances),
        refundable=_amounts(credit.refundable),
        payments=[
            SurplusOut(
                payment_id=each.payment_id,
                refundable=Money(each.left.minor, each.left.currency),
                method=paid_with(each.method),
            )
            for each in credit.surpluses
        ],
        refunds=[refund_out(refund) for refund in credit.refunds],
    )


def _amounts(amounts: Sequence[money.Money]) -> list[Money]:
    return [Money(each.minor, each.currency) for each in amounts]
