"""The vocabulary: each set is made of its type's words, and a way to pay has a name that anybody can read."""

from typing import Any, get_args

import pytest

from contracts import vocabulary as words
from contracts.vocabulary import is_open, is_payable, method_name

UNKNOWN = "a_word_of_tomorrow"


@pytest.mark.parametrize(
    ("status", "parts"),
    [
        (words.InvoiceStatus, (words.OPEN_INVOICES, words.CLOSED_INVOICES)),
        (words.PaymentStatus, (words.LIVE_PAYMENTS, ("succeeded", "canceled"))),
        (words.RefundStatus, (words.RESERVED_REFUNDS, ("succeeded",), words.RETURNED_REFUNDS)),
        (words.DeliveryState, (words.UNSENT_DELIVERIES, words.PUBLISHED_DELIVERIES, ("dropped",))),
    ],
    ids=["invoice", "payment", "refund", "delivery"],
)
def test_the_sets_of_a_status_hold_each_of_its_words_once(
    status: Any, parts: tuple[tuple[str, ...], ...]
) -> None:
    assert sorted(word for part in parts for word in part) == sorted(get_args(status))


def test_only_an_open_invoice_is_payable_and_an_unknown_status_is_open_but_not_payable() -> None:
    assert [status for status in get_args(words.InvoiceStatus) if is_payable(status)] == [
        "unpaid",
        "part_paid",
    ]
    assert all(is_open(status) for status in words.PAYABLE_INVOICES)
    assert (is_open(UNKNOWN), is_payable(UNKNOWN)) == (True, False)


def test_a_way_to_pay_is_named_by_its_brand_else_its_kind_and_an_unknown_code_is_readable() -> None:
    assert method_name("card", "visa", "4242") == "Visa ending 4242"
    assert method_name("card", None, "4242") == "Card ending 4242"
    assert method_name("card", "cartes_bancaires") == "Cartes Bancaires"
    assert method_name("sepa_debit", None, "3000") == "Bank debit ending 3000"
    assert method_name(UNKNOWN) == "A word of tomorrow"
