"""Refunds that were made at Stripe itself, of payments of ours: booked as our own, with where they were made.

An event, or the daily list, only says that a payment has to be compared: then Stripe is asked for all its refunds.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

import structlog

from contracts.events.stripe import StripeEvent
from services.chassis import clock, exceptions
from services.chassis.db.database import Connection, Key
from services.chassis.errors import DomainError
from services.chassis.exceptions import Exceptional, Ways
from services.chassis.http.auth import Caller
from services.chassis.ids import new_id
from services.chassis.queue import queue
from services.chassis.queue.domain import NewTask
from services.payment.credit.store import lock_credit
from services.payment.ledger import actions as ledger
from services.payment.ledger.domain import Booking
from services.payment.payments import store as payments
from services.payment.payments.domain import Payment, WrongAmount, WrongCurrency
from services.payment.receivables import store as receivables
from services.payment.receivables.domain import Receivable
from services.payment.refunds import changes, domain, held, reads, store
from services.payment.refunds.domain import NothingToRefund, Refund, RefundTooLarge
from services.payment.refunds.elsewhere import RefundedAtStripe
from services.payment.refunds.planning import (
    PaymentRefundRequest,
    Plan,
    Refundable,
    add_returned,
    plan_payment,
)
from services.payment.stripe.origins import Foreign, is_lost

log = structlog.get_logger()

TASK = "compare_refunds"
"""The task that compares a payment's refunds with Stripe's. Its payload names the payment."""
Intent = tuple[str, str]
"""(account, PaymentIntent)."""
EXCEPTION = "refund_at_stripe"
"""The exception for a refund at Stripe that cannot be booked."""


async def look_into(tx: Connection, foreign: Iterable[Foreign]) -> None:
    """Have the payments of ours compared that these refunds of Stripe's are of. Refunds of others stay theirs."""
    seen = [event for event, _ in foreign if event.payment_intent]
    known = await _payments_of(tx, seen) if seen else {}
    await _compare(tx, [(known[_intent(event)], event) for event in seen if _intent(event) in known])


async def look_for_unbooked(tx: Connection, seen: Sequence[StripeEvent]) -> None:
    """`look_into` the ones that are neither booked nor our own."""
    known = await _payments_of(tx, seen)
    found = [(known[_intent(event)], event) for event in seen if _intent(event) in known]
    names = {(event.clinic, event.refund_id) for _, event in found if event.clinic and event.refund_id}
    here = await store.find_refunds(tx, names | {_key(*each) for each in found})
    unbooked = [
        (payment, event)
        for payment, event in found
        if here.keys().isdisjoint({_key(payment, event), (event.clinic, event.refund_id)})
    ]
    await _compare(tx, unbooked)


async def _payments_of(tx: Connection, seen: Sequence[StripeEvent]) -> dict[Intent, Key]:
    found = await payments.find_payments(tx, (), {_intent(event) for event in seen})
    return {(account, intent): each.key for each in found for account, intent in [each.intent] if intent}


async def _compare(tx: Connection, found: Sequence[tuple[Key, StripeEvent]]) -> None:
    """One task for each payment: it compares all of its refunds."""
    events = dict(found)
    tasks = [
        NewTask(clinic_id, event.id, payload={"payment_id": str(payment_id)})
        for (clinic_id, payment_id), event in events.items()
    ]
    await queue.enqueue(tx, TASK, tasks)


def _intent(seen: StripeEvent) -> Intent:
    return seen.account or "", seen.payment_intent or ""


def _key(payment: Key, seen: StripeEvent) -> Key:
    return payment[0], domain.id_at_stripe(payment[1], seen.object_id)


async def cancel_unbegun(tx: Connection, payment: Payment, seen: StripeEvent) -> None:
    """Cancel our own refunds of the payment that have not begun, if its rest does not cover this one of Stripe's.

    Their money has gone. One that goes to credit would give it once more, and nobody would ask Stripe about that.
    """
    key = _key(payment.key, seen)
    if await _is_our_own(tx, seen) or not domain.may_send(seen):
        return
    if key in await store.find_refunds(tx, {key}) or await store.is_reported(tx, key, EXCEPTION):
        return
    left = await reads.get_refundable(tx, payment.clinic_id, payment.id, payment.livemode)
    try:
        _planned(payment, seen, left)
    except (NothingToRefund, RefundTooLarge):
        canceled = await held.cancel_held(tx, {payment.key}, RefundedAtStripe.code)
        await receivables.lock_receivables(tx, held.keys_of(payment))
        canceled |= await store.lock_waiting(tx, payment.key)
        await changes.apply_observations(tx, (), canceled)
    except DomainError:
        return  # `book` says so.


