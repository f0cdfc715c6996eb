"""Who an invoice is addressed to: checks on a client's name and billing address. Pure."""

from dataclasses import dataclass
from uuid import UUID

from services.chassis import texts
from services.chassis.errors import DomainError
from services.chassis.locale.formats import countries


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingAddress:
    """Every field may be empty; `country` is an ISO 3166 code of two letters."""

    lines: tuple[str, ...] = ()
    postcode: str = ""
    city: str = ""
    country: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientDetails:
    name: str
    billing_address: BillingAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class Client(ClientDetails):
    id: UUID


class ClientNotFound(DomainError):
    code = "client_not_found"
    status = 404


class InvalidAddress(DomainError):
    code = "invalid_address"
    status = 422


def tidy(given: ClientDetails) -> ClientDetails:
    """The details in the form in which they are stored. Raises `InvalidText`, `InvalidAddress`."""
    address = given.billing_address
    if len(address.lines) > 5:
        raise InvalidAddress("an address has at most five lines", field="billing_address.lines")
    billing_address = BillingAddress(
        lines=tuple(texts.text(line, "billing_address.lines", most=200) for line in address.lines),
        postcode=texts.text(address.postcode, "billing_address.postcode", most=20),
        city=texts.text(address.city, "billing_address.city", most=100),
        country=address.country,
    )
    return ClientDetails(
        name=texts.text(given.name, "name", least=1, most=200), billing_address=billing_address
    )


def check_country(given: ClientDetails, before: ClientDetails | None) -> None:
    """Refuse a code that is no country's, unless it is kept from before the rule. Raises `InvalidAddress`."""
    country = given.billing_address.country
    kept = before is not None and before.billing_address.country == country
    if country and not kept and country not in countries():
        raise InvalidAddress(
            "not a country of ISO 3166 in two capital letters; `countries` lists them",
            field="billing_address.country",
            countries=countries(),
        )
