"""Checks on single values of a request, with the name of the field in each refusal. Pure."""

import re
from dataclasses import dataclass
from decimal import Decimal

from contracts.currencies import CURRENCIES
from contracts.money import LARGEST_MINOR
from services.chassis.errors import DomainError

_DECIMAL = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,3})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Price:
    """An amount in minor units, as it was sent."""

    minor: int
    currency: str


class UnknownCurrency(DomainError):
    code = "unknown_currency"
    status = 422


class InvalidDecimal(DomainError):
    code = "invalid_decimal"
    status = 422


class AmountOutOfRange(DomainError):
    code = "amount_out_of_range"
    status = 422


class WrongCurrency(DomainError):
    """Money in another currency than the invoice's."""

    code = "wrong_currency"
    status = 422


def currency(code: str, field: str = "currency") -> str:
    """Raises `UnknownCurrency`, which lists the known ones, for a currency in which nothing can be charged."""
    if code not in CURRENCIES:
        raise UnknownCurrency(
            "not a currency in which clients can pay", field=field, currencies=sorted(CURRENCIES)
        )
    return code


def decimal(value: str, field: str) -> Decimal:
    """0 to 999999.999 from a text such as "1.5". Raises `InvalidDecimal`."""
    if not _DECIMAL.fullmatch(value):
        raise InvalidDecimal(f"{field} needs a number with at most three places", field=field)
    return Decimal(value)


def price(given: Price, invoice_currency: str, field: str) -> int:
    """The minor units of a price from 0, in the invoice's currency."""
    if given.currency != invoice_currency:
        raise WrongCurrency(f"{field} is not in {invoice_currency}", field=field)
    return amount(given.minor, field)


def amount(minor: int, field: str) -> int:
    """Raises `AmountOutOfRange` for a negative amount, and for one that JSON readers would round."""
    if not 0 <= minor <= LARGEST_MINOR:
        raise AmountOutOfRange(f"{field} is below zero or too large", field=field)
    return minor


def plain(value: object) -> str:
    """A decimal as people write it: 13.500 is "13.5", 20.000 is "20"."""
    digits = f"{value:f}"
    return digits.rstrip("0").rstrip(".") if "." in digits else digits
