"""Refusal of currencies in which nothing can be charged."""

from contracts.currencies import CURRENCIES
from services.chassis.errors import DomainError


class UnknownCurrency(DomainError):
    code = "unknown_currency"
    status = 422


def known_currency(code: str, field: str = "currency") -> str:
    """Raises `UnknownCurrency`, which lists the known ones, for a currency in which nothing can be charged."""
    if code not in CURRENCIES:
        raise UnknownCurrency(
            "not a currency in which clients can pay", field=field, currencies=sorted(CURRENCIES)
        )
    return code
