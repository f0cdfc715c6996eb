"""Minor units at the edges: as people read them, and as Stripe counts them."""

import re
from copy import copy
from decimal import Decimal

from babel import Locale
from iso4217 import Currency

STRIPE_HUNDREDTHS = frozenset({"ISK", "UGX"})
"""Without decimals today, yet Stripe still counts them in hundredths: 1,000 ISK is its 100000."""


def to_stripe(minor: int, currency: str) -> int:
    """An amount in our minor units as Stripe counts it."""
    return minor * 100 if currency in STRIPE_HUNDREDTHS else minor


def from_stripe(amount: int, currency: str) -> int | None:
    """Stripe's amount in our minor units; None for a part of one, which no amount of ours can be."""
    if currency not in STRIPE_HUNDREDTHS:
        return amount
    return amount // 100 if amount % 100 == 0 else None


def minor_digits(currency: str) -> int:
    """ISO 4217's decimals of a currency: 2 for EUR, 0 for JPY, 3 for KWD.

    Not CLDR's, which are for display: it has 0 for RSD, and an amount would look a hundred times as large.
    """
    return Currency(currency).exponent or 0


def written(minor: int, currency: str, locale: Locale) -> str:
    """An amount in minor units as the locale writes it: `€125.00`, `125,00 €`, `KWD 1.250`, `−€5.00`."""
    digits = minor_digits(currency)
    pattern = copy(locale.currency_formats["standard"])
    pattern.frac_prec = (digits, digits)
    major = Decimal(minor).scaleb(-digits)
    text = str(pattern.apply(major, locale, currency=currency, currency_digits=False))
    # CLDR's space between a currency of letters and digits, which Babel leaves out; and a true minus sign.
    return re.sub(r"(?<=[A-Z])(?=\d)|(?<=\d)(?=[A-Z])", "\xa0", text).replace("-", "\u2212")
