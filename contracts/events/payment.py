"""Events of a payment, and of the money it moved."""

from typing import ClassVar, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, model_validator

from contracts.events import topics
from contracts.events.envelope import Event, Method, Open, StateEvent
from contracts.events.topics import Topic
from contracts.money import Money
from contracts.vocabulary import MovementKind, PublishedPaymentStatus


def receipt_number(payment_id: UUID) -> str:
    """What a client quotes of a payment, on pages and in e-mails: the random end of its id."""
    return f"R-{payment_id.hex[-10:].upper()}"


class Share(BaseModel):
    """The part of a payment that is meant for one invoice."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    invoice_id: UUID
    amount: Money


class PaymentState(StateEvent):
    """The public state of a payment over one or more invoices."""

    key_field: ClassVar[str] = "payment_id"

    payment_id: UUID
    client_id: UUID
    status: Open[PublishedPaymentStatus]
    """The topic tells what happened. `unknown` is shown as being updated."""
    amount: Money
    invoices: tuple[Share, ...]
    """For a succeeded payment what was settled, for any other what is meant to be."""
    surplus: Money | None = None
    """What came in above what was open: the client's credit."""
    method: Method | None = None
    failure_code: str | None = None
    """Stripe's decline or error code, when the status is `failed`."""


class PaymentProcessing(PaymentState):
    """The money is on its way; the bank answers later."""

    topic: ClassVar[Topic] = topics.PAYMENT_PROCESSING


class PaymentSucceeded(PaymentState):
    """Stripe has taken the money, and the ledger has it."""

    topic: ClassVar[Topic] = topics.PAYMENT_SUCCEEDED


class PaymentFailed(PaymentState):
    """An attempt failed. The client may try again."""

    topic: ClassVar[Topic] = topics.PAYMENT_FAILED


class PaymentCanceled(PaymentState):
    """The payment was given up before any money moved."""

    topic: ClassVar[Topic] = topics.PAYMENT_CANCELED


class PaymentUpdated(Event):
    """How a payment was made became known, or better known, after its success was said. At most once a payment.

    It moves no money and makes no new version of the payment. It may come before the `payment.settled` that it is
    about. `time`: of the success.
    """

    topic: ClassVar[Topic] = topics.PAYMENT_UPDATED
    key_field: ClassVar[str] = "payment_id"

    payment_id: UUID
    client_id: UUID
    method: Method
    """In place of what `payment.succeeded` and `payment.settled` said."""
    invoices: tuple[UUID, ...]
    """Those that the payment settled something of."""


class PaymentRefunded(Event):
    """Credit that a payment left was sent back to where it came from. `time`: when that was booked.

    A bank may still return it, days later: it is the client's credit again then, and no event tells of that.
    """

    topic: ClassVar[Topic] = topics.PAYMENT_REFUNDED
    key_field: ClassVar[str] = "refund_id"

    refund_id: UUID
    payment_id: UUID
    client_id: UUID
    amount: Money
    method: Method | None = None
    """How the payment was made, and so where the money goes."""


class PaymentSettled(Event):
    """Money moved against one invoice, and is booked. Positive: towards the clinic. `time`: when booked."""

    topic: ClassVar[Topic] = topics.PAYMENT_SETTLED
    key_field: ClassVar[str] = "invoice_id"

    movement_id: UUID
    """Also the event's id."""
    invoice_id: UUID
    payment_id: UUID
    kind: MovementKind
    """Closed: an event with an unknown kind is undecodable, so it is parked. Nobody books money by guess."""
    amount: Money
    method: Method | None = None
    stripe_object_id: str | None = None
    """Stripe's object that moved the money. With invoice and kind it names the movement, whatever its id is."""

    @property
    def invoice_key(self) -> tuple[UUID, UUID]:
        return self.clinic_id, self.invoice_id

    @model_validator(mode="after")
    def _one_id(self) -> Self:
        if self.movement_id != self.id:
            raise ValueError("movement_id is not the event's id")
        return self
