"""Saved payment methods: bodies of the payment service."""

from datetime import datetime
from uuid import UUID

from contracts.http.common import Answer, Request
from contracts.http.payments import ConsentIn


class SetupIn(Request, frozen=True, kw_only=True):
    """The consent that the client gave on the page for saving a card."""

    consent: ConsentIn


class AgreedOut(Answer, frozen=True, kw_only=True):
    """The text that the client agreed to when the method was saved, and when."""

    version: str
    locale: str
    text: str
    agreed_at: datetime


class SavedMethodOut(Answer, frozen=True, kw_only=True):
    """A payment method that a client saved. `default`: it is offered first. An `expired` one is never the default."""

    id: UUID
    kind: str
    brand: str | None
    last4: str | None
    exp_month: int | None
    exp_year: int | None
    default: bool
    expired: bool = False
    agreed: AgreedOut | None = None


class SetupStart(Answer, frozen=True, kw_only=True):
    """The values with which a page saves a card."""

    client_secret: str
    stripe_account: str | None
