"""Clients at Stripe and their saved payment methods. No I/O."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.events.envelope import Method
from services.chassis.errors import DomainError


class MethodNotFound(DomainError):
    code = "payment_method_not_found"
    status = 404


@dataclass(frozen=True, slots=True)
class Customer:
    """A client on one Stripe account. Without `stripe_id` it is still to be made, with `idempotency_key`."""

    clinic_id: UUID
    client_id: UUID
    account: str
    idempotency_key: str
    stripe_id: str | None

    @property
    def metadata(self) -> dict[str, str]:
        """The metadata at Stripe of the customer, and of a SetupIntent of it."""
        return {"clinic_id": str(self.clinic_id), "client_id": str(self.client_id)}


@dataclass(frozen=True, slots=True)
class SavedMethod:
    """A payment method that a client keeps. Ours by `id`, Stripe's by `stripe_id` on `account`."""

    clinic_id: UUID
    id: UUID
    client_id: UUID
    account: str
    stripe_id: str
    kind: str
    brand: str | None
    last4: str | None
    exp_month: int | None
    exp_year: int | None
    created_at: datetime

    @property
    def shown(self) -> Method:
        """As much of it as events may hold."""
        return Method(kind=self.kind, brand=self.brand, last4=self.last4)
