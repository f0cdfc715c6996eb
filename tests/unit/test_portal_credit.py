"""Credit and refunds in the portal's words."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from contracts.http.common import Money, PaidWith
from contracts.http.credit import CreditOut, RefundOut
from services.chassis.ids import new_id
from services.gateway.portal.credit.views import credit
from tests.builders.portal import NOON, a_clinic, eur

VISA = PaidWith(kind="card", brand="visa", last4="4242")


def a_refund(status: Any, **changes: Any) -> RefundOut:
    facts: dict[str, Any] = {
        "id": new_id(),
        "client_id": new_id(),
        "payment_id": new_id(),
        "status": status,
        "amount": eur(2_500),
        "created_at": NOON,
        "updated_at": NOON,
        "method": VISA,
        "failure_reason": None,
        "refunded_at": NOON - timedelta(days=1) if status == "succeeded" else None,
    }
    return RefundOut(**facts | changes)


def a_credit(refunds: Sequence[RefundOut] = (), balances: Sequence[Money] = ()) -> CreditOut:
    return CreditOut(balances=list(balances), refundable=[], payments=[], refunds=list(refunds))


def words(*refunds: RefundOut, balances: Sequence[Money] = ()) -> list[str]:
    shown = credit(a_credit(refunds, balances), a_clinic())
    return [refund.words for refund in shown.refunds] if shown else []


def test_each_state_is_a_sentence_that_says_where_the_money_is() -> None:
    assert words(a_refund("created"), a_refund("pending"), a_refund("succeeded")) == [
        "€25.00 is on its way back to your Visa ending 4242.",
        "€25.00 is on its way back to your Visa ending 4242.",
        "€25.00 was sent back to your Visa ending 4242 on 22 November 2026. Banks take up to ten days to show it.",
    ]


def test_what_came_back_is_told_while_it_is_credit() -> None:
    failed = a_refund("failed")

    assert words(failed, balances=[eur(2_500)]) == [
        "€25.00 could not be sent back to your Visa ending 4242 on 23 November 2026. It is your credit again."
    ]
    assert words(failed) == []


def test_another_way_to_pay_is_named_as_it_is_called() -> None:
    assert words(a_refund("pending", method=PaidWith(kind="paypal"))) == [
        "€25.00 is on its way back to PayPal."
    ]
    assert words(a_refund("pending", method=None)) == ["€25.00 is on its way back to where you paid from."]


def test_without_credit_and_refunds_there_is_nothing_to_show() -> None:
    assert credit(a_credit(), a_clinic()) is None


def test_credit_is_named_in_each_currency() -> None:
    shown = credit(a_credit(balances=[eur(2_500)]), a_clinic())

    assert shown is not None
    assert (shown.amount, shown.refunds) == ("€25.00", [])
