"""Money as people read it. Amounts are stored and sent in minor units; only what is shown has decimals."""

import re
from copy import copy
from decimal import Decimal

from babel import Locale
from iso4217 import Currency


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
