"""Amounts of money."""

from contracts.money import Money


def money(minor: int, currency: str = "EUR") -> Money:
    return Money(minor=minor, currency=currency)


def eur(units: int) -> Money:
    """Whole euros."""
    return money(units * 100)
