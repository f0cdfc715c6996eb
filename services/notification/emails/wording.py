"""Amounts and days as a clinic's clients read them."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date

from contracts.money import Money
from services.chassis.locale.money import written


def money(amount: Money, locale: str) -> str:
    """The amount with its currency, as the locale writes it: `€125.00`, `125,00 €`."""
    return written(amount.minor, amount.currency, Locale.parse(locale, sep="-"))


def day(value: date, locale: str) -> str:
    """A calendar day in words: `7 December 2026`."""
    return format_date(value, format="long", locale=Locale.parse(locale, sep="-"))


def day_of(moment: datetime, locale: str, time_zone: str) -> str:
    """The calendar day that a moment falls on where the clinic is."""
    return day(moment.astimezone(ZoneInfo(time_zone)).date(), locale)


def ink_on(accent: str) -> str:
    """Black or white, whichever is read better on the accent (`#rrggbb`, by WCAG's relative luminance)."""
    channels = [int(accent[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#ffffff" if luminance < 0.179 else "#111418"
