"""The double-entry ledger: pure functions that build balanced entries.

Debits are positive, credits negative, and an entry's postings sum to zero in each currency. The accounts:
`stripe` is money that Stripe holds for the clinic, `receivable` is what clients still owe on receivables,
`client_credit` is what the clinic owes a client, `credit_reserved` is client's credit that a payment on its way is to
use, `refunded` is what was given back of a receivable's payments without a credit note, `refund_pending` is money on
its way back to the payment method that it came from. A dispute at the bank takes money of receivables into `disputed`,
money above all that is kept of its payment into `disputed_rest`, and a fee into `dispute_fee`.
`cash`, `terminal`, `bank` and `insurer` are money that the clinic took outside Stripe; `cash_difference` is what a
count of the cash found too much or missing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from contracts.events.envelope import CloudEvent, Event, event_id
from contracts.events.payment import PaymentSettled
from services.chassis.errors import DomainError
from services.chassis.ids import made_at

CreditKey = tuple[UUID, UUID, str]
"""(clinic, client, currency) of a credit balance."""
Account = Literal[
    "stripe",
    "receivable",
    "client_credit",
    "credit_reserved",
    "refund_pending",
    "refunded",
    "disputed",
    "disputed_rest",
    "dispute_fee",
    "cash",
    "terminal",
    "bank",
    "insurer",
    "cash_difference",
]
Effect = Literal[
    "capture",
    "excess",
    "record",
    "record_reversed",
    "credit_used",
    "credit_reserved",
    "credit_released",
    "cash_closed",
    "refund",
    "refund_paid",
    "refund_credited",
    "refund_returned",
    "dispute",
    "dispute_fee",
    "dispute_returned",
    "dispute_reopened",
]


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
    """One effect of one cause: of Stripe's object, or of a row of ours. (clinic, stripe_object_id, effect) is unique.

    `payment_id` is the payment whose money it is; None for a count of cash. `observed_by` is Stripe's event by which a
    capture is booked, or the sweep.
    """

    clinic_id: UUID
    id: UUID
    payment_id: UUID | None
    stripe_object_id: str
    effect: Effect
    booked_at: datetime
    postings: tuple[Posting, ...]
    observed_by: str | None = None

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


def entry_of(
    clinic_id: UUID,
    moved_by: UUID,
    payment_id: UUID,
    effect: Effect,
    cause: str,
    postings: Iterable[Posting],
    now: datetime,
    observed_by: str | None = None,
) -> Entry:
    """The entry of one effect of a payment, or of a refund of it (`moved_by`). `cause` names what had the effect."""
    return Entry(
        clinic_id=clinic_id,
        id=entry_id(moved_by, effect, clinic_id, cause),
        payment_id=payment_id,
        stripe_object_id=cause,
        effect=effect,
        booked_at=now,
        postings=tuple(postings),
        observed_by=observed_by,
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


def capture(
    amount: int, currency: str, settled: Mapping[UUID, int], client_id: UUID, taken_by: Account = "stripe"
) -> tuple[Posting, ...]:
    """Postings for `amount` that Stripe or the clinic took: `settled` goes to receivables, the rest is credit."""
    surplus = amount - sum(settled.values())
    if surplus < 0 or min(settled.values(), default=0) < 0:
        raise ValueError("more is settled than was taken")
    receivable = tuple(
        Posting("receivable", -part, currency, receivable_id=receivable_id)
        for receivable_id, part in settled.items()
        if part
    )
    credit = (Posting("client_credit", -surplus, currency, client_id=client_id),) if surplus else ()
    return (Posting(taken_by, amount, currency), *receivable, *credit)


def take_back(
    amount: int, currency: str, settled: Mapping[UUID, int], client_id: UUID, taken_by: Account
) -> tuple[Posting, ...]:
    """The opposite of `capture`, of the parts that are still settled: the rest is taken from the client's credit."""
    return tuple(
        Posting(each.account, -each.amount, currency, each.client_id, each.receivable_id)
        for each in capture(amount, currency, settled, client_id, taken_by)
    )


def use_credit(
    settled: Mapping[UUID, int], currency: str, client_id: UUID, *, reserved: bool = False
) -> tuple[Posting, ...]:
    """Postings for credit that pays receivables: the client's free credit, or credit that was `reserved` before."""
    used = sum(settled.values())
    return (
        Posting("credit_reserved", used, currency)
        if reserved
        else Posting("client_credit", used, currency, client_id=client_id),
        *(Posting("receivable", -part, currency, receivable_id=each) for each, part in settled.items()),
    )


def reserve_credit(amount: int, currency: str, client_id: UUID) -> tuple[Posting, ...]:
    """Postings for credit that a payment is to use; a negative amount releases it."""
    return (
        Posting("client_credit", amount, currency, client_id=client_id),
        Posting("credit_reserved", -amount, currency),
    )


def move_to_credit(amount: int, currency: str, receivable_id: UUID, client_id: UUID) -> tuple[Posting, ...]:
    """Postings for the part of a receivable's payments that is above what is due on it by now."""
    return (
        Posting("receivable", amount, currency, receivable_id=receivable_id),
        Posting("client_credit", -amount, currency, client_id=client_id),
    )


def set_aside(amount: int, currency: str, client_id: UUID, shares: Mapping[UUID, int]) -> tuple[Posting, ...]:
    """Postings for money that is to be refunded: `shares` of what settled receivables, the rest of the credit."""
    return (
        *_refunded(amount, currency, client_id, shares),
        Posting("refund_pending", -amount, currency),
    )


def _refunded(amount: int, currency: str, client_id: UUID, shares: Mapping[UUID, int]) -> tuple[Posting, ...]:
    """Postings of what a refund is of."""
    credit = amount - sum(shares.values())
    if credit < 0 or min(shares.values(), default=1) <= 0:
        raise ValueError("the shares are more than is refunded")
    of_receivables = tuple(
        Posting("refunded", part, currency, receivable_id=receivable_id)
        for receivable_id, part in shares.items()
    )
    of_credit = (Posting("client_credit", credit, currency, client_id=client_id),) if credit else ()
    return (*of_credit, *of_receivables)


def pay_out(amount: int, currency: str) -> tuple[Posting, ...]:
    """Postings for a refund that Stripe has sent."""
    return Posting("refund_pending", amount, currency), Posting("stripe", -amount, currency)


def pay_as_credit(amount: int, currency: str, client_id: UUID) -> tuple[Posting, ...]:
    """Postings for a refund that becomes its client's credit."""
    return (
        Posting("refund_pending", amount, currency),
        Posting("client_credit", -amount, currency, client_id=client_id),
    )


def give_back(
    amount: int, currency: str, client_id: UUID, held_by: Account, shares: Mapping[UUID, int]
) -> tuple[Posting, ...]:
    """Postings for a refund that failed: its sum in the account `held_by` is again what it was before."""
    before = _refunded(amount, currency, client_id, shares)
    return Posting(held_by, amount, currency), *(
        replace(posting, amount=-posting.amount) for posting in before
    )


def fee(amount: int, currency: str) -> tuple[Posting, ...]:
    """Postings for what Stripe takes for a dispute; below zero it gives it back."""
    return Posting("dispute_fee", amount, currency), Posting("stripe", -amount, currency)


class CreditOverdrawn(DomainError):
    """More credit would be used than the client has."""

    code = "credit_overdrawn"
    status = 409
