"""The changes that observations of Stripe's make: read and lock in one step each, decide without I/O, then save.

A batch of the consumers takes each step in all rooms before the next step, see `consumers`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from contracts.declines import KNOWN_DECLINES
from contracts.events.envelope import CloudEvent, Event
from contracts.events.stripe import StripeEvent
from contracts.vocabulary import LIVE_PAYMENTS, STARTABLE_PAYMENTS
from services.chassis import clock
from services.chassis.db.database import Connection, Key
from services.chassis.telemetry.metrics import OTHER, Counter
from services.payment.credit.actions import lock_changed_credit
from services.payment.ledger import actions as ledger
from services.payment.ledger.domain import Booking
from services.payment.payments import attempts, excess, lifecycle, lines, store
from services.payment.payments.attempts import FailedAttempt
from services.payment.payments.domain import Payment
from services.payment.payments.lifecycle import Change
from services.payment.payments.origins import Known, Register, names_in
from services.payment.receivables import store as receivables
from services.payment.receivables.domain import Receivable
from services.payment.stripe import origins
from services.payment.stripe.origins import Foreign

_states = Counter(
    "clinicpay.payment.state",
    "{change}",
    "New states of payments: `status`, and of a failed one the bank's code, or `other`",
    "status",
    "decline",
    known=[("succeeded", ""), ("failed", OTHER)],
)

Observation = tuple[StripeEvent, Key, list[Key]]
"""An event, its payment's key, and the keys of that payment's receivables."""


@dataclass(frozen=True, slots=True)
class Observed:
    """Events about payments of ours, and the events that are about none."""

    ours: Sequence[Observation]
    foreign: Sequence[Foreign]


@dataclass(frozen=True, slots=True)
class Locked:
    """Rows that are locked, as they are now."""

    payments: Mapping[Key, Payment] = field(default_factory=dict)
    receivables: Mapping[Key, Receivable] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decided:
    """Rows as they will be, each change with the event that caused it, payments to ask Stripe about, and attempts
    that failed.
    """

    payments: Mapping[Key, Payment]
    receivables: Mapping[Key, Receivable]
    changes: Sequence[tuple[Change, StripeEvent | None]]
    doubtful: frozenset[Key] = frozenset()
    failed: Sequence[FailedAttempt] = ()

    @property
    def booking(self) -> Booking:
        events: list[tuple[Event, CloudEvent | None]] = [
            (event, cause)
            for change, cause in self.changes
            for event in (*change.movements, change.fact, change.update)
            if event is not None
        ]
        return Booking(
            entries=[entry for change, _ in self.changes for entry in change.entries],
            movements=[movement for change, _ in self.changes for movement in change.movements],
            events=events,
        )


async def read_observed(tx: Connection, events: Sequence[StripeEvent]) -> Observed:
    """Find the payments that the events are about. Locks nothing.

    Raises `UnknownPayment` for an event about a payment of ours that is not here.
    """
    if not events:
        return Observed((), ())
    known = Register(await store.find_payments(tx, *names_in(events)))
    ours: list[Observation] = []
    foreign: list[Foreign] = []
    for event in events:
        about = known.about(event)
        if isinstance(about, Known):
            ours.append((event, about.key, [(about.key[0], each) for each in about.receivable_ids]))
        else:
            foreign.append((event, about))
    return Observed(ours, foreign)


async def lock_observed(
    tx: Connection, observed: Observed, others: Collection[Key] = (), other_payments: Collection[Key] = ()
) -> Locked:
    """Lock the payments and their receivables, and these other ones: all of one table at once."""
    receivable_keys = {key for _, _, keys in observed.ours for key in keys}.union(others)
    payment_keys = {key for _, key, _ in observed.ours}.union(other_payments)
    locked = await receivables.lock_receivables(tx, receivable_keys) if receivable_keys else {}
    payments = await store.lock_payments(tx, payment_keys) if payment_keys else {}
    return Locked(payments, locked)


def decide(observed: Observed, locked: Locked, now: datetime) -> Decided:
    """The effects of the observations, one after the other. Raises a `StripeMismatch`."""
    payments, owed = dict(locked.payments), dict(locked.receivables)
    changes: list[tuple[Change, StripeEvent | None]] = []
    doubtful: set[Key] = set()
    failed: list[FailedAttempt] = []
    for event, key, _ in sorted(observed.ours, key=lambda each: _rank(each[0])):
        shares = payments[key].allocations
        open_now = {share.receivable_id: owed[key[0], share.receivable_id] for share in shares}
        if lifecycle.is_doubtful(payments[key], event):
            doubtful.add(key)
        change = lifecycle.observe(payments[key], open_now, event, now)
        if event.event_type == attempts.FAILED:
            attempt = attempts.failed_attempt(payments[key], change.payment, event)
            failed += [attempt] if attempt else []
        payments[key] = change.payment
        owed.update({receivable.key: receivable for receivable in change.receivables})
        changes.append((change, event))
    return Decided(payments, owed, changes, frozenset(doubtful), failed)


def _rank(seen: StripeEvent) -> int:
    """A charge knows how it was paid. It comes before its intent's success, which is published and does not know,
    and after earlier attempts, which were made otherwise."""
    return {"charge.succeeded": 1, "payment_intent.succeeded": 2}.get(seen.event_type, 0)


async def save_rows(tx: Connection, decided: Decided) -> None:
    """Keep payments and receivables as they were decided. The rows are locked."""
    changed = {change.payment.key for change, _ in decided.changes}
    if changed:
        await store.save_payments(tx, [decided.payments[key] for key in changed])
    used = [change.used.payment for change, _ in decided.changes if change.used is not None]
    if used:
        await store.add_used_credit(tx, used)
    if decided.failed:
        await store.add_failed_attempts(tx, decided.failed)
    if decided.doubtful:
        await store.hurry_checks(tx, decided.doubtful)
    settled = {receivable.key for change, _ in decided.changes for receivable in change.receivables}
    if settled:
        await receivables.save_receivables(tx, [decided.receivables[key] for key in settled])


def tell(decided: Decided) -> None:
    """Count and log new states, last in a transaction: neither can be taken back."""
    for change, _ in decided.changes:
        if change.fact is not None:
            code = change.fact.failure_code or ""
            _states.add(1, change.fact.status, code if not code or code in KNOWN_DECLINES else OTHER)
            lines.tell(change.payment)


async def apply_observations(tx: Connection, events: Sequence[StripeEvent]) -> None:
    """Apply what Stripe answered about payments. Raises a `StripeMismatch`."""
    observed = await read_observed(tx, events)
    locked = await lock_observed(tx, observed)
    await _save(tx, decide(observed, locked, clock.now()))
    origins.count(observed.foreign)


async def give_up_payment(
    tx: Connection, key: Key, failure_code: str, *, intent_id: str | None = None, on_its_way: bool = False
) -> None:
    """End a payment that can take no money with the intent `intent_id`. A payment that has moved on is left alone.

    A payment whose money is on its way is ended only if `on_its_way`.
    """
    found = await store.find_payments(tx, {key}, ())
    await receivables.lock_receivables(
        tx, {(key[0], each) for known in found for each in known.receivable_ids}
    )
    locked = (await store.lock_payments(tx, {key})).get(key)
    may_end = LIVE_PAYMENTS if on_its_way else STARTABLE_PAYMENTS
    if locked is None or locked.intent_id != intent_id or locked.status not in may_end:
        return
    change = lifecycle.cancel(locked, clock.now(), failure_code)
    await _save(tx, Decided({key: change.payment}, {}, [(change, None)]))


async def move_to_credit(tx: Connection, keys: Collection[Key]) -> None:
    """Move what is too much on these receivables to their clients' credit, newest payments first."""
    locked = await receivables.lock_receivables(tx, keys)
    paid = await store.list_paid(tx, keys)
    now = clock.now()
    moved = [part for key, each in locked.items() for part in excess.take_off(each, paid.get(key, []), now)]
    if not moved:
        return
    entries = [each.entry for each in moved]
    await lock_changed_credit(tx, entries)
    await store.save_moved(tx, moved)
    await receivables.save_receivables(tx, excess.left(moved))
    movements = [each.movement for each in moved]
    await ledger.book(tx, Booking(entries, movements, [(movement, None) for movement in movements]))


async def _save(tx: Connection, decided: Decided) -> None:
    booking = decided.booking
    await lock_changed_credit(tx, booking.entries)
    await save_rows(tx, decided)
    await ledger.book(tx, booking)
    tell(decided)
