"""Amounts in minor units as people read them."""

import pytest
from babel import Locale
from hypothesis import given
from hypothesis import strategies as st

from contracts.currencies import CURRENCIES
from services.chassis.locale.money import decimals, from_stripe, read, to_stripe, written


@pytest.mark.parametrize(
    ("minor", "currency", "locale", "text"),
    [
        (12_500, "EUR", "en_IE", "€125.00"),
        (12_500, "EUR", "de_DE", "125,00\xa0€"),
        (-500, "EUR", "en_IE", "−€5.00"),
        (9_800, "JPY", "en_IE", "JP¥9,800"),
        (1_250, "KWD", "en_IE", "KWD\xa01.250"),
        (12_500, "RSD", "en_IE", "RSD\xa0125.00"),
        (58_311, "CHF", "en_CH", "CHF\xa0583.11"),
        (0, "GBP", "en_GB", "£0.00"),
    ],
)
def test_an_amount_has_its_currencys_own_decimals(minor: int, currency: str, locale: str, text: str) -> None:
    assert written(minor, currency, Locale.parse(locale)) == text


@given(st.integers(-(2**53) + 1, 2**53 - 1), st.sampled_from(sorted(CURRENCIES)))
def test_no_digit_of_an_amount_is_lost(minor: int, currency: str) -> None:
    shown = written(minor, currency, Locale.parse("en_US"))

    digits = "".join(sign for sign in shown if sign.isdigit())
    assert int(digits) == abs(minor)
    assert ("−" in shown) is (minor < 0)
    assert decimals(currency) in (0, 2, 3)


@pytest.mark.parametrize(
    ("minor", "currency", "stripe"),
    [
        (12_500, "EUR", 12_500),
        (9_800, "JPY", 9_800),
        (1_000, "ISK", 100_000),
        (1_000, "UGX", 100_000),
        (100_000, "MGA", 1_000),
        (1_250, "KWD", 1_250),
        (1_000, "BGN", 1_000),
    ],
)
def test_stripe_counts_some_currencies_otherwise_than_iso_does(
    minor: int, currency: str, stripe: int
) -> None:
    assert to_stripe(minor, currency) == stripe
    assert from_stripe(stripe, currency) == minor


def test_a_part_of_a_minor_unit_is_no_amount_of_ours() -> None:
    assert from_stripe(100_001, "ISK") is None


def test_a_part_of_stripes_unit_is_no_amount_of_stripes() -> None:
    assert to_stripe(100_050, "MGA") is None


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [(12_500, "BGN", "BGN\xa0125.00"), (12_500, "IQD", "IQD\xa012.500"), (12_500, "XYZ", "XYZ\xa0125.00")],
)
def test_a_currency_that_has_gone_is_still_written(minor: int, currency: str, text: str) -> None:
    assert currency not in CURRENCIES
    assert written(minor, currency, Locale.parse("en_IE")) == text


@pytest.mark.parametrize(
    "typed",
    [
        "1e3",
        "1e999999",
        "-1E999999",
        "1_000",
        "EUR10EUR",
        "1\u20280",
        "1\n0",
        "ten",
        "1²",
        "0x10",
        "1j",
        "Infinity",
        "NaN",
    ],
)
def test_a_spelling_that_only_a_programmer_knows_is_no_amount(typed: str) -> None:
    assert read(typed, "EUR", Locale("en", "IE")) is None


@pytest.mark.parametrize(
    ("typed", "minor"), [("10 EUR", 1_000), ("€10", 1_000), (" 1,234.50 ", 123_450), ("EUR 7", 700)]
)
def test_an_amount_may_have_its_currency_once(typed: str, minor: int) -> None:
    assert read(typed, "EUR", Locale("en", "IE")) == minor


@given(
    st.text(max_size=45),
    st.sampled_from(["EUR", "JPY", "KWD"]),
    st.sampled_from(["en_IE", "de_CH", "ar_EG", "fr_FR"]),
)
def test_any_text_is_an_amount_or_none(typed: str, currency: str, locale: str) -> None:
    minor = read(typed, currency, Locale.parse(locale))
    assert minor is None or isinstance(minor, int)
