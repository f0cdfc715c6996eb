"""Saved cards without details, or in doubt: Stripe is asked for them."""

from contracts.events.envelope import event_id
from contracts.events.stripe import StripeEvent
from services.chassis import clock
from services.chassis.db.database import Database
from services.payment.methods import changes, store, stripe_calls
from services.payment.methods.domain import SavedMethod
from services.payment.stripe import fields
from services.payment.stripe.answers import StripeGone
from services.payment.stripe.api import StripeApi
from services.payment.stripe.sweeps import MOST_A_RUN, tolerate


async def refresh_methods(db: Database, stripe: StripeApi) -> None:
    """Ask Stripe for the details of cards that were saved without them."""
    async with db.worker_tx() as tx:
        undetailed = await store.claim_undetailed(tx, MOST_A_RUN)
    for method in undetailed:
        await tolerate(_refresh(db, stripe, method), method_id=str(method.id))


async def _refresh(db: Database, stripe: StripeApi, method: SavedMethod) -> None:
    try:
        found = await stripe.retrieve_method(method.account, method.stripe_id)
    except StripeGone:
        found = {}
    if fields.text_of(found.get("customer")) is None:
        await stripe_calls.forget(db.worker_tx, method)
        return
    known = fields.method_of(found)
    exp_month, exp_year = fields.expiry_of(found)
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
        customer=fields.text_of(found.get("customer")),
        payment_method=method.stripe_id,
        method=known,
        method_exp_month=exp_month,
        method_exp_year=exp_year,
        method_fingerprint=fields.fingerprint_of(found),
    )
    async with db.worker_tx() as tx:
        await changes.apply_observations(tx, [seen])
