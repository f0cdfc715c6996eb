"""The changes that observations of Stripe's make: read and lock in one step each, decide without I/O, then save.

A batch of the consumers takes each step in all rooms before the next step, see `consumers`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from contracts.events.stripe import StripeEvent
from contracts.vocabulary import RefundStatus
from services.chassis import clock
from services.chassis.db.database import Connection, Key
from services.payment.credit.actions import lock_changed_credit
from services.payment.ledger import actions as ledger
from services.payment.ledger.domain import Booking
from services.payment.payments import excess
from services.payment.payments import store as payments
from services.payment.payments.domain import Payment
from services.payment.payments.excess import Excess, Paid
from services.payment.receivables import store as receivables
from services.payment.receivables.domain import Receivable
from services.payment.refunds import domain, store
from services.payment.refunds.domain import Refund, RefundChange
from services.payment.refunds.origins import KnownRefund, refund_refused
from services.payment.stripe import origins
from services.payment.stripe.origins import Foreign


@dataclass(frozen=True, slots=True)
class Locked:
    """Refunds as they are now, and what is kept on the receivables of the ones that may end without the money."""

    refunds: Mapping[Key, Refund] = field(default_factory=dict)
    kept: Mapping[Key, Sequence[Paid]] = field(default_factory=dict)
    canceled: frozenset[Key] = frozenset()
    """Refunds that have not begun, and never will: they end without the money."""


@dataclass(frozen=True, slots=True)
class Decided:
    """Each change with the event that caused it, events about no refund of ours, and refunds to ask Stripe about.

    `receivables` are the changed ones, `excess` is what became credit there since a refund ended without the money.
    """

    changes: Sequence[tuple[RefundChange, StripeEvent | None]] = ()
    foreign: Sequence[Foreign] = ()
    doubtful: frozenset[Key] = frozenset()
    receivables: Mapping[Key, Receivable] = field(default_factory=dict)
    excess: Sequence[Excess] = ()

    @property
    def booking(self) -> Booking:
        moved = [each.movement for each in self.excess]
        booking = Booking([each.entry for each in self.excess], moved, [(each, None) for each in moved])
        for change, cause in self.changes:
            booking = domain.booking_of(change, cause) + booking
        return booking


async def read_observed(tx: Connection, events: Sequence[StripeEvent]) -> set[Key]:
    """The receivables that the events' refunds are of. Locks nothing."""
    keys = _named(events)
    return await store.find_shares(tx, keys) if keys else set()


async def lock_observed(
    tx: Connection, events: Sequence[StripeEvent], canceled: frozenset[Key] = frozenset()
) -> Locked:
    """The refunds that the events name, as they are now, and the canceled ones. Their receivables are locked."""
    keys = _named(events) | canceled
    if not keys:
        return Locked()
    locked = await store.lock_refunds(tx, keys)
    ending = {key for event in events if domain.ends_without_money(event) for key in _named([event])}
    given_back = {key for name in (ending | canceled) & locked.keys() for key in locked[name].receivable_keys}
    return Locked(locked, await payments.list_paid(tx, given_back) if given_back else {}, canceled)


def _named(events: Sequence[StripeEvent]) -> set[Key]:
    return {(event.clinic, event.refund_id) for event in events if event.clinic and event.refund_id}


def decide(
    events: Sequence[StripeEvent],
    locked: Locked,
    paid: Mapping[Key, Payment],
    owed: Mapping[Key, Receivable],
    now: datetime,
) -> Decided:
    """The effects of the events. `paid` and `owed` may just have changed. Raises a `StripeMismatch`.

    An event about no refund of ours is of one that was made at Stripe itself, or by another installation.
    """
    refunds_now = {key: _as_paid(refund, paid) for key, refund in locked.refunds.items()}
    changes: list[tuple[RefundChange, StripeEvent | None]] = []
    foreign: list[Foreign] = []
    doubtful: set[Key] = set()
    for key in locked.canceled:
        reason = domain.NEVER_BEGUN.get(refunds_now[key].status)
        if reason is not None:
            change = domain.give_up(refunds_now[key], "canceled", reason, now)
            refunds_now[key] = change.refund
            changes.append((change, None))
    for event in events:
        named = refunds_now.get((event.clinic, event.refund_id)) if event.clinic and event.refund_id else None
        about = _about(event, named)
        if not isinstance(about, Refund):
            foreign.append((event, about))
            continue
        if domain.is_doubtful(about, event):
            doubtful.add(about.key)
        change = domain.observe(about, event, now)
        refunds_now[about.key] = change.refund
        changes.append((change, event))
    receivables_now, moved = give_back([change for change, _ in changes], owed, locked.kept, now)
    return Decided(changes, foreign, frozenset(doubtful), receivables_now, moved)


