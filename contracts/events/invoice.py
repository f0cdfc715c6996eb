"""Events of an invoice."""

from datetime import date
from typing import ClassVar, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from contracts.events import topics
from contracts.events.envelope import Open, StateEvent
from contracts.events.topics import Topic
from contracts.money import Money
from contracts.vocabulary import DocumentKind, DocumentReason, InvoiceStatus


class InvoiceState(StateEvent):
    """The public state of an invoice. No line, service or person: those stay in the invoice service.

    `seller_name`, `locale` and `time_zone` are the clinic's when it was issued; an earlier release leaves them out.
    """

    key_field: ClassVar[str] = "invoice_id"

    invoice_id: UUID
    client_id: UUID
    number: str
    status: Open[InvoiceStatus]
    """`unknown` counts as open and not payable (`vocabulary.is_open`, `is_payable`); the amounts decide what is due."""
    total: Money
    due_before_payments: Money
    """The total less credit notes and write-offs; zero once void. The payment service subtracts payments from it."""
    settled: Money
    """The sum of the movements that count towards what is due (`vocabulary.COUNTED_MOVEMENTS`)."""
    issued_on: date
    due_on: date
    being_checked: bool = False
    """A payment or another movement could not be applied to it yet: do not ask anybody to pay it."""
    seller_name: str | None = None
    locale: str | None = None
    time_zone: str | None = None
    pay_link_generation: int = Field(default=0, strict=True, ge=0)
    """Pay links of an earlier generation have ended."""

    @property
    def due(self) -> Money:
        return self.due_before_payments - self.settled


class TaxAmount(BaseModel):
    """The sum that one tax is charged on, and the tax. A sum that bears two taxes is in the net of both."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    code: str
    percent: str
    net: Money
    tax: Money


class Sums(BaseModel):
    """The sums of a document: `net`, `tax` and `rounding` sum to `total`."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    net: Money
    tax: Money
    rounding: Money
    total: Money
    taxes: tuple[TaxAmount, ...]


class InvoiceDocument(Sums):
    """A correction of an invoice. All sums are taken off the invoice, so they are not below zero."""

    id: UUID
    kind: DocumentKind
    number: str | None
    """Of a credit note alone."""
    reason: Open[DocumentReason]
    issued_on: date
    new_invoice_id: UUID | None = None
    """The invoice that was issued in its place."""


class InvoiceCreated(InvoiceState):
    """A clinic issued an invoice."""

    topic: ClassVar[Topic] = topics.INVOICE_CREATED

    sums: Sums | None = None
    """An earlier release leaves it out."""


class InvoiceUpdated(InvoiceState):
    """An invoice's amounts or status changed, but the change did not pay it."""

    topic: ClassVar[Topic] = topics.INVOICE_UPDATED


class InvoicePaid(InvoiceState):
    """Nothing is due on the invoice any more."""

    topic: ClassVar[Topic] = topics.INVOICE_PAID


class InvoiceOverdue(InvoiceState):
    """The day after its due date began at the clinic, and something is to be paid. Once for each invoice."""

    topic: ClassVar[Topic] = topics.INVOICE_OVERDUE


class InvoiceCorrected(InvoiceState):
    """A document took a sum off the invoice. The state is the invoice's right after it."""

    document: InvoiceDocument


class InvoiceCredited(InvoiceCorrected):
    """A credit note or a write-off. The status says whether the rest is paid."""

    topic: ClassVar[Topic] = topics.INVOICE_CREDITED


class InvoiceVoided(InvoiceCorrected):
    """The invoice was canceled: nothing was paid on it, and nothing is to be paid."""

    topic: ClassVar[Topic] = topics.INVOICE_VOIDED


INVOICE_STATES: Final = (
    InvoiceCreated,
    InvoiceUpdated,
    InvoicePaid,
    InvoiceCredited,
    InvoiceVoided,
    InvoiceOverdue,
)
"""Every event with the state of an invoice: a reader that keeps a copy consumes them all."""
