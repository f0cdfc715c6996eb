"""Refunds at Stripe: transactions before and after a call, and no connection held during it.

`send` is for the request that made them, `sweep_refunds` for what no answer and no webhook told of.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog

from contracts.stripe import StripeEvent
from services.chassis.db import Connection, Database
from services.chassis.errors import DomainError, Unavailable
from services.payment import observations, refunds_actions
from services.payment.refunds import KEY_LIFE, LOST_AFTER, Refund
from services.payment.store import refunds
from services.payment.stripe_api import StripeApi, StripeFailed, StripeRefused

log = structlog.get_logger()

Transaction = Callable[[], AbstractAsyncContextManager[Connection]]

UNCHECKED_FOR = timedelta(seconds=60)
LOOK_AGAIN = timedelta(days=1)
MAY_FAIL_FOR = timedelta(days=35)
"""How long after its success a refund is looked at: a bank may return it within weeks."""
MOST_A_RUN = 50


async def send(
    transaction: Transaction, stripe: StripeApi, clinic_id: UUID, made: list[Refund]
) -> list[Refund]:
    """Ask Stripe for refunds that were committed; as they are then. Without an answer, the sweeper goes on with it."""
    for refund in made:
        if refund.status == "created":
            try:
                await ensure(transaction, stripe, refund)
            except Unavailable as error:
                log.warning("refund_not_sent", reason=error.code, refund_id=str(refund.id))
    async with transaction() as tx:
        return await refunds.get_refunds(tx, clinic_id, [refund.id for refund in made])


async def ensure(transaction: Transaction, stripe: StripeApi, refund: Refund) -> Mapping[str, Any] | None:
    """Stripe's refund as it is now: retrieved, or made with the key that was committed. None: it was given up.

    Raises `Unavailable` while nobody knows.
    """
    if refund.stripe_refund_id is not None:
        return await stripe.retrieve_refund(refund)
    try:
        found = await _make_or_find(stripe, refund, datetime.now(UTC) - refund.created_at)
    except StripeRefused as refused:
        reason = refused.fields.get("stripe_code") or "refused"
        async with transaction() as tx:
            await refunds_actions.give_up_refund(tx, refund.key, "failed", str(reason))
        return None
    async with transaction() as tx:
        if found is None:
            await refunds_actions.give_up_refund(tx, refund.key, "canceled", "never_reached_stripe")
        else:
            await refunds.keep_refund(tx, refund, str(found["id"]))
    return found


async def _make_or_find(stripe: StripeApi, refund: Refund, age: timedelta) -> Mapping[str, Any] | None:
    if age > KEY_LIFE:
        return await stripe.find_refund(refund)
    try:
        return await stripe.create_refund(refund)
    except StripeFailed:
        # Asked again with its key, Stripe would fail again; the refund may be there all the same.
        found = await stripe.find_refund(refund)
        if found is None and age < LOST_AFTER:
            raise
        return found


async def sweep_refunds(db: Database, stripe: StripeApi, unchecked_for: timedelta = UNCHECKED_FOR) -> None:
    """Ask Stripe about refunds on their way, and whether those that arrived stayed, and apply the answers."""
    async with db.worker_tx() as tx:
        due = await refunds.take_unchecked(tx, unchecked_for, LOOK_AGAIN, MAY_FAIL_FOR, MOST_A_RUN)
    for refund in due:
        try:
            await _check(db, stripe, refund)
        except DomainError as error:
            log.warning("sweep_failed", reason=error.code, refund_id=str(refund.id))


async def _check(db: Database, stripe: StripeApi, refund: Refund) -> None:
    body = await ensure(db.worker_tx, stripe, refund)
    if body is not None and body.get("status") != refund.status:
        async with db.worker_tx() as tx:
            seen = looked_up(body, refund.account, stripe.livemode, datetime.now(UTC))
            await refunds_actions.apply_refund_events(tx, [seen])


def looked_up(body: Mapping[str, Any], account: str, livemode: bool, now: datetime) -> StripeEvent:
    """The observation in a refund that was retrieved at `now`. Stripe's clock has whole seconds."""
    second = int(now.timestamp())
    return observations.read_event(
        {
            "id": f"sweeper-{body.get('id')}-{body.get('status')}-{second}",
            "type": "refund.updated",
            "created": second,
            "livemode": livemode,
            "account": account or None,
            "data": {"object": body},
        }
    )
