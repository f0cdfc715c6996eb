"""Checks on single values of a request, with the name of the field in each refusal. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from contracts.money import LARGEST_MINOR
from services.chassis import texts
from services.chassis.errors import DomainError

MOST_METADATA = 20
_DECIMAL = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,3})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Price:
    """An amount in minor units, as it was sent."""

    minor: int
    currency: str


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


def decimal(value: str, field: str, *, negative: bool = False) -> Decimal:
    """0 to 999999.999 from a text such as "1.5"; with `negative` from -999999.999. Raises `InvalidDecimal`."""
    if not _DECIMAL.fullmatch(value.removeprefix("-") if negative else value):
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


class InvalidMetadata(DomainError):
    code = "invalid_metadata"
    status = 422


class ExternalIdTaken(DomainError):
    """Another object of the same kind has this external id."""

    code = "external_id_taken"
    status = 409


def external_id(given: str | None, field: str = "external_id") -> str | None:
    """Raises `InvalidText`."""
    return None if given is None else texts.text(given, field, least=1, most=200)


def metadata(given: Mapping[str, str]) -> dict[str, str]:
    """Raises `InvalidMetadata`, and `InvalidText` for one of its names or texts."""
    if len(given) > MOST_METADATA:
        raise InvalidMetadata(f"at most {MOST_METADATA} texts", field="metadata")
    kept = {
        texts.text(name, "metadata", least=1, most=40): texts.text(
            value, f"metadata.{name[:40]}", most=500, multiline=True
        )
        for name, value in given.items()
    }
    if len(kept) < len(given):
        raise InvalidMetadata("two names differ in blanks only", field="metadata")
    return kept


def plain(value: object) -> str:
    """A decimal as people write it: 13.500 is "13.5", 20.000 is "20"."""
    digits = f"{value:f}"
    return digits.rstrip("0").rstrip(".") if "." in digits else digits