async def book(tx: Connection, payment: Payment, seen: StripeEvent) -> None:
    """Book a refund of the payment that Stripe has and we have not, or what became of one that we have.

    One of our own is left alone: its row, or its adoption, brings it. One that cannot be booked is an exception.
    """
    if await _is_our_own(tx, seen):
        return
    key = _key(payment.key, seen)
    named = as_named(seen, key, payment.id)
    if key in await store.find_refunds(tx, {key}):
        await changes.apply_observations(tx, [named])
        return
    if not domain.may_send(seen):
        return  # It ended before we knew of it: no money went.
    owed = await receivables.lock_receivables(
        tx, {(payment.clinic_id, share.receivable_id) for share in payment.allocations}
    )
    await lock_credit(tx, {(payment.clinic_id, payment.client_id, payment.currency)})
    if key in await store.find_refunds(tx, {key}):
        return  # Another process was faster.
    left = await reads.get_refundable(tx, payment.clinic_id, payment.id, payment.livemode)
    try:
        amount, plan = _planned(payment, seen, left)
    except DomainError as refused:
        await _report(tx, key, payment, seen, left, refused.code)
        return
    rows = [(key[1], payment.id, amount)]
    [added] = await store.add_refunds(tx, rows, payment.clinic_id, None, made_at="stripe")
    await _begin(tx, replace(added, shares=plan.shares), named, owed)


def as_named(seen: StripeEvent, refund: Key, payment_id: UUID) -> StripeEvent:
    """The observation of a refund without our metadata, with the ids that its row has."""
    return seen.model_copy(update={"clinic": refund[0], "refund_id": refund[1], "payment_id": payment_id})


async def _is_our_own(tx: Connection, seen: StripeEvent) -> bool:
    if seen.clinic is None or seen.refund_id is None:
        return False
    named = (seen.clinic, seen.refund_id)
    return named in await store.find_refunds(tx, {named}) or is_lost(seen)


def _planned(payment: Payment, seen: StripeEvent, left: Refundable | None) -> tuple[int, Plan]:
    """The refund's amount in our minor units, and what it is of: as ours, if nobody says. Raises a `DomainError`."""
    if left is None:
        raise NothingToRefund("The payment took no money.")
    if seen.currency != payment.currency:
        raise WrongCurrency("The refund is in another currency than its payment.")
    if seen.amount is None:
        raise WrongAmount("The refund is of a part of a minor unit.")
    return seen.amount, plan_payment(PaymentRefundRequest(payment.id, seen.amount, None, "method"), left)


async def _begin(tx: Connection, refund: Refund, named: StripeEvent, owed: Mapping[Key, Receivable]) -> None:
    """Set the refund's money aside as if it had been asked for here, and apply what Stripe says of it."""
    if refund.shares:
        await store.add_shares(tx, refund)
        await receivables.save_returned(tx, add_returned(refund, owed))
    now = clock.now()
    change = domain.observe(refund, named, now)
    await store.save_refunds(tx, [change.refund])
    await ledger.book(tx, Booking([domain.set_aside(refund, now)]) + domain.booking_of(change))
    log.info("refund_made_at_stripe", refund_id=str(refund.id), object_id=named.object_id)


async def _report(
    tx: Connection, key: Key, payment: Payment, seen: StripeEvent, left: Refundable | None, cause: str
) -> None:
    """Make it an exception, once: a person may have settled it since."""
    if await store.is_reported(tx, key, EXCEPTION):
        return
    detail = {
        "payment_id": str(payment.id),
        "stripe_refund_id": seen.object_id,
        "amount": seen.amount,
        "currency": seen.currency,
        "left": left.at_stripe.left.minor if left else 0,
        "left_currency": payment.currency,
    }
    await exceptions.add(tx, key[0], EXCEPTION, key[1], cause, detail)
    log.warning("refund_at_stripe_not_booked", cause=cause, object_id=seen.object_id)


async def _compare_again(tx: Connection, _: Caller, exception: Exceptional) -> None:
    """Try once more to book the refund: its hindrance has been mended."""
    task = NewTask(exception.clinic_id, new_id(), payload={"payment_id": exception.detail["payment_id"]})
    await queue.enqueue(tx, TASK, [task])


WAYS: Ways = {EXCEPTION: {"dismiss": exceptions.nothing, "compare": _compare_again}}
"""How an exception about a refund at Stripe is settled."""
