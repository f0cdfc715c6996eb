"""Money that the clinic took outside Stripe, and credit that a client uses. Pure decisions; amounts in minor units.

Both are payments that have succeeded when they are recorded: no bank is asked. A recorded payment can be taken back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from operator import attrgetter
from uuid import UUID

from contracts.events.envelope import Event, Method, event_id
from contracts.events.payment import PaymentReversed, ReversedShare
from contracts.money import Money
from contracts.vocabulary import UNKNOWN, OutsideKind
from services.chassis.errors import DomainError
from services.chassis.ids import made_at
from services.payment.ledger import domain as ledger
from services.payment.ledger.domain import Account, Booking, CreditOverdrawn, Entry, allocate, entry_id
from services.payment.payments import identities
from services.payment.payments.bookings import entry_of, movement_of
from services.payment.payments.credit_uses import settle
from services.payment.payments.domain import Allocation, AlreadyPaid, AmountChanged, Payment, WrongAmount
from services.payment.payments.facts import FACTS, fact_about
from services.payment.receivables.domain import Receivable, ReceivableBeingUpdated, ReceivableNotFound

ACCOUNTS: Mapping[OutsideKind, Account] = {
    "cash": "cash",
    "terminal": "terminal",
    "bank_transfer": "bank",
    "insurer": "insurer",
}
"""The account of the ledger that holds the money of each kind."""


class NotRecordedHere(DomainError):
    """Money that Stripe took goes back by a refund, and used credit by a credit note."""

    code = "payment_not_recorded"
    status = 409


class NoCredit(DomainError):
    """The client has no credit in the currency, or nothing to use it for."""

    code = "no_credit_to_use"
    status = 409


class AlreadyReversed(DomainError):
    code = "already_reversed"
    status = 409


class ReceivedLater(DomainError):
    """Money cannot be received in the future."""

    code = "received_in_the_future"
    status = 422


class ReceivedLongAgo(DomainError):
    """A time that no reader can show in its own time zone, or that was mistyped."""

    code = "received_too_long_ago"
    status = 422


EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Taken:
    """Money to book for a client. `shares` gives each invoice's part; without them the oldest due are paid first."""

    client_id: UUID
    kind: OutsideKind
    amount: int
    currency: str
    shares: Mapping[UUID, int] | None
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Origin:
    """Where money was taken, what identifies it there, and for whom the caller acts. Each may be empty."""

    location: str
    reference: str
    on_behalf_of: str


@dataclass(frozen=True, slots=True)
class CreditWanted:
    """Credit to use: the invoices' parts, or as much as there is for what is due first."""

    client_id: UUID
    currency: str
    shares: Mapping[UUID, int] | None


@dataclass(frozen=True, slots=True)
class Count:
    """The cash that somebody counted at a location."""

    location: str
    currency: str
    counted: int
    note: str


@dataclass(frozen=True, slots=True)
class Booked:
    """A payment with its receivables and its booking."""

    payment: Payment
    receivables: Sequence[Receivable]
    booking: Booking


@dataclass(frozen=True, slots=True)
class Kept:
    """The part of a payment that is still on a receivable."""

    receivable_id: UUID
    amount: int


@dataclass(frozen=True, slots=True)
class Reversed:
    """The part that a receivable lost when its payment was taken back, and the sum due on it right after."""

    receivable_id: UUID
    amount: int
    due: int


def check(taken: Taken, now: datetime) -> None:
    """Refuse money that can be no payment, whatever is due.

    Raises `WrongAmount`, `ReceivedLater`, `ReceivedLongAgo`.
    """
    if taken.received_at > now:
        raise ReceivedLater("It cannot have been received in the future.", field="received_at")
    if taken.received_at < EARLIEST:
        raise ReceivedLongAgo(f"It cannot have been received before {EARLIEST.year}.", field="received_at")
    if taken.amount <= 0 or any(part <= 0 for part in (taken.shares or {}).values()):
        raise WrongAmount("An amount must be more than zero.")
    if sum((taken.shares or {}).values()) > taken.amount:
        raise WrongAmount("The invoices' parts are more than the amount.", field="invoices")


def parts_of(taken: Taken, owed: Sequence[Receivable]) -> dict[UUID, int]:
    """The part of the money for each receivable; the rest is credit. `owed` is in the order of payment.

    Raises `ReceivableNotFound`, `ReceivableBeingUpdated`, `AlreadyPaid`, `AmountChanged`.
    """
    if taken.shares is None:
        return _first_due(taken.amount, taken.currency, owed)
    return _checked(taken, taken.shares, owed)


def credit_parts(wanted: CreditWanted, free: int, owed: Sequence[Receivable]) -> dict[UUID, int]:
    """The part of the client's free credit for each receivable. `owed` is in the order of payment.

    Raises `NoCredit`, `CreditOverdrawn`, `WrongAmount`, and what `parts_of` raises.
    """
    if free == 0:
        raise NoCredit("The client has no credit in this currency.")
    shares = wanted.shares
    parts = _first_due(free, wanted.currency, owed) if shares is None else _checked(wanted, shares, owed)
    if not parts:
        raise NoCredit("Nothing is due that the credit could pay.")
    if sum(parts.values()) > free:
        raise CreditOverdrawn("The client has less credit than that.")
    return parts


