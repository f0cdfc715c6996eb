"""The double-entry ledger: pure functions that build balanced entries.

Debits are positive, credits negative, and an entry's postings sum to zero in each currency. Four accounts:
`stripe` is money that Stripe holds for the clinic, `receivable` is what clients still owe on receivables,
`client_credit` is what the clinic owes a client, `refund_pending` is credit on its way back to the payment
method that it came from.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from contracts.events.envelope import CloudEvent, Event, event_id
from contracts.events.payment import PaymentSettled
from services.chassis.errors import DomainError
from services.chassis.ids import made_at

CreditKey = tuple[UUID, UUID, str]
"""(clinic, client, currency) of a credit balance."""
Account = Literal["stripe", "receivable", "client_credit", "refund_pending"]
Effect = Literal["capture", "refund", "refund_paid", "refund_returned"]


@dataclass(frozen=True, slots=True)
class Posting:
    """One line of an entry. `amount` in minor units: debit positive, credit negative, never zero."""

    account: Account
    amount: int
    currency: str
    client_id: UUID | None = None
    receivable_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One effect of one Stripe object. (clinic, stripe_object_id, effect) is booked once, for ever."""

    clinic_id: UUID
    id: UUID
    payment_id: UUID
    stripe_object_id: str
    effect: Effect
    booked_at: datetime
    postings: tuple[Posting, ...]

    def __post_init__(self) -> None:
        if unbalanced(self.postings):
            raise ValueError(f"entry {self.id} does not balance")


@dataclass(frozen=True, slots=True)
class Booking:
    """Entries and movements to book, and events to publish, each with its cause."""

    entries: Sequence[Entry] = ()
    movements: Sequence[PaymentSettled] = ()
    events: Sequence[tuple[Event, CloudEvent | None]] = ()

    def __add__(self, other: "Booking") -> "Booking":
        return Booking(
            [*self.entries, *other.entries],
            [*self.movements, *other.movements],
            [*self.events, *other.events],
        )


def entry_id(moved_by: UUID, effect: str, clinic_id: UUID, stripe_object_id: str) -> UUID:
    """The id of an entry, made from our id of the payment or refund that moves the money.

    Our id was committed before Stripe was called, and Stripe's object carries it. So an entry that is booked again has
    the same id, even in a service that was restored from a backup.
    """
    return event_id(made_at(moved_by), effect, clinic_id, stripe_object_id)


def allocate(amount: int, limits: Iterable[tuple[UUID, int]]) -> dict[UUID, int]:
    """Share out an amount in the order given: to each id at most its limit, until nothing is left."""
    parts: dict[UUID, int] = {}
    for each, limit in limits:
        parts[each] = min(limit, amount)
        amount -= parts[each]
    return parts


def unbalanced(postings: tuple[Posting, ...]) -> dict[str, int]:
    """The sum of the postings in each currency where it is not zero; empty for a balanced set."""
    sums: dict[str, int] = {}
    for posting in postings:
        sums[posting.currency] = sums.get(posting.currency, 0) + posting.amount
    return {currency: amount for currency, amount in sums.items() if amount}


def credit_keys(entries: Iterable[Entry]) -> set[CreditKey]:
    """The credit balances that the entries change."""
    return {
        (entry.clinic_id, posting.client_id, posting.currency)
        for entry in entries
        for posting in entry.postings
        if posting.client_id is not None
    }


def capture(amount: int, currency: str, settled: Mapping[UUID, int], client_id: UUID) -> tuple[Posting, ...]:
    """Postings for `amount` that Stripe charged: `settled` goes to receivables, the rest is credit."""
    surplus = amount - sum(settled.values())
    if surplus < 0 or min(settled.values(), default=0) < 0:
        raise ValueError("more is settled than was taken")
    receivable = tuple(
        Posting("receivable", -part, currency, receivable_id=receivable_id)
        for receivable_id, part in settled.items()
        if part
    )
    credit = (Posting("client_credit", -surplus, currency, client_id=client_id),) if surplus else ()
    return (Posting("stripe", amount, currency), *receivable, *credit)


def set_aside(amount: int, currency: str, client_id: UUID) -> tuple[Posting, ...]:
    """Postings for credit that is to be refunded."""
    return (
        Posting("client_credit", amount, currency, client_id=client_id),
        Posting("refund_pending", -amount, currency),
    )


def pay_out(amount: int, currency: str) -> tuple[Posting, ...]:
    """Postings for a refund that Stripe has sent."""
    return Posting("refund_pending", amount, currency), Posting("stripe", -amount, currency)


def give_back(amount: int, currency: str, client_id: UUID, held_by: Account) -> tuple[Posting, ...]:
    """Postings for a refund that failed: its sum in the account `held_by` is credit again."""
    return Posting(held_by, amount, currency), Posting(
        "client_credit", -amount, currency, client_id=client_id
    )


class CreditOverdrawn(DomainError):
    """More credit would be used than the client has."""

    code = "credit_overdrawn"
    status = 409
