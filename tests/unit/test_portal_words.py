"""Texts of the portal: money and dates in the clinic's format, one word a state, plain reasons."""

from datetime import UTC, date, datetime

import pytest

from contracts.declines import DECLINES
from contracts.http.common import Money, PaidWith
from contracts.http.methods import SavedMethodOut
from contracts.http.payments import PaymentFailure
from services.chassis.locale.formats import Formats
from services.gateway.portal import statuses, stripe_form
from services.gateway.portal.methods import views as methods
from services.gateway.portal.payments import views as payments
from services.gateway.web.templating import environment
from tests.builders.portal import a_clinic, a_payment, a_row, an_invoice


@pytest.mark.parametrize(
    ("minor", "currency", "locale", "written"),
    [
        (12_500, "EUR", "en-IE", "€125.00"),
        (-12_500, "EUR", "en-IE", "−€125.00"),
        (1_234_567, "EUR", "de-DE", "12.345,67 €"),
        (12_500, "USD", "en-IE", "US$125.00"),
        (12_500, "JPY", "ja-JP", "￥12,500"),
        (1_250, "KWD", "en-IE", "KWD 1.250"),
        (12_500, "EUR", "xx-YY", "€125.00"),
    ],
)
def test_money_has_its_currencys_decimals_and_its_locales_form(
    minor: int, currency: str, locale: str, written: str
) -> None:
    write = Formats.of(a_clinic(locale=locale))

    assert write.money(Money(minor, currency)).replace("\xa0", " ") == written


def test_moments_are_on_the_clinics_clock() -> None:
    moment = datetime(2026, 7, 1, 23, 30, tzinfo=UTC)

    assert Formats.of(a_clinic()).moment(moment) == "Thursday 2 July 2026, 00:30"
    assert Formats.of(a_clinic(time_zone="No/Where")).moment(moment) == "Wednesday 1 July 2026, 23:30"
    assert Formats.of(a_clinic(locale="en-US", time_zone="America/New_York")).clock(moment) == "7:30\u00a0PM"


def test_numbers_lose_only_zeros_that_say_nothing() -> None:
    write = Formats.of(a_clinic())

    assert [write.number(text) for text in ("1", "1.50", "13.5", "100", "0.125")] == [
        "1", "1.5", "13.5", "100", "0.125",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "overdue", "word"),
    [
        ("unpaid", False, "Unpaid"),
        ("unpaid", True, "Overdue"),
        ("part_paid", False, "Part paid"),
        ("part_paid", True, "Overdue"),
        ("processing", True, "On its way"),
        ("paid", True, "Paid"),
        ("refunded", False, "Refunded"),
        ("void", True, "Cancelled"),
    ],
)
def test_each_state_has_its_one_word(status: str, overdue: bool, word: str) -> None:
    assert statuses.of_invoice(a_row(status=status, overdue=overdue)).word == word


@pytest.mark.parametrize("status", ["unpaid", "part_paid", "processing", "paid", "refunded", "void"])
def test_that_it_is_being_checked_is_said_before_all_else(status: str) -> None:
    shown = statuses.of_invoice(a_row(status=status, overdue=True, being_checked=True))

    assert (shown.word, shown.tone) == ("Being checked", "wait")


def test_states_differ_by_word_and_shape_and_nothing_owed_is_red() -> None:
    shown = [
        statuses.of_invoice(a_row(status=each))
        for each in ("unpaid", "part_paid", "processing", "paid", "void")
    ]

    assert len({status.shape for status in shown}) == len({status.word for status in shown}) == 5
    assert "error" not in {status.tone for status in shown}


def test_a_payment_is_paid_only_when_the_bank_has_said_so() -> None:
    states = {state: statuses.of_payment(a_payment(state)).word for state in STATES}

    assert states == {
        "created": "Not finished",
        "requires_action": "Not finished",
        "processing": "On its way",
        "succeeded": "Paid",
        "failed": "Not paid",
        "canceled": "Not paid",
    }


@pytest.mark.parametrize("state", ["created", "requires_action", "failed"])
def test_what_may_have_gone_on_at_stripe_is_not_called_unfinished_before_stripe_was_asked(state: str) -> None:
    shown = payments.result(a_payment(state, asked=False), [an_invoice()], a_clinic())

    assert (shown.status.word, shown.outcome) == ("Waiting for an answer", "waiting")
    assert "do not know yet" in shown.message


STATES = ("created", "requires_action", "processing", "succeeded", "failed", "canceled")


@pytest.mark.parametrize("code", [*DECLINES, "", "a_code_of_tomorrow"])
def test_a_decline_never_shows_its_code_and_says_that_nothing_was_taken(code: str) -> None:
    words = payments.why_not_paid(a_payment("failed", failure=PaymentFailure(code=code, message="")))

    assert words.endswith("No money was taken.")
    assert "_" not in words


def test_ways_to_pay_in_words() -> None:
    assert methods.used(PaidWith(kind="card", brand="amex", last4="0005")) == "American Express ending 0005"
    assert methods.used(PaidWith(kind="cash")) == "Cash"
    assert methods.used(PaidWith(kind="some_new_bank")) == "Some new bank"
    assert methods.used(None) == ""
    assert methods.accepted(["card", "redirect"]) == "Card or online payment"
    assert methods.accepted([]) == ""


def test_the_default_card_comes_first_with_its_expiry() -> None:
    other, default = (
        SavedMethodOut(
            id=a_row().id, kind="card", brand="visa", last4=last4, exp_month=4, exp_year=2029, default=chosen
        )
        for last4, chosen in (("1111", False), ("4242", True))
    )

    assert [view.label for view in methods.saved([other, default])] == [
        "Visa ending 4242",
        "Visa ending 1111",
    ]
    assert methods.saved([default])[0].expiry == "Expires 04/29"


def test_a_card_is_shown_by_its_clients_name_with_what_it_is_and_its_brands_picture() -> None:
    named, plain = (
        SavedMethodOut(
            id=a_row().id,
            kind="card",
            brand=brand,
            last4="4242",
            exp_month=4,
            exp_year=2029,
            default=not name,
            nickname=name,
        )
        for name, brand in (("Family <card>", "mastercard"), ("", "a_new_brand"))
    )
    clinic = a_clinic()
    pay = payments.pay(an_invoice(), payments.Means([named, plain]), clinic)
    frame = {"clinic": clinic, "section": "payments", "takes_cards": True, "usable": True, "csrf_token": "t"}
    pages = environment()
    stripe = dict.fromkeys(("stripe_js_url", "stripe_publishable_key", "stripe_account", "systems"), "")
    saved = methods.saved([named, plain])
    listed = pages.get_template("methods.html").render(**frame, methods=saved, waiting=False, done="")
    chosen = pages.get_template("pay.html").render(
        **frame, **stripe, pay=pay, choice=None, reasons=stripe_form.paying()
    )

    for page in (listed, chosen):
        assert "Family &lt;card&gt;" in page and "<small>Mastercard ending 4242</small>" in page
        assert "A New Brand ending 4242" in page and "<small>A New Brand" not in page
        assert page.count('class="brand-picture"') == 2 and page.count('fill="#f79e1b"') == 1


def test_a_date_is_written_out() -> None:
    assert Formats.of(a_clinic()).day(date(2026, 11, 24)) == "24 November 2026"
