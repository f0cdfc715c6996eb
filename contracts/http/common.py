"""Types shared by the bodies of several services: base classes, money, pages, and the method of a payment."""

from typing import Annotated, Generic, TypeVar

import msgspec

T = TypeVar("T")

LARGEST_AMOUNT = 10**15
"""The largest amount in a body, in minor units."""

# `$` alone would allow a newline at the end.
Currency = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$(?!\n)")]


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A body that a service reads: an unknown field is an error."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A body that a service answers with."""


Metadata = dict[str, str]
"""Texts that a program keeps with an object: up to 20, of at most 500 characters, by names of at most 40."""


class Money(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An amount in minor units: 12500 EUR is €125.00."""

    minor: Annotated[int, msgspec.Meta(ge=-LARGEST_AMOUNT, le=LARGEST_AMOUNT)]
    currency: Currency


class Page(Answer, Generic[T], frozen=True, kw_only=True):
    """One page of a list; `next` is the cursor of the following one, null at the end.

    `previous` is the cursor of the page before, in lists that can be read backwards; it is not there on the first page.
    """

    items: list[T]
    next: str | None = None
    previous: str | msgspec.UnsetType = msgspec.UNSET


class PaidWith(Answer, frozen=True, kw_only=True):
    """The method of a payment: Stripe's method type or `cash`, and a card's brand and last four digits."""

    kind: str
    brand: str | None = None
    last4: str | None = None