def _first_due(amount: int, currency: str, owed: Sequence[Receivable]) -> dict[UUID, int]:
    ready = [each for each in owed if each.status != UNKNOWN and each.currency == currency]
    parts = allocate(amount, ((each.id, each.open_amount) for each in ready))
    return {receivable_id: part for receivable_id, part in parts.items() if part}


def _checked(
    taken: Taken | CreditWanted, shares: Mapping[UUID, int], owed: Sequence[Receivable]
) -> dict[UUID, int]:
    known = {each.id: each for each in owed}
    for receivable_id, part in shares.items():
        _check_part(taken, known.get(receivable_id), part)
    return dict(shares)


def _check_part(taken: Taken | CreditWanted, receivable: Receivable | None, part: int) -> None:
    if receivable is None or receivable.client_id != taken.client_id or receivable.currency != taken.currency:
        raise ReceivableNotFound("The client has no such invoice in this currency.")
    if receivable.status == UNKNOWN:
        raise ReceivableBeingUpdated("This invoice is being updated. Please try again in a few minutes.")
    if receivable.open_amount == 0:
        raise AlreadyPaid("There is nothing left to pay on this invoice.", invoice_id=str(receivable.id))
    if part > receivable.open_amount:
        raise AmountChanged(
            "This is more than is due on the invoice.",
            invoice_id=str(receivable.id),
            open={"minor": receivable.open_amount, "currency": receivable.currency},
        )


def record(
    taken: Taken,
    parts: Mapping[UUID, int],
    owed: Sequence[Receivable],
    *,
    clinic_id: UUID,
    payment_id: UUID,
    livemode: bool,
    now: datetime,
) -> Booked:
    """Book the money on the parts of receivables."""
    payment = Payment(
        clinic_id=clinic_id,
        id=payment_id,
        client_id=taken.client_id,
        account="",
        livemode=livemode,
        status="succeeded",
        amount=taken.amount,
        currency=taken.currency,
        kind=taken.kind,
        save=False,
        idempotency_key=f"recorded-{payment_id}",
        created_at=now,
        updated_at=now,
        succeeded_at=taken.received_at,
        method=Method(kind=taken.kind),
        allocations=tuple(Allocation(each, part, "settled", part) for each, part in parts.items()),
    )
    payment = replace(payment, version=1, fact_id=identities.of_fact(payment, FACTS["succeeded"].topic.name))
    postings = ledger.capture(taken.amount, taken.currency, parts, taken.client_id, ACCOUNTS[taken.kind])
    entry = entry_of(payment, "record", postings, now, payment.idempotency_key)
    movements = [
        movement_of(payment, receivable_id, "payment", part, now) for receivable_id, part in parts.items()
    ]
    events: list[Event] = [*movements, fact_about(payment)]
    booking = Booking([entry], movements, [(event, None) for event in events])
    return Booked(payment, settle(owed, parts), booking)


def take_back(payment: Payment, kept: Sequence[Kept], owed: Sequence[Receivable], now: datetime) -> Booked:
    """Take a recorded payment back: what it still pays is due again, the rest is taken from the client's credit."""
    parts = {each.receivable_id: each.amount for each in kept if each.amount}
    account = ACCOUNTS[payment.kind]  # type: ignore[index]
    postings = ledger.take_back(payment.amount, payment.currency, parts, payment.client_id, account)
    entry = entry_of(payment, "record_reversed", postings, now, payment.idempotency_key)
    # By its time, since a restore may lose it: staff take the payment back again, and that counts.
    cause = now.isoformat()
    movements = [movement_of(payment, each, "reversal", -part, now, cause) for each, part in parts.items()]
    due_again = [
        replace(each, settled_amount=each.settled_amount - parts[each.id])
        for each in owed
        if each.id in parts
    ]
    lost = [Reversed(each.id, parts[each.id], each.open_amount) for each in due_again]
    events: list[Event] = [*movements, reversal_of(payment, lost, now)]
    return Booked(payment, due_again, Booking([entry], movements, [(event, None) for event in events]))


def reversal_of(payment: Payment, lost: Sequence[Reversed], at: datetime) -> PaymentReversed:
    """Build `payment.reversed` of a payment that was taken back. The same rows give the same event again."""

    def money(minor: int) -> Money:
        return Money(minor=minor, currency=payment.currency)

    assert payment.method is not None, "staff say how they took it"
    return PaymentReversed(
        id=event_id(made_at(payment.id), PaymentReversed.topic.name, payment.id),
        time=at,
        clinic_id=payment.clinic_id,
        payment_id=payment.id,
        client_id=payment.client_id,
        amount=money(payment.amount),
        method=payment.method,
        invoices=tuple(
            ReversedShare(invoice_id=each.receivable_id, amount=money(each.amount), due=money(each.due))
            for each in sorted(lost, key=attrgetter("receivable_id"))
        ),
    )


def count_cash(
    closing_id: UUID, clinic_id: UUID, currency: str, expected: int, counted: int, now: datetime
) -> Entry | None:
    """The entry of the difference between the cash that was counted and the cash in the books; None for none."""
    difference = counted - expected
    if not difference:
        return None
    return Entry(
        clinic_id=clinic_id,
        id=entry_id(closing_id, "cash_closed", clinic_id, f"closing:{closing_id}"),
        payment_id=None,
        stripe_object_id=f"closing:{closing_id}",
        effect="cash_closed",
        booked_at=now,
        postings=(
            ledger.Posting("cash", difference, currency),
            ledger.Posting("cash_difference", -difference, currency),
        ),
    )
