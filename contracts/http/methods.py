"""Saved payment methods: bodies of the payment service."""

from uuid import UUID

from contracts.http.common import Answer


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


class SetupStart(Answer, frozen=True, kw_only=True):
    """The values with which a page saves a card."""

    client_secret: str
    stripe_account: str | None
