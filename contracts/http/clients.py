"""Clients and their billing addresses: bodies of the invoice service."""

from uuid import UUID

from msgspec import UNSET, UnsetType, field

from contracts.http.common import Answer, Metadata, Request


class BillingAddress(Request, frozen=True, kw_only=True):
    """Every field may be empty; `country` is an ISO 3166 code of two letters."""

    lines: tuple[str, ...] = ()
    postcode: str = ""
    city: str = ""
    country: str = ""


class ClientIn(Request, frozen=True, kw_only=True):
    """A client to bill. `external_id` is another program's id of the client: unique at the clinic."""

    name: str
    billing_address: BillingAddress | None = None
    tax_number: str | UnsetType = UNSET
    external_id: str | UnsetType | None = UNSET
    metadata: Metadata | UnsetType = UNSET


class ClientOut(Answer, frozen=True, kw_only=True):
    """A client whom the clinic bills; once `erased`, all but the id is empty."""

    id: UUID
    name: str
    billing_address: BillingAddress
    tax_number: str = ""
    external_id: str | None = None
    metadata: Metadata = field(default_factory=dict)
    erased: bool = False
