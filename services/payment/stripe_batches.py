"""What Stripe tells, applied: a batch locks in every room, in the order of `locks.ORDER`, then decides, then saves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from contracts.events import CloudEvent, Event
from contracts.stripe import StripeEvent
from contracts.vocabulary import RefundStatus
from services.chassis import clock
from services.chassis.db.database import Connection, Key
from services.chassis.outbox import outbox
from services.payment.ledger import domain as ledger
from services.payment.ledger import store as books
from services.payment.methods import actions as methods_actions
from services.payment.methods.actions import MethodNews
from services.payment.payments import lifecycle
from services.payment.payments import store as payments
from services.payment.payments.domain import Payable, Payment
from services.payment.payments.lifecycle import Change
from services.payment.receivables import store as payables
from services.payment.refunds import actions as refunds_actions
from services.payment.refunds import store as refunds
from services.payment.refunds.domain import Refund, RefundChange, give_up
from services.payment.stripe import origins
from services.payment.stripe.origins import Foreign, Known

_ABOUT_METHODS = ("payment_method.", "setup_", "customer.")
PaymentNews = tuple[StripeEvent, Key, list[Key]]
"""An event, its payment's key, and the keys of that payment's payables."""


@dataclass(frozen=True, slots=True)
class News:
    """A batch's events by what they are about, with the keys of the rows that they name; and those not ours."""

    payments: list[PaymentNews]
    refunds: list[StripeEvent]
    methods: MethodNews
    foreign: list[Foreign]


@dataclass(frozen=True, slots=True)
class Locked:
    """Rows that are locked, as they are now."""

    payables: Mapping[Key, Payable] = field(default_factory=dict)
    payments: Mapping[Key, Payment] = field(default_factory=dict)
    refunds: Mapping[Key, Refund] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decided:
    """All that a batch changes: rows as they will be, and each change with the event that caused it."""

    payables: Mapping[Key, Payable]
    payments: Mapping[Key, Payment]
    moved: Sequence[tuple[Change, StripeEvent | None]]
    refunded: Sequence[tuple[RefundChange, StripeEvent | None]] = ()

    @property
    def entries(self) -> list[ledger.Entry]:
        moved = [change.entry for change, _ in self.moved if change.entry]
        return moved + [change.entry for change, _ in self.refunded if change.entry]


async def apply_stripe_events(tx: Connection, events: Sequence[StripeEvent]) -> None:
    """Apply what Stripe tells, in a constant number of statements. Raises a `lifecycle.StripeMismatch`."""
    news = await _read(tx, events)
    locked, now = await _lock(tx, news), clock.now()
    decided = _decide_payments(news.payments, locked, now)
    refunded, foreign = refunds_actions.decide_refunds(news.refunds, locked.refunds, decided.payments, now)
    decided = replace(decided, refunded=refunded)
    await lock_credit(tx, decided.entries)
    await methods_actions.lock_methods(tx, news.methods)
    await save(tx, decided)
    await methods_actions.save_methods(tx, news.methods)
    # Last: a batch that refuses runs again event by event.
    origins.count([*news.foreign, *foreign, *news.methods.foreign])
    refunds_actions.tell_made_elsewhere(foreign)


async def _read(tx: Connection, events: Sequence[StripeEvent]) -> News:
    about_methods = [event for event in events if event.event_type.startswith(_ABOUT_METHODS)]
    about_refunds = [event for event in events if event.event_type.startswith("refund.")]
    about_payments = [
        event for event in events if event.event_type.startswith(("payment_intent.", "charge."))
    ]
    named, foreign = await _name_payments(tx, about_payments) if about_payments else ([], [])
    return News(named, about_refunds, await methods_actions.read_methods(tx, about_methods), foreign)


