"""Amounts as e-mails and pages write them, in any locale."""

from dataclasses import dataclass

import pytest

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
