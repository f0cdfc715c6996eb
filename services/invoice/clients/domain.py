"""Who an invoice is addressed to: checks on a client's name and billing address. Pure."""

from dataclasses import dataclass, field
from uuid import UUID

from services.chassis import texts
from services.chassis.errors import DomainError
from services.chassis.refusals import Refusals
from services.invoice import addresses, checks
from services.invoice.addresses import BillingAddress


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
    """`salt` is in the audit log's hashes of the client, and goes with the name."""

    id: UUID
    erased: bool = False
    salt: UUID | None = None


class ClientNotFound(DomainError):
    code = "client_not_found"
    status = 404


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
    details = ClientDetails(
        name=of(given.name, texts.text, given.name, "name", least=1, most=200),
        billing_address=of(address, addresses.tidy, address, "billing_address"),
        tax_number=of("", texts.text, given.tax_number, "tax_number", most=50),
        external_id=of(None, checks.external_id, given.external_id),
        metadata=of({}, checks.metadata, given.metadata),
    )
    refusals.check()
    return details


def check_country(given: ClientDetails, before: ClientDetails | None) -> None:
    """Refuse a code that is no country's, unless it is kept from before the rule. Raises `InvalidAddress`."""
    country = given.billing_address.country
    if before is None or before.billing_address.country != country:
        addresses.check_country(country, "billing_address")
