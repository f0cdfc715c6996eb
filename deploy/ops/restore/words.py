"""Sums as `clinicpay restore` writes them for an operator."""

from decimal import Decimal

from contracts.money import Money
from services.chassis.locale.money import decimals


def in_words(amount: Money) -> str:
    """Such as `100.00 EUR`."""
    return f"{Decimal(amount.minor).scaleb(-decimals(amount.currency)):f} {amount.currency}"