async def _lock(tx: Connection, news: News) -> Locked:
    locked = Locked()
    if news.payments:
        payable_keys = {key for _, _, keys in news.payments for key in keys}
        locked = Locked(
            payables=await payables.lock_payables(tx, payable_keys),
            payments=await payments.lock_payments(tx, {key for _, key, _ in news.payments}),
        )
    keys = {(event.clinic, event.refund_id) for event in news.refunds if event.clinic and event.refund_id}
    return replace(locked, refunds=await refunds.lock_refunds(tx, keys)) if keys else locked


async def lock_credit(tx: Connection, entries: Sequence[ledger.Entry]) -> None:
    """Lock the credit balances that the entries change: nearly always none."""
    credit = ledger.credit_keys(entries)
    if credit:
        await books.lock_credit(tx, credit)


def _decide_payments(named: Sequence[PaymentNews], locked: Locked, now: datetime) -> Decided:
    owed, paid = dict(locked.payables), dict(locked.payments)
    moved: list[tuple[Change, StripeEvent]] = []
    for event, key, _ in sorted(named, key=lambda each: _turn(each[0])):
        open_now = {share.payable_id: owed[key[0], share.payable_id] for share in paid[key].allocations}
        change = lifecycle.observe(paid[key], open_now, event, now)
        paid[key] = change.payment
        owed.update({payable.key: payable for payable in change.payables})
        moved.append((change, event))
    return Decided(owed, paid, moved)


def _turn(seen: StripeEvent) -> int:
    """A charge knows how it was paid: before its intent's success, which says so to all and does not know,
    and after earlier attempts, which were made otherwise."""
    return {"charge.succeeded": 1, "payment_intent.succeeded": 2}.get(seen.event_type, 0)


async def _name_payments(
    tx: Connection, seen: Sequence[StripeEvent]
) -> tuple[list[PaymentNews], list[Foreign]]:
    """Each event with its payment's key and its payables', and the events that are about no payment of ours.

    Raises `UnknownPayment` for an event about a payment of ours that we do not have.
    """
    known = origins.Register(await payments.find_payments(tx, *origins.names_in(seen)))
    named: list[PaymentNews] = []
    foreign: list[Foreign] = []
    for event in seen:
        about = known.about(event)
        if isinstance(about, Known):
            named.append((event, about.key, [(about.key[0], each) for each in about.payable_ids]))
        else:
            foreign.append((event, about))
    return named, foreign


async def save(tx: Connection, decided: Decided) -> None:
    """Keep rows, books and facts. What is empty is left out: the api's role may not book."""
    await _save_rows(tx, decided)
    if entries := decided.entries:
        await books.add_entries(tx, entries)
    movements = [movement for change, _ in decided.moved for movement in change.movements]
    if movements:
        await books.add_movements(tx, movements)
    facts: list[tuple[Event, CloudEvent | None]] = [
        (fact, cause)
        for change, cause in decided.moved
        for fact in (*change.movements, change.fact, change.update)
        if fact is not None
    ]
    facts += [(change.fact, cause) for change, cause in decided.refunded if change.fact]
    if facts:
        await outbox.add(tx, facts)


async def _save_rows(tx: Connection, decided: Decided) -> None:
    if decided.payments:
        await payments.save_payments(tx, decided.payments.values())
    touched = {payable.key for change, _ in decided.moved for payable in change.payables}
    if touched:
        await payables.save_payables(tx, [decided.payables[key] for key in touched])
    newest = {change.refund.key: change.refund for change, _ in decided.refunded}
    if newest:
        await refunds.save_refunds(tx, newest.values())


async def give_up_refund(tx: Connection, key: Key, status: RefundStatus, reason: str) -> None:
    """Give back the credit of a refund that Stripe provably has not; one that has moved on is left alone."""
    refund = (await refunds.lock_refunds(tx, {key})).get(key)
    if refund is None or refund.status != "created" or refund.stripe_refund_id is not None:
        return
    change = give_up(refund, status, reason, clock.now())
    decided = Decided({}, {}, [], [(change, None)])
    await lock_credit(tx, decided.entries)
    await save(tx, decided)
