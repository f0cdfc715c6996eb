"""Invoices and clinics as payments need to know them. No I/O.

Amounts are integer minor units of `currency`.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from uuid import UUID

from contracts.events.invoice import InvoiceCorrected, InvoiceCreated, InvoiceState, Sums
from contracts.vocabulary import DocumentKind
from services.chassis.errors import DomainError, Unavailable
from services.chassis.ids import Key

UNKNOWN_MAY_COME = timedelta(days=1)
"""How long the `invoice.created` of an unknown invoice may still be on its way."""
JUST_ISSUED = "This invoice has only just been issued. Please try again in a moment."


class ReceivableUnknown(Unavailable):
    code = "payable_unknown"


class ReceivableBeingUpdated(DomainError):
    """Its status is one of a newer release: whether it is to be paid is not known here."""

    code = "invoice_being_updated"
    status = 409


class ReceivableNotFound(DomainError):
    code = "payable_not_found"
    status = 404


def may_still_come(unknown_id: UUID, now: datetime) -> bool:
    """Whether an unknown id, of an invoice or its client, is a young UUIDv7: `invoice.created` may be on its way."""
    millis = unknown_id.int >> 80
    return unknown_id.version == 7 and abs(now.timestamp() - millis / 1000) < UNKNOWN_MAY_COME.total_seconds()


@dataclass(frozen=True, slots=True)
class Clinic:
    """The settings of a clinic that payments depend on."""

    online_payment: bool
    methods: frozenset[str]
    currency: str
    least_part: int | None = None
    """The smallest part of an invoice that may be paid, in minor units of `currency`; None: no parts."""
    deposits: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """An invoice's issue, credit note, write-off or cancellation with its sums, as its event has them."""

    clinic_id: UUID
    id: UUID
    receivable_id: UUID
    kind: DocumentKind | Literal["issue"]
    number: str | None
    reason: str | None
    issued_on: date
    sums: Sums
    published_at: datetime


def document_of(event: InvoiceState) -> Document | None:
    """The document that the event brings; None for another change, and for an issue that an earlier release wrote."""
    if isinstance(event, InvoiceCorrected):
        made = event.document
        return Document(
            event.clinic_id,
            made.id,
            event.invoice_id,
            made.kind,
            made.number,
            made.reason,
            made.issued_on,
            made,
            event.time,
        )
    if isinstance(event, InvoiceCreated) and event.sums is not None:
        return Document(
            event.clinic_id,
            event.invoice_id,
            event.invoice_id,
            "issue",
            event.number,
            None,
            event.issued_on,
            event.sums,
            event.time,
        )
    return None


@dataclass(frozen=True, slots=True)
class Receivable:
    """An invoice as far as paying it goes. `due_amount` is before payments, `settled_amount` is our count.

    `returned_amount` is what refunds and disputes took of what was settled: it is not due again.
    `choice` is the newest choice of how to pay it, as a hash; None before the first.
    """

    clinic_id: UUID
    id: UUID
    client_id: UUID
    due_amount: int
    settled_amount: int
    currency: str
    status: str
    choice: bytes | None = None
    returned_amount: int = 0
    version: int = 0

    @property
    def key(self) -> Key:
        return self.clinic_id, self.id

    @property
    def open_amount(self) -> int:
        return max(0, self._due - self.settled_amount)

    @property
    def excess_amount(self) -> int:
        """The part of what was settled, and is not returned, that is no longer due."""
        return max(0, self.settled_amount - self.returned_amount - self._due)

    @property
    def _due(self) -> int:
        return 0 if self.status == "void" else self.due_amount
