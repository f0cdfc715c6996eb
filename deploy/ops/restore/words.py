"""Sums as `clinicpay restore` writes them for an operator."""

from contracts.money import Money
from services.chassis.locale.money import plain


def in_words(amount: Money) -> str:
    """Such as `100.00 EUR`."""
    return f"{plain(amount.minor, amount.currency)} {amount.currency}"
