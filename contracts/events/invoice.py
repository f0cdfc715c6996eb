"""Events of an invoice."""

from datetime import date
from typing import ClassVar
from uuid import UUID

from contracts.events import topics
from contracts.events.envelope import Open, StateEvent
from contracts.events.topics import Topic
from contracts.money import Money
from contracts.vocabulary import InvoiceStatus


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
    """The total less credit notes; zero once void. The payment service subtracts payments from it."""
    settled: Money
    issued_on: date
    due_on: date
    being_checked: bool = False
    """A payment or another movement could not be applied to it yet: do not ask anybody to pay it."""
    seller_name: str | None = None
    locale: str | None = None
    time_zone: str | None = None

    @property
    def due(self) -> Money:
        return self.due_before_payments - self.settled


class InvoiceCreated(InvoiceState):
    """A clinic issued an invoice."""

    topic: ClassVar[Topic] = topics.INVOICE_CREATED


class InvoiceUpdated(InvoiceState):
    """An invoice's amounts or status changed, but the change did not pay it."""

    topic: ClassVar[Topic] = topics.INVOICE_UPDATED


class InvoicePaid(InvoiceState):
    """Nothing is due on the invoice any more."""

    topic: ClassVar[Topic] = topics.INVOICE_PAID
