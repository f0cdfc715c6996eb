"""Who an invoice is addressed to: checks on a client's name and billing address. Pure."""

from dataclasses import dataclass, field
from uuid import UUID

from services.chassis import texts
from services.chassis.errors import DomainError
from services.chassis.locale.formats import countries
from services.chassis.refusals import Refusals
from services.invoice import checks


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingAddress:
    """Every field may be empty; `country` is an ISO 3166 code of two letters."""

    lines: tuple[str, ...] = ()
    postcode: str = ""
    city: str = ""
    country: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientDetails:
    """`external_id` is another program's id of the client."""

    name: str
    billing_address: BillingAddress
    tax_number: str = ""
    external_id: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client(ClientDetails):
    id: UUID


class ClientNotFound(DomainError):
    code = "client_not_found"
    status = 404


class InvalidAddress(DomainError):
    code = "invalid_address"
    status = 422


def checked(given: ClientDetails, before: ClientDetails | None) -> ClientDetails:
    """The details in the form in which they are stored, as they follow those before.

    Raises `InvalidText`, `InvalidAddress`; the first names all.
    """
    refusals = Refusals()
    details = refusals.of(given, tidy, given)
    refusals.of(None, check_country, details, before)
    refusals.check()
    return details


def tidy(given: ClientDetails) -> ClientDetails:
    """The details in the form in which they are stored. Raises `InvalidText`, `InvalidAddress`, `InvalidMetadata`."""
    refusals = Refusals()
    of, address = refusals.of, given.billing_address
    if len(address.lines) > 5:
        refusals.add(InvalidAddress("an address has at most five lines", field="billing_address.lines"))
    details = ClientDetails(
        name=of(given.name, texts.text, given.name, "name", least=1, most=200),
        billing_address=BillingAddress(
            lines=tuple(
                of(line, texts.text, line, f"billing_address.lines.{position}", most=200)
                for position, line in enumerate(address.lines)
            ),
            postcode=of(address.postcode, texts.text, address.postcode, "billing_address.postcode", most=20),
            city=of(address.city, texts.text, address.city, "billing_address.city", most=100),
            country=address.country,
        ),
        tax_number=of("", texts.text, given.tax_number, "tax_number", most=50),
        external_id=of(None, checks.external_id, given.external_id),
        metadata=of({}, checks.metadata, given.metadata),
    )
    refusals.check()
    return details


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
