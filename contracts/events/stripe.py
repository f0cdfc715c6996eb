"""The fields of a Stripe event that the webhook edge publishes. An allow-list: raw bodies hold names and e-mails."""

from typing import ClassVar, Literal, TypeAlias
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from contracts.events import topics
from contracts.events.envelope import CloudEvent, Method
from contracts.events.topics import Topic
from contracts.money import Currency

Origin: TypeAlias = Literal["ours", "other_installation", "forged", "unsigned"]
"""Which installation an object's metadata names, and whether its signature proves it."""


class BalanceMove(BaseModel):
    """A balance transaction of a dispute, in minor units of the currency that the account settles in.

    `amount` below zero was taken, above zero came back; `fee` above zero was taken.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    id: str
    amount: int = Field(strict=True)
    fee: int = Field(strict=True)
    currency: Currency
    created: AwareDatetime


class StripeDispute(BaseModel):
    """A dispute's own facts. Its status, amount and currency are the event's."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    charge: str | None = None
    reason: str | None = None
    opened: AwareDatetime
    due_by: AwareDatetime | None = None
    has_evidence: bool = False
    submissions: int = 0
    moves: tuple[BalanceMove, ...] = ()
    """All that it moved until then, oldest first."""


class StripeEvent(CloudEvent):
    """A verified webhook, or the same observation made by the sweeper. Amounts in our minor units.

    The edge does not know the clinic: the consumer finds it from the account and our own payment row.
    `time` is when Stripe made it.
    """

    topic: ClassVar[Topic] = topics.STRIPE_EVENT

    stripe_event_id: str
    event_type: str
    """Stripe's `type`: `payment_intent.succeeded`, …"""
    created: AwareDatetime
    account: str | None = None
    """The connected account, absent for the platform's own."""
    livemode: bool = Field(strict=True)
    api_version: str | None = None
    object_id: str
    object_type: str
    payment_intent: str | None = None
    customer: str | None = None
    payment_method: str | None = None
    status: str | None = None
    amount: int | None = Field(default=None, strict=True)
    amount_received: int | None = Field(default=None, strict=True)
    currency: Currency | None = None
    clinic: UUID | None = None
    """From our metadata, so only a hint: the row that it names decides."""
    payment_id: UUID | None = None
    client_id: UUID | None = None
    refund_id: UUID | None = None
    origin: Origin | None = None
    """Closed: an unknown origin is undecodable, so it is parked. An object is never trusted by a guess."""
    attempt: str | None = None
    """Identifies an attempt of a PaymentIntent; the same in a webhook and when the intent is retrieved."""
    failure_code: str | None = None
    decline_code: str | None = None
    charge: str | None = None
    """The failed charge that a decline left."""
    method: Method | None = None
    method_exp_month: int | None = None
    method_exp_year: int | None = None
    method_fingerprint: str | None = None
    charges_enabled: bool | None = None
    disabled_reason: str | None = None
    capabilities: tuple[str, ...] | None = None
    """Of an account: the capabilities that are active."""
    dispute: StripeDispute | None = None

    @property
    def key(self) -> str:
        """The PaymentIntent's id, so that a payment's events keep their order; else the object's."""
        return self.payment_intent or self.object_id
