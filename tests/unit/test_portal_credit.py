"""Credit and refunds in the portal's words."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from contracts.http.common import Money, PaidWith
from contracts.http.credit import CreditOut, RefundOut
from contracts.http.payments import ShareOut
from services.chassis.ids import new_id
from services.chassis.locale.formats import Formats
from services.gateway.portal.credit.views import credit, surplus_words
from tests.builders.portal import NOON, a_clinic, a_payment, eur

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


def test_a_refund_of_an_invoice_says_where_the_money_is() -> None:
    share = ShareOut(invoice_id=new_id(), amount=eur(2_500))

    assert words(a_refund("failed", invoices=[share])) == [
        "€25.00 could not be sent back to your Visa ending 4242 on 23 November 2026. The clinic knows."
    ]
    assert words(a_refund("succeeded", invoices=[share], to="credit")) == [
        "€25.00 of what you paid became your credit on 22 November 2026."
    ]
    assert words(a_refund("awaiting_approval")) == [
        "The clinic is preparing a refund of €25.00 to your Visa ending 4242."
    ]
    assert words(a_refund("requires_action")) == [
        "€25.00 waits for you: an e-mail asks you where it should be sent."
    ]


def test_what_went_back_of_invoices_is_not_taken_off_a_surplus() -> None:
    share = ShareOut(invoice_id=new_id(), amount=eur(2_000))
    sent = a_refund("succeeded", payment_id=A_PAYMENT.id, invoices=[share])

    said = surplus_words(A_PAYMENT, a_credit([sent], [eur(9_000)]), "Quay", Formats.of(a_clinic()))

    assert (
        said
        == "You paid €45.00 more than you owed. €5.00 was sent back to you. Quay keeps €40.00 as your credit."
    )


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


A_PAYMENT = a_payment("succeeded", surplus=eur(4_500))


@pytest.mark.parametrize(
    ("refunds", "said"),
    [
        ([], "You paid €45.00 more than you owed. Quay keeps it as your credit."),
        ([("succeeded", 4_500)], "You paid €45.00 more than you owed. It was sent back to you."),
        ([("pending", 4_500)], "You paid €45.00 more than you owed. It is on its way back to you."),
        ([("failed", 4_500)], "You paid €45.00 more than you owed. Quay keeps it as your credit."),
        (
            [("succeeded", 2_000), ("created", 500), ("canceled", 2_500)],
            "You paid €45.00 more than you owed. €20.00 was sent back to you. €5.00 is on its way back to you. "
            "Quay keeps €20.00 as your credit.",
        ),
    ],
)
def test_the_receipt_says_where_a_surplus_is_now(refunds: list[tuple[str, int]], said: str) -> None:
    of_it = [a_refund(status, payment_id=A_PAYMENT.id, amount=eur(minor)) for status, minor in refunds]
    others = [a_refund("succeeded")]
    write = Formats.of(a_clinic())

    assert surplus_words(A_PAYMENT, a_credit([*of_it, *others], [eur(4_500)]), "Quay", write) == said
    assert surplus_words(A_PAYMENT, None, "Quay", write) == "You paid €45.00 more than you owed."
    assert surplus_words(a_payment("succeeded"), a_credit(), "Quay", write) == ""


def test_credit_that_was_used_is_not_said_to_be_kept() -> None:
    write = Formats.of(a_clinic())

    assert surplus_words(A_PAYMENT, a_credit(), "Quay", write).endswith("owed. It is no longer your credit.")
    assert surplus_words(A_PAYMENT, a_credit(balances=[eur(1_000)]), "Quay", write).endswith(
        "Quay keeps €10.00 as your credit. €35.00 is no longer your credit."
    )
    reserved = replace(a_credit(), reserved=[eur(4_500)])
    assert surplus_words(A_PAYMENT, reserved, "Quay", write).endswith("Quay keeps it as your credit.")


def test_a_refund_on_its_way_is_not_headed_as_if_it_had_arrived() -> None:
    coming, sent = (
        credit(a_credit([a_refund("pending")]), a_clinic()),
        credit(a_credit([a_refund("succeeded")]), a_clinic()),
    )
    assert coming is not None and sent is not None
    assert (coming.heading, sent.heading) == ("Your refund", "Refunded")
