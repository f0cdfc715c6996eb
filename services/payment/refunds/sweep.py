"""Refunds that no webhook came for: Stripe is asked, and the answers are applied."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from contracts.events.stripe import StripeEvent
from services.chassis import clock
from services.chassis.db.database import Database
from services.chassis.queue.domain import Canceled, Done, Outcome, Task, Waits
from services.chassis.queue.working import BetweenTransactions
from services.chassis.telemetry import attributes
from services.chassis.telemetry.traces import span_from, traceparent_of
from services.payment.accounts import store as accounts_store
from services.payment.payments import reads
from services.payment.refunds import changes, made_at_stripe, store
from services.payment.refunds.domain import LOST_AFTER, Refund
from services.payment.refunds.stripe_calls import ensure
from services.payment.stripe import observations
from services.payment.stripe.api import StripeApi
from services.payment.stripe.seal import Seal
from services.payment.stripe.sweeps import MOST_A_RUN, UNCHECKED_FOR, tolerate

LOOK_AGAIN = timedelta(days=1)
OVERLAP = timedelta(days=2)
"""Lists begin so long before the one before: a refund may have been made while that was read."""
MAY_FAIL_FOR = timedelta(days=35)
"""How long after its success a refund is looked at: a bank may return it within weeks."""


async def sweep_refunds(db: Database, stripe: StripeApi, unchecked_for: timedelta = UNCHECKED_FOR) -> None:
    """Ask Stripe about refunds on their way, and whether refunds that arrived stayed, and apply the answers."""
    async with db.worker_tx() as tx:
        due = await store.claim_unchecked(tx, unchecked_for, LOOK_AGAIN, MAY_FAIL_FOR, MOST_A_RUN)
    for refund in due:
        await tolerate(_check(db, stripe, refund), refund_id=str(refund.id))


async def _check(db: Database, stripe: StripeApi, refund: Refund) -> None:
    body = await ensure(db.worker_tx, stripe, refund)
    if body is not None and body.get("status") != refund.status:
        observed = looked_up(body, refund.account, stripe.livemode, clock.now())
        if refund.made_at == "stripe":
            observed = made_at_stripe.as_named(observed, refund.key, refund.payment_id)
        await _apply(db, refund, observed)


async def _apply(db: Database, refund: Refund, observed: StripeEvent) -> None:
    """Apply what no webhook brought, in the trace of the refund's beginning."""
    with span_from("refund sweep", refund.traceparent, attributes=attributes.of_fields(observed)) as span:
        attributes.keep(attributes.SWEPT, span)
        observed = observed.model_copy(update={"traceparent": traceparent_of(span)})
        async with db.worker_tx() as tx:
            await changes.apply_observations(tx, [observed])


async def list_refunds(db: Database, stripe: StripeApi) -> None:
    """List each account's refunds once a day, and have those compared that are of ours and not booked."""
    async with db.worker_tx() as tx:
        accounts = await accounts_store.claim_listing(tx, "refunds", LOOK_AGAIN, MOST_A_RUN)
    for account, since in accounts.items():
        await tolerate(_list(db, stripe, account, since), account=account or "platform")


async def _list(db: Database, stripe: StripeApi, account: str, since: datetime | None) -> None:
    now = clock.now()
    begin = max(since - OVERLAP, now - MAY_FAIL_FOR) if since else now - MAY_FAIL_FOR
    try:
        async for page in stripe.list_new_refunds(account, begin):
            found = [looked_up(body, account, stripe.livemode, now, stripe.signer) for body in page]
            async with db.worker_tx() as tx:
                await made_at_stripe.look_for_unbooked(tx, found)
    except Exception:
        async with db.worker_tx() as tx:
            await accounts_store.list_again(tx, "refunds", account, since)
        raise


def comparing(db: Database, stripe: StripeApi) -> BetweenTransactions:
    """The handler of the task that compares the refunds of a payment with Stripe's."""
    return BetweenTransactions(made_at_stripe.TASK, partial(_compare, db, stripe))


async def _compare(db: Database, stripe: StripeApi, task: Task) -> Outcome:
    async with db.worker_tx() as tx:
        payment = await reads.get_payment(tx, None, UUID(task.payload["payment_id"]))
    if payment is None or payment.intent_id is None:
        return Canceled("no_payment")
    if payment.status != "succeeded":
        return Waits("payment_not_booked", LOST_AFTER)
    for body in reversed(await stripe.list_refunds(payment.account, payment.intent_id)):
        seen = looked_up(body, payment.account, payment.livemode, clock.now(), stripe.signer)
        async with db.worker_tx() as tx:
            await made_at_stripe.cancel_unbegun(tx, payment, seen)
        async with db.worker_tx() as tx:
            await made_at_stripe.book(tx, payment, seen)
    return Done()


def looked_up(
    body: Mapping[str, Any], account: str, livemode: bool, now: datetime, seal: Seal | None = None
) -> StripeEvent:
    """The observation in a refund that was retrieved at `now`. Stripe's clock has whole seconds."""
    second = int(now.timestamp())
    return observations.read_event(
        {
            "id": observations.id_of_answer(body, second),
            "type": "refund.updated",
            "created": second,
            "livemode": livemode,
            "account": account or None,
            "data": {"object": body},
        },
        seal,
    )
