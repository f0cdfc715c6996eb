"""The one table of reasons why a payment was not made or a card not saved, as pages, e-mails and the API use it."""

from dataclasses import replace

import pytest

from contracts.declines import (
    DECLINES,
    NOTHING_TAKEN,
    OFF_CARD,
    TROUBLE,
    UNKNOWN_OUTCOME,
    UNKNOWN_SAVING,
    decline,
    not_saved,
)
from contracts.events.envelope import Method
from contracts.http.common import PaidWith
from contracts.http.payments import PaymentFailure
from services.gateway.portal import stripe_form
from services.gateway.portal.payments import views
from services.payment.payments import schemas
from tests.builders.portal import a_payment
from tests.unit.test_payment_lifecycle import a_payment as a_kept_payment

UNKNOWN = "a_code_of_tomorrow"


@pytest.mark.parametrize("method", [None, "card", "paypal"])
@pytest.mark.parametrize("code", [*DECLINES, *OFF_CARD, None, UNKNOWN])
def test_a_decline_has_a_reason_and_an_advice_in_sentences_without_its_code(
    code: str | None, method: str | None
) -> None:
    found = decline(code, method)

    assert all(text.endswith(".") and "_" not in text for text in (found.reason, found.advice))


@pytest.mark.parametrize(
    "code", ["lost_card", "stolen_card", "pickup_card", "fraudulent", "generic_decline", "do_not_honor"]
)
def test_a_thief_reads_what_everybody_reads(code: str) -> None:
    assert decline(code) == decline("card_declined") == decline(None)
    assert code not in not_saved()


@pytest.mark.parametrize("method", ["paypal", "ideal", "bancontact", "sepa_debit"])
def test_a_way_to_pay_that_is_no_card_is_not_told_about_cards(method: str) -> None:
    said = [
        str(decline(code, method)) for code in (*OFF_CARD, None, UNKNOWN, "payment_method_customer_decline")
    ]

    assert [words for words in said if "card" in words.lower() or "your bank" in words.lower()] == []


@pytest.mark.parametrize("method", ["paypal", "ideal", "bancontact"])
def test_a_cancel_on_the_page_of_a_payment_system_is_called_a_cancel(method: str) -> None:
    assert "cancelled" in decline("payment_intent_authentication_failure", method).reason
    assert "confirm that it was you" in decline("payment_intent_authentication_failure", "card").reason


def test_who_saves_a_card_is_told_about_no_payment() -> None:
    assert "" in not_saved()
    assert set(not_saved()) >= {"setup_intent_authentication_failure", "incorrect_cvc", "expired_card"}
    assert [str(words) for words in not_saved().values() if "pay" in str(words).lower()] == []


def test_the_words_for_the_pages_script_are_whole_and_say_once_what_is_certain() -> None:
    pay, save = stripe_form.paying(), stripe_form.saving()
    plain = ("logged_out", "unreachable", "refused", "too_many")
    certain = [
        *pay["codes"].values(),
        *pay["off_card"].values(),
        *pay["types"].values(),
        *map(pay.get, plain),
    ]
    of_cards = [*save["codes"].values(), *save["types"].values(), *map(save.get, plain), save["unknown"]]

    assert [words for words in certain if words.count(NOTHING_TAKEN) != 1 or "{" in words] == []
    assert NOTHING_TAKEN not in pay["unknown"]
    assert [words for words in of_cards if NOTHING_TAKEN in words or "{" in words] == []


def test_what_is_of_the_card_alone_is_marked_and_serves_both() -> None:
    both = {code for code, words in DECLINES.items() if words.of_card}

    assert both and both <= set(not_saved())
    assert {code for code, words in not_saved().items() if words == DECLINES.get(code)} == both


def test_only_what_proves_that_nothing_was_done_says_so() -> None:
    assert not set(TROUBLE) & {"api_error", "api_connection_error", "idempotency_error"}
    assert all("do not know yet" in words.reason for words in (UNKNOWN_OUTCOME, UNKNOWN_SAVING))


@pytest.mark.parametrize(
    ("code", "method"),
    [
        ("payment_intent_authentication_failure", "card"),
        ("payment_intent_authentication_failure", "paypal"),
        ("insufficient_funds", "card"),
        ("insufficient_funds", "sepa_debit"),
        (UNKNOWN, "card"),
        (UNKNOWN, "ideal"),
    ],
)
def test_page_and_api_give_the_same_reason(code: str, method: str) -> None:
    kept = replace(a_kept_payment(500), status="failed", failure_code=code, method=Method(kind=method))
    failure = schemas.payment_out(kept).failure
    assert failure is not None
    page = views.why_not_paid(
        a_payment("failed", failure=PaymentFailure(code=code, message=""), method=PaidWith(kind=method))
    )

    assert page.startswith(failure.message)
    assert failure.message == decline(code, method).reason
