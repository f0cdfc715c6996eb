"""Open payments that no webhook came for: Stripe is asked, and the answers are applied."""

from datetime import datetime, timedelta

import structlog

from services.chassis import clock
from services.chassis.db.database import Database
from services.chassis.telemetry import attributes
from services.chassis.telemetry.traces import span_from, traceparent_of
from services.payment.payments import reads, starting
from services.payment.payments import stripe_calls as checkout
from services.payment.payments.domain import Payment
from services.payment.payments.lifecycle import STATUS_OF
from services.payment.stripe.answers import AccountRefused, StripeMoved
from services.payment.stripe.api import Intent, StripeApi
from services.payment.stripe.observations import looked_up
from services.payment.stripe.sweeps import MOST_A_RUN, UNCHECKED_FOR, tolerate

log = structlog.get_logger()


LOST_AFTER = timedelta(minutes=10)
"""The call for a payment still without an intent is not sent again after this long: its intent is looked for."""


IDLE_FOR = timedelta(hours=24)


async def sweep_payments(db: Database, stripe: StripeApi, unchecked_for: timedelta = UNCHECKED_FOR) -> None:
    """Ask Stripe about open payments, oldest first, and apply the answers as webhooks are applied."""
    async with db.worker_tx() as tx:
        due = await reads.claim_unchecked(tx, unchecked_for, MOST_A_RUN)
    for payment in due:
        await tolerate(_check(db, stripe, payment), payment_id=str(payment.id))


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
    if _has_moved(payment, intent, now):
        await _apply(db, payment, intent)
    elif await _is_over(db, payment, intent, now):
        await _cancel(db, stripe, payment)


async def _apply(db: Database, payment: Payment, intent: Intent) -> None:
    """Apply what no webhook brought, in the trace of the payment's beginning, however long ago that is."""
    named = attributes.of(
        {"clinic_id": payment.clinic_id, "payment_id": payment.id, "payment_intent": payment.intent_id}
    )
    with span_from("payment sweep", payment.traceparent, attributes=named) as span:
        attributes.keep(attributes.SWEPT, span)
        log.info("payment_swept", payment_id=str(payment.id), status=intent.status)
        await checkout.observe(db.worker_tx, payment, intent, traceparent_of(span))


async def _end_out_of_reach(db: Database, stripe: StripeApi, payment: Payment, now: datetime) -> None:
    """End an attempt on an account that cannot be asked any more, once it is over or the clinic has another one."""
    if payment.intent_id is not None and payment.status != "processing":
        async with db.worker_tx() as tx:
            over = _is_abandoned(payment, now) or await reads.is_overdrawn(tx, payment)
        await checkout.cancel(db.worker_tx, stripe, payment, abandoned=over)


def _has_moved(payment: Payment, intent: Intent, now: datetime) -> bool:
    observed = looked_up(intent.body, payment.account, now)
    return observed is not None and STATUS_OF[observed.event_type] != payment.status


async def _is_over(db: Database, payment: Payment, intent: Intent, now: datetime) -> bool:
    """Whether nobody may pay with it any more, while that can still be prevented."""
    if intent.status == "processing":
        return False
    async with db.worker_tx() as tx:
        return _is_abandoned(payment, now) or await reads.is_overdrawn(tx, payment)


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
