"""Events of a payment, and of the money that it moved."""

from datetime import date
from typing import ClassVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from contracts.events import topics
from contracts.events.envelope import Event, Method, Open, StateEvent
from contracts.events.topics import Topic
from contracts.money import Money
from contracts.vocabulary import DisputeStatus, MovementKind, PublishedPaymentStatus, RefundDestination


def receipt_number(payment_id: UUID) -> str:
    """The receipt number on pages and in e-mails: the random end of the payment's id."""
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
    status: PublishedPaymentStatus
    """The topic names the change. A reader that does not know the status parks the event."""
    amount: Money
    invoices: tuple[Share, ...]
    """The settled shares of a succeeded payment; for any other status, the shares to settle."""
    surplus: Money | None = None
    """The part of the payment above the open amounts: it is the client's credit."""
    method: Method | None = None
    captured_at: AwareDatetime | None = None
    """When Stripe captured a succeeded payment: the day on which it was paid. `time` is when that was booked."""
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
    """The payment was canceled before any money moved."""

    topic: ClassVar[Topic] = topics.PAYMENT_CANCELED


class PaymentUpdated(Event):
    """A succeeded payment's method became known, or better known, after the success was published.

    At most once a payment. It moves no money and makes no new version of the payment. It may come before the
    `payment.settled` of the same payment. `time`: of the success.
    """

    topic: ClassVar[Topic] = topics.PAYMENT_UPDATED
    key_field: ClassVar[str] = "payment_id"

    payment_id: UUID
    client_id: UUID
    method: Method
    """Replaces the method in `payment.succeeded` and `payment.settled`."""
    invoices: tuple[UUID, ...]
    """The invoices of which the payment settled a part."""


class PaymentRefunded(Event):
    """Money of a payment was given back: to the payment's method, or to the client's credit. `time`: when booked.

    A bank may still return it days later. It is then again what it was before; no event of this topic says so.
    """

    topic: ClassVar[Topic] = topics.PAYMENT_REFUNDED
    key_field: ClassVar[str] = "refund_id"

    refund_id: UUID
    payment_id: UUID
    client_id: UUID
    amount: Money
    method: Method | None = None
    """The payment's method, to which the money goes."""
    destination: RefundDestination = "method"
    invoices: tuple[Share, ...] = ()
    """The parts of the invoices that the payment settled. The rest of the amount was the client's credit."""


class ReversedShare(Share):
    """The part of a payment that an invoice lost when the payment was taken back."""

    due: Money
    """The sum that was to be paid on the invoice right after."""


class PaymentReversed(Event):
    """Staff took back a payment that they had recorded. It pays nothing any more. Once a payment. `time`: when booked.

    `payment.settled` moves the money; this is for who writes to the client.
    """

    topic: ClassVar[Topic] = topics.PAYMENT_REVERSED
    key_field: ClassVar[str] = "payment_id"

    payment_id: UUID
    client_id: UUID
    amount: Money
    """The whole payment. The rest beside the parts in `invoices` was taken from the client's credit."""
    method: Method
    invoices: tuple[ReversedShare, ...] = ()


class PaymentMethodExpiring(Event):
    """The saved card with which a client's payments begin expires within a month. Once a card and month of expiry.

    It was asked about at Stripe right before: the card's bank had not renewed it.
    """

    topic: ClassVar[Topic] = topics.PAYMENT_METHOD_EXPIRING
    key_field: ClassVar[str] = "method_id"

    method_id: UUID
    client_id: UUID
    method: Method
    expires_on: date
    """The last day on which it can be charged."""


class PaymentDisputed(StateEvent):
    """The public state of a dispute at the payer's bank. `time`: of its newest change here."""

    topic: ClassVar[Topic] = topics.PAYMENT_DISPUTED
    key_field: ClassVar[str] = "dispute_id"

    dispute_id: UUID
    payment_id: UUID
    client_id: UUID
    status: Open[DisputeStatus]
    """`warning_*` is an inquiry, which takes no money."""
    reason: str | None = None
    """Stripe's word for what the payer says."""
    amount: Money
    """The disputed sum. The bank may take less, more, or nothing."""
    taken: Money
    """The sum that the bank has taken, and not given back."""
    fees: tuple[Money, ...] = ()
    """Stripe's fees, in the currencies that the clinic's account settles in."""
    due_by: AwareDatetime | None = None
    """Until when the bank takes evidence; null if it takes none."""
    has_evidence: bool
    opened_at: AwareDatetime
    taken_up: int = Field(default=0, strict=True, ge=0)
    """How often the bank took it up again after an end."""
    invoices: tuple[Share, ...] = ()
    """The parts of `taken` that had paid these invoices. Only a `reversal` of `payment.settled` makes one due again."""


class PaymentSettled(Event):
    """Money moved against one invoice, and is booked. Positive: towards the clinic. `time`: when booked."""

    topic: ClassVar[Topic] = topics.PAYMENT_SETTLED
    key_field: ClassVar[str] = "invoice_id"

    movement_id: UUID
    """Also the event's id."""
    invoice_id: UUID
    payment_id: UUID
    kind: MovementKind
    """Closed: an event with an unknown kind is undecodable, so it is parked. Money is never booked by a guess."""
    amount: Money
    method: Method | None = None
    captured_at: AwareDatetime | None = None
    """Of a payment: when Stripe captured it, which is the day on which it was paid."""
    stripe_object_id: str | None = None
    """Stripe's object that moved the money. With invoice and kind it identifies the movement, whatever its id."""

    @property
    def invoice_key(self) -> tuple[UUID, UUID]:
        return self.clinic_id, self.invoice_id

    @field_validator("movement_id")
    @classmethod
    def _one_id(cls, movement_id: UUID, info: ValidationInfo) -> UUID:
        if movement_id != info.data.get("id", movement_id):
            raise ValueError("movement_id is not the event's id")
        return movement_id
