"""Between the bodies in `contracts.http.clients` and the domain's values."""

from msgspec import UNSET, convert

from contracts.http.clients import ClientIn, ClientOut
from services.invoice.addresses import BillingAddress
from services.invoice.clients.domain import Client, ClientDetails


def details_of(body: ClientIn) -> ClientDetails:
    address = body.billing_address
    return ClientDetails(
        name=body.name,
        billing_address=convert(address, BillingAddress, from_attributes=True)
        if address
        else BillingAddress(),
        tax_number=body.tax_number or "",
        external_id=None if body.external_id is UNSET else body.external_id,
        metadata={} if body.metadata is UNSET else body.metadata,
    )


def answer_of(client: Client) -> ClientOut:
    return convert(client, ClientOut, from_attributes=True)
