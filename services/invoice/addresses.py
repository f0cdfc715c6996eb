"""Postal addresses of clients and clinics, and the checks on them. Pure."""

from dataclasses import dataclass

from services.chassis import texts
from services.chassis.errors import DomainError
from services.chassis.locale.formats import countries
from services.chassis.refusals import Refusals

MOST_LINES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingAddress:
    """Every field may be empty; `country` is an ISO 3166 code of two letters."""

    lines: tuple[str, ...] = ()
    postcode: str = ""
    city: str = ""
    country: str = ""


class InvalidAddress(DomainError):
    code = "invalid_address"
    status = 422


def tidy(address: BillingAddress, field: str) -> BillingAddress:
    """The address in the form in which it is stored, with any country. Raises `InvalidText`, `InvalidAddress`."""
    refusals = Refusals()
    of = refusals.of
    if len(address.lines) > MOST_LINES:
        refusals.add(InvalidAddress("an address has at most five lines", field=f"{field}.lines"))
    tidied = BillingAddress(
        lines=tuple(
            of(line, texts.text, line, f"{field}.lines.{position}", most=200)
            for position, line in enumerate(address.lines)
        ),
        postcode=of(address.postcode, texts.text, address.postcode, f"{field}.postcode", most=20),
        city=of(address.city, texts.text, address.city, f"{field}.city", most=100),
        country=address.country,
    )
    refusals.check()
    return tidied


def check_country(country: str, field: str) -> None:
    """Refuse a code that is no country's. Raises `InvalidAddress`."""
    if country and country not in countries():
        raise InvalidAddress(
            "not a country of ISO 3166 in two capital letters; `countries` lists them",
            field=f"{field}.country",
            countries=countries(),
        )
