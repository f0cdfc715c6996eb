"""Who an invoice is addressed to: checks on a client's name and billing address. Pure."""

import re

from contracts.http.clients import BillingAddress, ClientIn
from services.chassis import texts
from services.chassis.errors import DomainError

_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)


class ClientNotFound(DomainError):
    code = "client_not_found"
    status = 404


class InvalidAddress(DomainError):
    code = "invalid_address"
    status = 422


def client(given: ClientIn) -> ClientIn:
    """The client, tidied; the address always present. Raises `InvalidText`, `InvalidAddress`."""
    address = given.billing_address or BillingAddress()
    if len(address.lines) > 5:
        raise InvalidAddress("an address has at most five lines", field="billing_address.lines")
    if address.country and not _COUNTRY.fullmatch(address.country):
        raise InvalidAddress("a country is two capital letters", field="billing_address.country")
    tidy = BillingAddress(
        lines=tuple(texts.text(line, "billing_address.lines", most=200) for line in address.lines),
        postcode=texts.text(address.postcode, "billing_address.postcode", most=20),
        city=texts.text(address.city, "billing_address.city", most=100),
        country=address.country,
    )
    return ClientIn(name=texts.text(given.name, "name", least=1, most=200), billing_address=tidy)
