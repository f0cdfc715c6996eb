"""What several services share: money, pages, and limits on what people send."""

from typing import Annotated, Generic, TypeVar

import msgspec

T = TypeVar("T")

Currency = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$")]
Minor = Annotated[int, msgspec.Meta(ge=-(10**15), le=10**15)]
ShortText = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Decimals = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,9}(\.[0-9]{1,6})?$")]


class Question(msgspec.Struct, forbid_unknown_fields=True):
    """What somebody sends: a field that nobody knows is an error, not a surprise."""


class Money(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An amount in minor units: 12500 EUR is €125.00."""

    minor: Minor
    currency: Currency


class Page(msgspec.Struct, Generic[T]):
    """One page of a list; `next` is the cursor of the following one, or None at the end."""

    items: list[T]
    next: str | None = None


class MethodRef(msgspec.Struct):
    """How something was paid: the kind (`card`, `redirect`, `cash`), and a card's brand and last four."""

    kind: str
    brand: str | None = None
    last4: str | None = None
