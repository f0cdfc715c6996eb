"""Parameters and types that the bodies of the public API share.

Bodies are the API's promise to integrators. One without limits of its own comes from `contracts.http`. Where a service
refuses a value under a code of its own (422), the public API promises the limit and refuses it as `request_invalid`
(400): the room's `schemas` name such a field again, with its limit.
"""

from typing import Annotated

import msgspec
from litestar.params import HeaderParameter, QueryParameter
from msgspec import UNSET, UnsetType

from contracts.http.clients import BillingAddress
from contracts.http.common import Request
from services.gateway.accounts.passwords import LONGEST, SHORTEST

IdempotencyKey = Annotated[
    str,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="Sent again with the same body, the request has the same effect and answer.",
    ),
]
Password = Annotated[str, msgspec.Meta(min_length=SHORTEST, max_length=LONGEST, pattern=r"\S")]
Limit = Annotated[int, QueryParameter(ge=1, le=100)]
Email = Annotated[str | None, QueryParameter(min_length=3, max_length=320)]
ExternalId = Annotated[
    str | None,
    QueryParameter(min_length=1, max_length=200, description="Another program's id: the one that has it."),
]
Cursor = Annotated[str | None, QueryParameter(max_length=500)]

GivenId = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
TaxNumber = Annotated[str, msgspec.Meta(max_length=50)]
ShortText = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Decimals = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,9}(\.[0-9]{1,6})?$")]


AddressLines = Annotated[list[str], msgspec.Meta(max_length=5)]


class NewAddress(BillingAddress, frozen=True, kw_only=True):
    """Every field may be empty; `country` is an ISO 3166 code of two letters."""

    lines: AddressLines = msgspec.field(default_factory=list)  # type: ignore[assignment]


class AddressPatch(Request, frozen=True, kw_only=True):
    lines: AddressLines | UnsetType | None = UNSET
    postcode: str | UnsetType | None = UNSET
    city: str | UnsetType | None = UNSET
    country: str | UnsetType | None = UNSET
