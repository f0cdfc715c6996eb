"""The erasure of a client: what payment keeps of the person goes here and at Stripe. Money stays. Pure."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Known:
    """The rows that payment keeps of a client.

    customers   (account, Stripe id) of each customer that is still at Stripe, as far as we know
    pays        a payment of the client has not ended: its customer is needed
    came_back   the client paid or saved a method after the erasure: the person is a client again
    """

    customers: tuple[tuple[str, str], ...]
    pays: bool
    came_back: bool


@dataclass(frozen=True, slots=True)
class Erased:
    """A client of a clinic who was erased, and when."""

    clinic_id: UUID
    client_id: UUID
    erased_at: datetime
