"""Exceptions, which a person settles: bodies of the invoice and the payment service."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta

from contracts.http.common import Answer, Request


class SettleIn(Request, frozen=True, kw_only=True):
    """How an exception is settled: one of its `ways`."""

    how: Annotated[str, Meta(pattern=r"^[a-z_]{1,60}$(?!\n)")]


class ExceptionOut(Answer, frozen=True, kw_only=True):
    """Something that cannot be booked without a person.

    `cause` is the likely one, as a code. `detail` depends on `kind`. `ways` are how it can be settled: `dismiss`
    changes nothing else.
    """

    id: UUID
    kind: str
    subject_id: UUID
    cause: str
    detail: dict[str, Any]
    created_at: datetime
    ways: list[str]
    settled_at: datetime | None
    settled_by: UUID | None
    settled_how: str | None
