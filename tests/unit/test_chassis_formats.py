"""Amounts, days and times as e-mails and pages write them, in any locale."""

from dataclasses import dataclass
from datetime import UTC, date, datetime

import pytest
from babel.localedata import locale_identifiers

from contracts.money import Money
from services.chassis.locale.formats import Formats


@dataclass(frozen=True)
class Region:
    locale: str
    time_zone: str = "Europe/Dublin"


@pytest.mark.parametrize(
    ("minor", "currency", "locale", "written"),
    [
        (12500, "EUR", "en-IE", "€125.00"),
        (12500, "EUR", "de-DE", "125,00\xa0€"),
        (1234567, "USD", "en-US", "$12,345.67"),
        (1500, "JPY", "en-US", "¥1,500"),
        (1500, "KWD", "en-US", "KWD\xa01.500"),
        (1500, "RSD", "en-US", "RSD\xa015.00"),
        (-250, "EUR", "en-IE", "−€2.50"),
    ],
)
def test_money_is_written_as_the_locale_does(minor: int, currency: str, locale: str, written: str) -> None:
    assert Formats.of(Region(locale)).money(Money(minor=minor, currency=currency)) == written


NOON = datetime(2026, 11, 29, 13, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("locale", "day", "short", "clock"),
    [
        ("en-IE", "29 November 2026", "29 Nov 2026", "13:05"),
        ("en-NZ", "29 November 2026", "29 Nov 2026", "1:05\xa0pm"),
        ("en-US", "November 29, 2026", "Nov 29, 2026", "1:05\xa0PM"),
        ("es-US", "November 29, 2026", "Nov 29, 2026", "1:05\xa0PM"),
        ("de-DE", "29 November 2026", "29 Nov 2026", "13:05"),
        ("fr-FR", "29 November 2026", "29 Nov 2026", "13:05"),
        ("ja-JP", "29 November 2026", "29 Nov 2026", "13:05"),
        ("ar-EG", "29 November 2026", "29 Nov 2026", "1:05\xa0pm"),
    ],
)
def test_a_day_in_an_english_sentence_is_english_in_the_order_of_the_country(
    locale: str, day: str, short: str, clock: str
) -> None:
    write = Formats.of(Region(locale))
    assert (write.day(NOON.date()), write.short_day(NOON.date()), write.clock(NOON)) == (day, short, clock)


def test_no_locale_writes_a_day_that_can_be_read_in_two_ways() -> None:
    for locale in locale_identifiers():
        write = Formats.of(Region(locale))
        for text in (write.day(date(2026, 12, 4)), write.short_day(date(2026, 12, 4)), write.moment(NOON)):
            assert "Dec" in text or "Nov" in text, locale
            assert text.isascii() or "\xa0" in text, locale
