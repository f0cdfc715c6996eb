"""Clients and their billing addresses: bodies of the invoice service."""

from uuid import UUID

from contracts.http.common import Answer, Request


class BillingAddress(Request, frozen=True, kw_only=True):
    """Every field may be empty; `country` is an ISO 3166 code of two letters."""

    lines: tuple[str, ...] = ()
    postcode: str = ""
    city: str = ""
    country: str = ""


class ClientIn(Request, frozen=True, kw_only=True):
    """A client to bill."""

    name: str
    billing_address: BillingAddress | None = None


class ClientOut(Answer, frozen=True, kw_only=True):
    """A client whom the clinic bills."""

    id: UUID
    name: str
    billing_address: BillingAddress
