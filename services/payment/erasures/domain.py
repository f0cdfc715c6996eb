"""The erasure of a client: what payment keeps of the person goes here and at Stripe. Money stays. Pure."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Held:
    """The ids at Stripe of a client, from before the erasure and on one account.

    customer   its id at Stripe; None where there is none, or the client paid or saved a method there since: the person
               is a client again, and keeps what is new
    methods    Stripe's ids of saved methods that go alone, since the customer stays
    """

    account: str
    customer: str | None
    methods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """The ids at Stripe of a client, by account. `pays`: a payment has not ended, which needs its customer."""

    held: tuple[Held, ...]
    pays: bool


@dataclass(frozen=True, slots=True)
class Erased:
    """A client of a clinic who was erased, and when."""

    clinic_id: UUID
    client_id: UUID
    erased_at: datetime
