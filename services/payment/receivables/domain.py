"""Invoices and clinics as payments need to know them. No I/O.

Amounts are integer minor units of `currency`.
"""

from dataclasses import dataclass
from uuid import UUID

from services.chassis.errors import DomainError, Unavailable
from services.chassis.ids import Key


class ReceivableUnknown(Unavailable):
    code = "payable_unknown"


class ReceivableBeingUpdated(DomainError):
    """Its status is one of a newer release: whether it is to be paid is not known here."""

    code = "invoice_being_updated"
    status = 409


class ReceivableNotFound(DomainError):
    code = "payable_not_found"
    status = 404


@dataclass(frozen=True, slots=True)
class Clinic:
    """The settings of a clinic that payments depend on."""

    online_payment: bool
    methods: frozenset[str]


@dataclass(frozen=True, slots=True)
class Receivable:
    """An invoice as far as paying it goes. `due_amount` is before payments, `settled_amount` is our count.

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

    @property
    def key(self) -> Key:
        return self.clinic_id, self.id

    @property
    def open_amount(self) -> int:
        return 0 if self.status == "void" else max(0, self.due_amount - self.settled_amount)
