"""Saved payment methods: bodies of the payment service."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from msgspec import Meta

from contracts.http.common import Answer, Request
from contracts.http.payments import ConsentIn

LONGEST_NICKNAME: Final = 40


class SetupIn(Request, frozen=True, kw_only=True):
    """The consent that the client gave on the page for saving a card."""

    consent: ConsentIn


class NicknameIn(Request, frozen=True, kw_only=True):
    """The client's own name for a saved method; empty for none."""

    nickname: Annotated[str, Meta(max_length=400)]


class NicknameOut(Answer, frozen=True, kw_only=True):
    """The name as it is kept."""

    nickname: str


class AgreedOut(Answer, frozen=True, kw_only=True):
    """The text that the client agreed to when the method was saved, and when."""

    version: str
    locale: str
    text: str
    agreed_at: datetime


class SavedMethodOut(Answer, frozen=True, kw_only=True):
    """A payment method that a client saved. `default`: it is offered first. An `expired` one is never the default.

    `nickname` is the client's own name for it; empty for none.
    """

    id: UUID
    kind: str
    brand: str | None
    last4: str | None
    exp_month: int | None
    exp_year: int | None
    default: bool
    expired: bool = False
    agreed: AgreedOut | None = None
    nickname: str = ""


class SetupStart(Answer, frozen=True, kw_only=True):
    """The values with which a page saves a card."""

    client_secret: str
    stripe_account: str | None
