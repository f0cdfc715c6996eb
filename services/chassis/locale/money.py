"""Minor units at the edges: as people read them, and as Stripe counts them."""

import re
from copy import copy
from decimal import Decimal

from babel import Locale
from babel.numbers import NumberFormatError, get_currency_precision, get_currency_symbol, parse_decimal
from iso4217 import Currency

from contracts.currencies import CURRENCIES


def to_stripe(minor: int, currency: str) -> int | None:
    """An amount in our minor units as Stripe counts it; None for what it cannot count: 1,000.50 MGA."""
    ours, stripes = _decimals(currency)
    amount, rest = divmod(minor * 10**stripes, 10**ours)
    return amount if rest == 0 else None


def from_stripe(amount: int, currency: str) -> int | None:
    """Stripe's amount in our minor units; None for a part of one, which no amount of ours can be."""
    ours, stripes = _decimals(currency)
    minor, rest = divmod(amount * 10**ours, 10**stripes)
    return minor if rest == 0 else None


def _decimals(currency: str) -> tuple[int, int]:
    """(ours, Stripe's). A currency that has gone from the table was counted alike."""
    known = CURRENCIES.get(currency)
    return (known.decimals, known.stripe_decimals) if known else (0, 0)


def decimals(currency: str) -> int:
    """ISO 4217's decimals of a currency: 2 for EUR, 0 for JPY, 3 for KWD.

    Not CLDR's, which are for display: it has 0 for RSD, and an amount would look a hundred times as large. Only a
    currency that ISO has withdrawn is written by CLDR's: an invoice in it must still be shown.
    """
    if known := CURRENCIES.get(currency):
        return known.decimals
    try:
        return Currency(currency).exponent or 0
    except ValueError:
        return int(get_currency_precision(currency))


def written(minor: int, currency: str, locale: Locale, *, by_code: bool = False) -> str:
    """An amount in minor units as the locale writes it: `€125.00`, `125,00 €`, `KWD 1.250`, `−€5.00`.

    `by_code`: with the currency's code in place of its sign.
    """
    digits = decimals(currency)
    pattern = copy(locale.currency_formats["standard"])
    pattern.frac_prec = (digits, digits)
    major = Decimal(minor).scaleb(-digits)
    text = str(pattern.apply(major, locale, currency=currency, currency_digits=False))
    if by_code:
        text = text.replace(get_currency_symbol(currency, locale=locale), currency)
    # CLDR's space between a currency of letters and digits, which Babel leaves out; and a true minus sign.
    return re.sub(r"(?<=[A-Z])(?=\d)|(?<=\d)(?=[A-Z])", "\xa0", text).replace("-", "\u2212")


def plain(minor: int, currency: str) -> str:
    """An amount in minor units as programs read it: `125.00`, `-5.00`, `1.250` for KWD."""
    return f"{Decimal(minor).scaleb(-decimals(currency)):f}"


_PLAIN = re.compile(r"(\d{1,12})(?:[.,](\d{1,3}))?", re.ASCII)
_NO_AMOUNT = re.compile(r"[^\W\d]|_|[\n-\r\x1c-\x1f\x85\u2028\u2029]")
"""Letters, which Python's numbers may have (`1e3`, `1_000`), and ends of lines between the digits of one number."""
LONGEST_AMOUNT = 40


def read(text: str, currency: str, locale: Locale) -> int | None:
    """An amount as a person typed it, in minor units: `50`, `€50.00`, `1,234.50`. None if it is no amount.

    It is read as the locale writes it. Where it is none that way, a single point or comma is the decimal one.
    """
    if len(text) > LONGEST_AMOUNT:
        return None
    symbols = {currency, get_currency_symbol(currency, locale=locale)}
    bare = re.sub("|".join(map(re.escape, symbols)), "", text.strip(), count=1, flags=re.IGNORECASE)
    if _NO_AMOUNT.search(bare):
        return None
    bare = re.sub(r"\s", "", bare)
    try:
        major = parse_decimal(bare, locale=locale, strict=True)
    except NumberFormatError:
        plain = _PLAIN.fullmatch(bare)
        if plain is None:
            return None
        major = Decimal(f"{plain[1]}.{plain[2] or 0}")
    minor = major.scaleb(decimals(currency)) if major.is_finite() else Decimal("0.1")
    return int(minor) if minor == minor.to_integral_value() else None
