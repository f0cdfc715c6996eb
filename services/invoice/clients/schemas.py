"""Between the bodies in `contracts.http.clients` and the domain's values."""

from msgspec import convert

from contracts.http.clients import ClientIn, ClientOut
from services.invoice.clients.domain import BillingAddress, Client, ClientDetails


def details_of(body: ClientIn) -> ClientDetails:
    address = body.billing_address
    return ClientDetails(
        name=body.name,
        billing_address=convert(address, BillingAddress, from_attributes=True)
        if address
        else BillingAddress(),
    )


def answer_of(client: Client) -> ClientOut:
    return convert(client, ClientOut, from_attributes=True)
