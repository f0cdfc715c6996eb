"""What time starts: asking Stripe about payments and methods that no webhook told of. Bounded, one call at a time."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog

from contracts.events import event_id
from contracts.stripe import StripeEvent
from services.chassis import clock
from services.chassis.db.database import Database
from services.chassis.errors import DomainError
from services.payment import stripe_batches as stripe_actions
from services.payment.methods import store as methods
from services.payment.methods import stripe_calls as customers
from services.payment.payments import lookups, starting
from services.payment.payments import stripe_calls as checkout
from services.payment.payments.domain import Payment, SavedMethod
from services.payment.payments.lifecycle import STATUS_OF
from services.payment.refunds.stripe_calls import sweep_refunds
from services.payment.stripe import json as stripe_json
from services.payment.stripe.answers import AccountRefused, StripeGone, StripeMoved
from services.payment.stripe.api import Intent, StripeApi
from services.payment.stripe.observations import looked_up

log = structlog.get_logger()

SWEEP_SECONDS = 15
UNCHECKED_FOR = timedelta(seconds=60)
"""A payment is asked about this long after it began, and this often after that."""
MOST_A_RUN = 50
"""With one call after the other, well under the 25 a second that Stripe allows an endpoint."""
LOST_AFTER = timedelta(minutes=10)
"""A payment still without an intent is no longer replayed, but looked for."""
IDLE_FOR = timedelta(hours=24)


async def sweep_payments(db: Database, stripe: StripeApi, unchecked_for: timedelta = UNCHECKED_FOR) -> None:
    """Ask Stripe about open payments, oldest first, and apply the answers through the consumers' own code."""
    async with db.worker_tx() as tx:
        due = await lookups.take_unchecked(tx, unchecked_for, MOST_A_RUN)
    for payment in due:
        await _tolerating(_check(db, stripe, payment), payment_id=str(payment.id))


async def _check(db: Database, stripe: StripeApi, payment: Payment) -> None:
    now = clock.now()
    lost = payment.intent_id is None and now - payment.created_at > LOST_AFTER
    try:
        intent = await checkout.ensure_intent(db.worker_tx, stripe, payment, look_up=lost)
    except AccountRefused:
        await _end_out_of_reach(db, stripe, payment, now)
        return
    if intent is None:
        return
    if _is_news(payment, intent, now):
        log.info("payment_swept", payment_id=str(payment.id), status=intent.status)
        await checkout.observe(db.worker_tx, payment, intent)
    elif await _is_over(db, payment, intent, now):
        await _cancel(db, stripe, payment)


async def _end_out_of_reach(db: Database, stripe: StripeApi, payment: Payment, now: datetime) -> None:
    """End an attempt on an account that cannot be asked any more, once it is over or the clinic has another one."""
    if payment.intent_id is not None and payment.status != "processing":
        async with db.worker_tx() as tx:
            over = _is_abandoned(payment, now) or await lookups.is_overdrawn(tx, payment)
        await checkout.cancel(db.worker_tx, stripe, payment, abandoned=over)


def _is_news(payment: Payment, intent: Intent, now: datetime) -> bool:
    seen = looked_up(intent.body, payment.account, now)
    return seen is not None and STATUS_OF[seen.event_type] != payment.status


async def _is_over(db: Database, payment: Payment, intent: Intent, now: datetime) -> bool:
    """Whether nobody may pay with it any more, while that can still be prevented."""
    if intent.status == "processing":
        return False
    async with db.worker_tx() as tx:
        return _is_abandoned(payment, now) or await lookups.is_overdrawn(tx, payment)


def _is_abandoned(payment: Payment, now: datetime) -> bool:
    """Idle for a day, declined too often, or without a reservation since a delayed method failed."""
    last = max(payment.created_at, payment.updated_at, payment.seen_at or payment.created_at)
    declined_too_often = payment.status == "failed" and payment.declines >= starting.MOST_DECLINES
    return not payment.reserves or declined_too_often or now - last > IDLE_FOR


async def _cancel(db: Database, stripe: StripeApi, payment: Payment) -> None:
    try:
        await checkout.cancel(db.worker_tx, stripe, payment)
    except StripeMoved:
        log.info("payment_moved_on", payment_id=str(payment.id))


async def refresh_methods(db: Database, stripe: StripeApi) -> None:
    """Ask Stripe for the details of cards that were saved without them being told."""
    async with db.worker_tx() as tx:
        undetailed = await methods.take_undetailed(tx, MOST_A_RUN)
    for method in undetailed:
        await _tolerating(_refresh(db, stripe, method), method_id=str(method.id))


async def _refresh(db: Database, stripe: StripeApi, method: SavedMethod) -> None:
    try:
        found = await stripe.retrieve_method(method)
    except StripeGone:
        found = {}
    if stripe_json.text_of(found.get("customer")) is None:
        await customers.forget(db.worker_tx, method)
        return
    known = stripe_json.method_of(found)
    exp_month, exp_year = stripe_json.expiry_of(found)
    if known is None:
        return
    now = clock.now()
    seen = StripeEvent(
        id=event_id(now, "sweeper", method.id),
        time=now,
        created=now,
        stripe_event_id=f"sweeper-{method.stripe_id}",
        event_type="payment_method.updated",
        account=method.account or None,
        livemode=stripe.livemode,
        object_id=method.stripe_id,
        object_type="payment_method",
        customer=stripe_json.text_of(found.get("customer")),
        payment_method=method.stripe_id,
        method=known,
        method_exp_month=exp_month,
        method_exp_year=exp_year,
    )
    async with db.worker_tx() as tx:
        await stripe_actions.apply_stripe_events(tx, [seen])


async def _tolerating(check: Awaitable[None], **what: str) -> None:
    """One payment that cannot be asked about now must not keep the others from it."""
    try:
        await check
    except DomainError as error:
        log.warning("sweep_failed", reason=error.code, **what)


def sweeps(db: Database, stripe: StripeApi) -> Callable[[], Awaitable[None]]:
    async def sweep() -> None:
        await sweep_payments(db, stripe)
        await sweep_refunds(db, stripe)
        await refresh_methods(db, stripe)

    return sweep
