"""Between the bodies in `contracts.http.credit` and the domain's values."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from contracts import money
from contracts.http.common import Money
from contracts.http.credit import CreditOut, RefundIn, RefundOut, RefundRulesBody, RefundsOut, SurplusOut
from contracts.http.payments import ShareOut
from services.payment.payments.schemas import paid_with
from services.payment.refunds import domain as decide
from services.payment.refunds.actions import Credit
from services.payment.refunds.domain import Refund, RefundRequest, Surplus
from services.payment.refunds.planning import PaymentRefundRequest, UnclearRefund
from services.payment.refunds.rules import RefundRules
from services.payment.words import words


def refund_request(body: RefundIn) -> RefundRequest | PaymentRefundRequest:
    """Raises `UnclearRefund` for a body that asks for neither kind of refund, or for both; and what `words` raises."""
    on_behalf_of = (
        None if body.on_behalf_of is None else words(body.on_behalf_of, "on_behalf_of", 200, least=1)
    )
    if body.client_id is None and body.currency is None and body.payment_id is not None:
        return PaymentRefundRequest(body.payment_id, body.amount, _split(body), body.to, on_behalf_of)
    if body.client_id is None or body.currency is None:
        raise UnclearRefund(
            "Name client_id and currency to refund credit, or payment_id alone for a payment."
        )
    if body.invoices is not None or body.to != "method":
        raise UnclearRefund("A client's credit has no invoices, and goes to where it came from.")
    return RefundRequest(body.client_id, body.currency, body.payment_id, body.amount, on_behalf_of)


def _split(body: RefundIn) -> dict[UUID, int] | None:
    if body.invoices is None:
        return None
    split = {share.invoice_id: share.amount for share in body.invoices}
    if len(split) < len(body.invoices):
        raise UnclearRefund("An invoice is named twice.")
    return split


def refund_out(refund: Refund) -> RefundOut:
    return RefundOut(
        id=refund.id,
        client_id=refund.client_id,
        payment_id=refund.payment_id,
        status=refund.status,
        amount=Money(refund.amount, refund.currency),
        method=paid_with(refund.method),
        failure_reason=refund.failure_reason,
        created_at=refund.asked_at or refund.created_at,
        updated_at=refund.updated_at,
        refunded_at=refund.refunded_at,
        to=refund.destination,
        made_at=refund.made_at,
        invoices=[
            ShareOut(invoice_id=share.receivable_id, amount=Money(share.amount, refund.currency))
            for share in refund.shares
        ],
    )


def rules(body: RefundRulesBody) -> RefundRules:
    return RefundRules(**msgspec.structs.asdict(body))


def rules_out(rules: RefundRules) -> RefundRulesBody:
    return RefundRulesBody(
        most_a_day=rules.most_a_day,
        most_amount_a_day=rules.most_amount_a_day,
        approve_above=rules.approve_above,
        refund_application_fee=rules.refund_application_fee,
    )


def refunds_out(refunds: Sequence[Refund]) -> RefundsOut:
    return RefundsOut(refunds=[refund_out(refund) for refund in refunds])


def credit_out(credit: Credit) -> CreditOut:
    def of_payment(each: Surplus) -> Money:
        """The rest of its surplus, at most the credit that the client has left."""
        currency = each.left.currency
        return Money(decide.refundable([each], credit.balances)[currency], currency)

    return CreditOut(
        balances=_amounts(credit.balances),
        reserved=_amounts(credit.reserved),
        refundable=_amounts(credit.refundable),
        payments=[
            SurplusOut(
                payment_id=each.payment_id,
                refundable=of_payment(each),
                method=paid_with(each.method),
            )
            for each in credit.surpluses
        ],
        refunds=[refund_out(refund) for refund in credit.refunds],
    )


def _amounts(amounts: Sequence[money.Money]) -> list[Money]:
    return [Money(each.minor, each.currency) for each in amounts]
