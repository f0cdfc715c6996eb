"""The changes that observations of disputes make: read and lock in one step each, decide without I/O, then save.

A batch of the consumers takes each step in all rooms before the next step, see `consumers`. But disputes are decided
when the other rooms are saved: what a dispute takes depends on what is kept of its payment, and is still credit.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from contracts.events.envelope import CloudEvent, Event
from contracts.events.stripe import StripeEvent
from contracts.vocabulary import UNREFUNDABLE_DISPUTES
from services.chassis import clock
from services.chassis.db.database import Connection, Key
from services.payment.credit import store as credit
from services.payment.disputes import domain, store
from services.payment.disputes.domain import Dispute, DisputeChange, Holding, Kept
from services.payment.ledger import actions as ledger
from services.payment.ledger.domain import Booking, CreditKey, Entry, credit_keys
from services.payment.payments import excess
from services.payment.payments import store as payments_store
from services.payment.payments.domain import Payment
from services.payment.payments.origins import Known, Register, names_in
from services.payment.receivables import store as receivables
from services.payment.receivables.domain import Receivable
from services.payment.stripe.origins import Foreign


@dataclass(frozen=True, slots=True)
class Observed:
    """Events about disputes of our payments, each with its payment, and events about others."""

    ours: Sequence[tuple[StripeEvent, Known]] = ()
    foreign: Sequence[Foreign] = ()

    @property
    def payments(self) -> set[Key]:
        return {known.key for _, known in self.ours}

    @property
    def refusing(self) -> set[Key]:
        """The payments whose money the bank has by these events: they cannot be refunded."""
        return {known.key for event, known in self.ours if event.status in UNREFUNDABLE_DISPUTES}

    @property
    def receivables(self) -> set[Key]:
        return {(known.key[0], each) for _, known in self.ours for each in known.receivable_ids}


@dataclass(frozen=True, slots=True)
class Money:
    """The sums kept of payments now: their shares, the used parts of their surpluses and the parts that came back, and
    their clients' credit."""

    shares: Mapping[Key, Sequence[Kept]] = field(default_factory=dict)
    used: Mapping[Key, int] = field(default_factory=dict)
    came_back: Mapping[Key, int] = field(default_factory=dict)
    credit: Mapping[CreditKey, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decided:
    """Disputes and money of payments as they will be, each change with its event, and disputes to ask Stripe about."""

    changes: Sequence[tuple[DisputeChange, StripeEvent]] = ()
    holdings: Mapping[Key, Holding] = field(default_factory=dict)
    receivables: Mapping[Key, Receivable] = field(default_factory=dict)
    doubtful: frozenset[Key] = frozenset()

    @property
    def booking(self) -> Booking:
        events: list[tuple[Event, CloudEvent | None]] = [
            (event, cause)
            for change, cause in self.changes
            for event in (*change.movements, change.fact)
            if event is not None
        ]
        return Booking(
            entries=[entry for change, _ in self.changes for entry in change.entries],
            movements=[movement for change, _ in self.changes for movement in change.movements],
            events=events,
        )


async def read_observed(tx: Connection, events: Sequence[StripeEvent]) -> Observed:
    """Find the payments whose disputes the events are about, by their intents. Locks nothing.

    A dispute carries no metadata of ours: an intent that a row of ours holds is ours by its seal.
    """
    if not events:
        return Observed()
    known = Register(await payments_store.find_payments(tx, (), names_in(events)[1]))
    ours: list[tuple[StripeEvent, Known]] = []
    foreign: list[Foreign] = []
    for event in events:
        about = known.about(event.model_copy(update={"payment_id": None}))
        if isinstance(about, Known):
            ours.append((event, about))
        else:
            foreign.append((event, about))
    return Observed(ours, foreign)


async def lock_observed(
    tx: Connection, observed: Observed, paid: Mapping[Key, Payment], entries: Sequence[Entry] = ()
) -> Mapping[Key, Dispute]:
    """Lock the disputes, then the credit that they and these entries may change. Their payments are locked before."""
    named = {(about.key[0], domain.id_of(about.key, event.object_id)) for event, about in observed.ours}
    disputes = await store.lock_disputes(tx, named) if named else {}
    keys = credit_keys(entries) | {_credit_key(paid[key]) for key in observed.payments}
    if keys:
        await credit.lock_credit(tx, keys)
    return disputes


def _credit_key(payment: Payment) -> CreditKey:
    return payment.clinic_id, payment.client_id, payment.currency


async def apply(
    tx: Connection,
    observed: Observed,
    locked: Mapping[Key, Dispute],
    paid: Mapping[Key, Payment],
    owed: Mapping[Key, Receivable],
) -> None:
    """Decide and save, with payments and receivables as they are by now. Raises a `StripeMismatch`."""
    if not observed.ours:
        return
    shares, used, came_back = await store.read_kept(tx, observed.payments)
    balances = await store.get_credit(tx, {_credit_key(paid[key]) for key in observed.payments})
    reopening = await store.list_reopening(tx, {key[0] for key in observed.payments})
    now = clock.now()
    decided = decide(observed, locked, Money(shares, used, came_back, balances), paid, owed, reopening, now)
    await _save(tx, decided)
    await ledger.book(tx, decided.booking)
    await _move_excess(tx, decided, now)


def decide(
    observed: Observed,
    locked: Mapping[Key, Dispute],
    money: Money,
    paid: Mapping[Key, Payment],
    owed: Mapping[Key, Receivable],
    reopening: Collection[UUID],
    now: datetime,
) -> Decided:
    """The effects of the events, one after the other. Raises a `StripeMismatch`."""
    disputes, balances, owed = dict(locked), dict(money.credit), dict(owed)
    holdings: dict[Key, Holding] = {}
    changes: list[tuple[DisputeChange, StripeEvent]] = []
    doubtful: set[Key] = set()
    for event, about in observed.ours:
        payment = paid[about.key]
        receivables_now = {each: owed[payment.clinic_id, each] for each in about.receivable_ids}
        before = holdings.get(about.key) or _holding(payment, money)
        holding = replace(before, credit=balances.get(_credit_key(payment), 0), receivables=receivables_now)
        key = (payment.clinic_id, domain.id_of(payment.key, event.object_id))
        if domain.is_doubtful(disputes.get(key), event):
            doubtful.add(key)
        change = domain.observe(disputes.get(key), holding, event, payment.clinic_id in reopening, now)
        disputes[key], holdings[about.key] = change.dispute, change.holding
        balances[_credit_key(payment)] = change.holding.credit
        owed.update({each.key: each for each in change.holding.receivables.values()})
        changes.append((change, event))
    return Decided(changes, holdings, {key: owed[key] for key in observed.receivables}, frozenset(doubtful))


def _holding(payment: Payment, money: Money) -> Holding:
    shares = tuple(money.shares.get(payment.key, ()))
    moved = sum(share.moved for share in shares)
    surplus = payment.surplus + moved - money.used.get(payment.key, 0)
    return Holding(payment, shares, surplus, 0, {}, money.came_back.get(payment.key, 0))


async def _save(tx: Connection, decided: Decided) -> None:
    """Keep disputes, shares and receivables as they were decided. The rows are locked."""
    newest = {change.dispute.key: change.dispute for change, _ in decided.changes}
    await store.save_disputes(tx, newest.values(), decided.doubtful)
    if any(change.entries for change, _ in decided.changes):
        await store.save_kept(tx, decided.holdings.values())
        await receivables.save_receivables(tx, list(decided.receivables.values()))


async def _move_excess(tx: Connection, decided: Decided, now: datetime) -> None:
    """Make credit of what came back to a receivable that is not due that much any more. The rest is booked."""
    came_back = {
        movement.invoice_key: movement.stripe_object_id
        for change, _ in decided.changes
        for movement in change.movements
        if movement.amount.minor > 0 and decided.receivables[movement.invoice_key].excess_amount
    }
    if not came_back:
        return
    kept = await payments_store.list_paid(tx, came_back)
    moved = [
        part
        for key, cause in came_back.items()
        for part in excess.take_off(decided.receivables[key], kept.get(key, []), now, cause)
    ]
    await payments_store.save_moved(tx, moved)
    await receivables.save_receivables(tx, excess.left(moved))
    movements = [each.movement for each in moved]
    await ledger.book(
        tx, Booking([each.entry for each in moved], movements, [(each, None) for each in movements])
    )
