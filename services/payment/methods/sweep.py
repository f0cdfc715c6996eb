"""Saved cards of which Stripe is asked: without details, in doubt, or soon to expire."""

from datetime import datetime
from uuid import UUID

from contracts.events.envelope import event_id
from contracts.events.stripe import StripeEvent
from services.chassis import clock
from services.chassis.db.database import Connection, Database, Key
from services.chassis.outbox import outbox
from services.payment.methods import changes, store, stripe_calls
from services.payment.methods.domain import (
    ExpiryNotice,
    SavedMethod,
    expiring,
    fact_about,
    listed,
    months_to_tell,
)
from services.payment.stripe import fields
from services.payment.stripe.answers import StripeGone
from services.payment.stripe.api import StripeApi
from services.payment.stripe.sweeps import MOST_A_RUN, tolerate

AT_ONCE = 200
_FIRST = UUID(int=0)


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


async def announce_expiring(db: Database, stripe: StripeApi) -> None:
    """Publish which clients' cards expire soon, each once. A card is asked about at Stripe right before.

    To run it again, also at once in another process, publishes none twice.
    """
    now = clock.now()
    after: Key | None = (_FIRST, _FIRST)
    while after is not None:
        async with db.worker_tx() as tx:
            found = await store.list_expiring(tx, months_to_tell(now.date()), after, AT_ONCE)
        for method in found:
            await tolerate(_announce(db, stripe, method, now), method_id=str(method.id))
        after = (found[-1].clinic_id, found[-1].id) if len(found) == AT_ONCE else None


async def _announce(db: Database, stripe: StripeApi, method: SavedMethod, now: datetime) -> None:
    async with db.worker_tx() as tx:
        if await _notice(tx, method, now) is None:
            return
    await _refresh(db, stripe, method)
    async with db.worker_tx() as tx:
        await store.lock_methods(tx, {(method.account, method.stripe_id)})
        notice = await _notice(tx, method, now)
        if notice is not None and await store.add_notice(tx, notice):
            await outbox.add(tx, [(fact_about(notice), None)])


async def _notice(tx: Connection, method: SavedMethod, now: datetime) -> ExpiryNotice | None:
    """The notice for this card's client, as the client's cards are now; None for one about another card."""
    kept, chosen, _ = await store.list_methods(tx, method.client_id, method.account)
    notice = expiring(listed(kept, chosen, now.date()), now)
    return notice if notice and notice.card == (method.fingerprint or method.stripe_id) else None
