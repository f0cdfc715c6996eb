"""The changes that observations of Stripe's make: read and lock in one step each, decide without I/O, then save.

A batch of the consumers takes each step in all rooms before the next step, see `consumers`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from opentelemetry import metrics

from contracts.events.stripe import StripeEvent
from contracts.vocabulary import RefundStatus
from services.chassis import clock
from services.chassis.db.database import Connection, Key
from services.payment.credit.actions import lock_changed_credit
from services.payment.ledger import actions as ledger
from services.payment.ledger.domain import Booking
from services.payment.payments.domain import Payment
from services.payment.refunds import domain, store
from services.payment.refunds.domain import Refund, RefundChange
from services.payment.refunds.origins import KnownRefund, refund_refused
from services.payment.stripe import origins
from services.payment.stripe.origins import Foreign

log = structlog.get_logger()

_made_elsewhere = metrics.get_meter("clinicpay").create_counter(
    "clinicpay.refunds.made_at_stripe", description="Events of refunds that were not made here, by type"
)


@dataclass(frozen=True, slots=True)
class Decided:
    """Each change with the event that caused it, and the events that are about no refund of ours."""

    changes: Sequence[tuple[RefundChange, StripeEvent | None]] = ()
    foreign: Sequence[Foreign] = ()

    @property
    def booking(self) -> Booking:
        return Booking(
            entries=[change.entry for change, _ in self.changes if change.entry],
            events=[(change.fact, cause) for change, cause in self.changes if change.fact],
        )


async def lock_observed(tx: Connection, events: Sequence[StripeEvent]) -> Mapping[Key, Refund]:
    """The refunds that the events name, as they are now."""
    keys = {(event.clinic, event.refund_id) for event in events if event.clinic and event.refund_id}
    return await store.lock_refunds(tx, keys) if keys else {}


def decide(
    events: Sequence[StripeEvent], locked: Mapping[Key, Refund], paid: Mapping[Key, Payment], now: datetime
) -> Decided:
    """The effects of the events. `paid` has payments that may just have changed. Raises a `StripeMismatch`.

    An event about no refund of ours is of one that was made at Stripe itself, or by another installation.
    """
    refunds_now = {key: _as_paid(refund, paid) for key, refund in locked.items()}
    changes: list[tuple[RefundChange, StripeEvent | None]] = []
    foreign: list[Foreign] = []
    for event in events:
        named = refunds_now.get((event.clinic, event.refund_id)) if event.clinic and event.refund_id else None
        about = _about(event, named)
        if not isinstance(about, Refund):
            foreign.append((event, about))
            continue
        change = domain.observe(about, event, now)
        refunds_now[about.key] = change.refund
        changes.append((change, event))
    return Decided(changes, foreign)


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


def report_made_elsewhere(foreign: Sequence[Foreign]) -> None:
    """Report refunds that were made at Stripe itself: nothing is booked for them. `verify` names them too."""
    for event, reason in foreign:
        log.warning(
            "refunded_at_stripe", reason=reason, event_type=event.event_type, object_id=event.object_id
        )
        _made_elsewhere.add(1, {"event_type": event.event_type})


async def apply_observations(tx: Connection, events: Sequence[StripeEvent]) -> None:
    """Apply what Stripe answered about refunds. Raises a `StripeMismatch`."""
    locked = await lock_observed(tx, events)
    decided = decide(events, locked, {}, clock.now())
    await _save(tx, decided)
    origins.count(decided.foreign)
    report_made_elsewhere(decided.foreign)


async def give_up_refund(tx: Connection, key: Key, status: RefundStatus, reason: str) -> None:
    """Give back the credit of a refund that Stripe provably has not. A refund that has moved on is left alone."""
    refund = (await store.lock_refunds(tx, {key})).get(key)
    if refund is None or refund.status != "created" or refund.stripe_refund_id is not None:
        return
    change = domain.give_up(refund, status, reason, clock.now())
    await _save(tx, Decided([(change, None)]))


async def _save(tx: Connection, decided: Decided) -> None:
    booking = decided.booking
    await lock_changed_credit(tx, booking.entries)
    await save_rows(tx, decided)
    await ledger.book(tx, booking)