def give_back(
    changes: Sequence[RefundChange],
    owed: Mapping[Key, Receivable],
    kept: Mapping[Key, Sequence[Paid]],
    now: datetime,
) -> tuple[dict[Key, Receivable], list[Excess]]:
    """The receivables of refunds that ended without the money, and what became credit there.

    What the refund gives back settles its receivables again. Where less is due by now, the rest is too much.
    """
    after: dict[Key, Receivable] = {}
    left = {key: list(parts) for key, parts in kept.items()}
    moved: list[Excess] = []
    for change in changes:
        for key, part in _given_back(change):
            before = after.get(key, owed[key])
            receivable = replace(before, returned_amount=before.returned_amount - part)
            left[key] = _kept_again(left.get(key, []), change.refund.payment_id, part)
            too_much = excess.take_off(receivable, left[key], now, change.refund.idempotency_key)
            for each in too_much:
                left[key] = _kept_again(left[key], each.payment_id, -each.amount)
                receivable = replace(receivable, settled_amount=receivable.settled_amount - each.amount)
            after[key] = receivable
            moved += too_much
    return after, moved


def _given_back(change: RefundChange) -> list[tuple[Key, int]]:
    if not change.gives_back:
        return []
    return [((change.refund.clinic_id, each), part) for each, part in change.refund.parts.items()]


def _kept_again(kept: Sequence[Paid], payment_id: UUID, amount: int) -> list[Paid]:
    """The parts kept, with so much more of one payment, newest payment first."""
    of = {each.payment_id: each.kept_amount for each in kept}
    of[payment_id] = of.get(payment_id, 0) + amount
    return [Paid(each, of[each]) for each in sorted(of, reverse=True) if of[each]]


def _as_paid(refund: Refund, paid: Mapping[Key, Payment]) -> Refund:
    """The refund with the method that its payment is known to be made with by now."""
    payment = paid.get((refund.clinic_id, refund.payment_id))
    return replace(refund, method=payment.method) if payment else refund


def _about(seen: StripeEvent, named: Refund | None) -> Refund | origins.Reason:
    """The refund that an event names, or whose it is. Raises `UnknownRefund`."""
    known = None if named is None else KnownRefund.of(named)
    refused = refund_refused(seen, known)
    if refused is not None or named is None:
        return refused or origins.reason_of(seen)
    return named


async def save_rows(tx: Connection, decided: Decided) -> None:
    """Keep refunds as they were decided. The rows are locked."""
    newest = {change.refund.key: change.refund for change, _ in decided.changes}
    if newest:
        await store.save_refunds(tx, newest.values())
    await save_given_back(tx, decided)
    if decided.receivables:
        await receivables.save_receivables(tx, decided.receivables.values())
    if decided.doubtful:
        await store.hurry_checks(tx, decided.doubtful)


async def save_given_back(tx: Connection, decided: Decided) -> None:
    """Count on the payments' parts what is there again, and what of it became credit."""
    given_back = [
        change.refund for change, _ in decided.changes if change.gives_back and change.refund.shares
    ]
    if given_back:
        await store.change_refunded(tx, [(refund, -1) for refund in given_back])
    if decided.excess:
        await payments.save_moved(tx, decided.excess)


async def apply_observations(
    tx: Connection, events: Sequence[StripeEvent], canceled: frozenset[Key] = frozenset()
) -> None:
    """Apply what Stripe answered about refunds, and end the `canceled`. Raises a `StripeMismatch`."""
    of = await read_observed(tx, events) | await store.find_shares(tx, canceled)
    owed = await receivables.lock_receivables(tx, of)
    locked = await lock_observed(tx, events, canceled)
    decided = decide(events, locked, {}, owed, clock.now())
    booking = decided.booking
    await lock_changed_credit(tx, booking.entries)
    await save_rows(tx, decided)
    await ledger.book(tx, booking)
    origins.count(decided.foreign)


async def end_waiting(tx: Connection, key: Key) -> bool:
    """Cancel a refund, unless it has begun. False: only the worker may, as in `give_up_refund`."""
    owed = await receivables.lock_receivables(tx, await store.find_shares(tx, {key}))
    refund = (await store.lock_refunds(tx, {key})).get(key)
    if refund is None or refund.status not in domain.NEVER_BEGUN:
        return True
    return await _give_up(tx, refund, owed, "canceled", domain.NEVER_BEGUN[refund.status])


async def give_up_refund(tx: Connection, key: Key, status: RefundStatus, reason: str) -> None:
    """Give back the money of a refund that Stripe provably has not. A refund that has moved on is left alone.

    So is one whose money is by now too much on an invoice, for the api, which may not move it: the worker does.
    """
    owed = await receivables.lock_receivables(tx, await store.find_shares(tx, {key}))
    refund = (await store.lock_refunds(tx, {key})).get(key)
    if refund is None or refund.status != "created" or refund.stripe_refund_id is not None:
        return
    await _give_up(tx, refund, owed, status, reason)


async def _give_up(
    tx: Connection, refund: Refund, owed: Mapping[Key, Receivable], status: RefundStatus, reason: str
) -> bool:
    change, now = domain.give_up(refund, status, reason, clock.now()), clock.now()
    kept = await payments.list_paid(tx, owed) if owed else {}
    receivables_now, moved = give_back([change], owed, kept, now)
    if moved and not await store.may_move(tx):
        return False
    decided = Decided([(change, None)], receivables=receivables_now, excess=moved)
    booking = decided.booking
    await lock_changed_credit(tx, booking.entries)
    await store.save_refunds(tx, [change.refund])
    await save_given_back(tx, decided)
    if moved:
        await receivables.save_receivables(tx, receivables_now.values())
    elif receivables_now:
        await receivables.save_returned(tx, receivables_now.values())
    await ledger.book(tx, booking)
    return True
