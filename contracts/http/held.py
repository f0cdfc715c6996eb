"""Acts that are held and can be undone, and previews: bodies of the invoice and the payment service."""

from datetime import date, datetime
from uuid import UUID

from msgspec import UNSET, UnsetType, field

from contracts.http.common import Answer, Money
from contracts.http.payments import ShareOut
from contracts.vocabulary import (
    DocumentKind,
    DocumentReason,
    HeldKind,
    HeldState,
    InvoiceStatus,
    RefundDestination,
)


class PlannedTax(Answer, frozen=True, kw_only=True):
    """One tax of a planned document: the sum that it is charged on, and the tax."""

    code: str
    percent: str
    base: Money
    tax: Money


class PlannedLine(Answer, frozen=True, kw_only=True):
    """A line of the invoice, or a part of its quantity, that the credit note would take off; or a line of a new one."""

    position: int
    quantity: str
    net: Money
    tax: Money


class PlannedDocument(Answer, frozen=True, kw_only=True):
    """A document that would be made; it has no number before. All amounts would be taken off the invoice."""

    kind: DocumentKind
    reason: DocumentReason
    net: Money
    tax: Money
    rounding: Money
    total: Money
    taxes: list[PlannedTax]
    lines: list[PlannedLine]


class PlannedInvoice(Answer, frozen=True, kw_only=True):
    """The invoice that would be issued in place of another.

    It has no number before. Unless the request names its date, it has the one of the day on which it is issued.
    """

    client_id: UUID
    due_on: date
    net: Money
    tax: Money
    rounding: Money
    total: Money
    taxes: list[PlannedTax]
    lines: list[PlannedLine]


class PlannedPosting(Answer, frozen=True, kw_only=True):
    """One posting of the entry with which a refund begins: a debit above zero, a credit below."""

    account: str
    amount: Money
    invoice_id: UUID | None = None


class PlannedRefund(Answer, frozen=True, kw_only=True):
    """A refund that would be made. Each of `invoices` would get a movement `refund` of its amount below zero."""

    payment_id: UUID
    amount: Money
    to: RefundDestination
    invoices: list[ShareOut]
    postings: list[PlannedPosting]


class InvoiceAfter(Answer, frozen=True, kw_only=True):
    """The invoice as it would be: what is due and refunded then, and what would become its client's credit."""

    invoice_id: UUID
    status: InvoiceStatus
    due: Money
    refunded: Money
    becomes_credit: Money


class PreviewOut(Answer, frozen=True, kw_only=True):
    """The effect that an act would have now: what it posts, the invoices after it, and the client's e-mails by kind.

    `awaits_approval`: a refund of this sum first waits for another login or key.
    """

    document: PlannedDocument | None = None
    new_invoice: PlannedInvoice | UnsetType = UNSET
    refunds: list[PlannedRefund] = field(default_factory=list)
    invoices: list[InvoiceAfter] = field(default_factory=list)
    emails: list[str] = field(default_factory=list)
    awaits_approval: bool = False


class HeldActOut(Answer, frozen=True, kw_only=True):
    """A void, credit note, write-off, replacement or refund that is done at `due_at`, and can be undone until then.

    `subject_id` is the invoice, or the payment of a refund. `result_id` is the document or refund, once it is `done`:
    of a replacement the credit note, which names the new invoice.
    `undone`: by a call. `canceled`: something else made it void, such as a dispute. `changed`: when it was due it was
    refused, or its effect would have been another than its preview; it is an exception. `reason` says why, as a code.
    """

    id: UUID
    kind: HeldKind
    subject_id: UUID
    state: HeldState
    reason: str | None
    result_id: UUID | None
    created_at: datetime
    due_at: datetime
    ended_at: datetime | None
    preview: PreviewOut


class HeldActsOut(Answer, frozen=True, kw_only=True):
    """The acts that one request is held as: a refund for each payment that money goes back to."""

    held_acts: list[HeldActOut]
