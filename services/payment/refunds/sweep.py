"""Refunds that no webhook came for: Stripe is asked, and the answers are applied."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from contracts.events.stripe import StripeEvent
from services.chassis import clock
from services.chassis.db.database import Database
from services.payment.refunds import changes, store
from services.payment.refunds.domain import Refund
from services.payment.refunds.stripe_calls import ensure
from services.payment.stripe import observations
from services.payment.stripe.api import StripeApi
from services.payment.stripe.sweeps import MOST_A_RUN, UNCHECKED_FOR, tolerate

LOOK_AGAIN = timedelta(days=1)


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
        async with db.worker_tx() as tx:
            observed = looked_up(body, refund.account, stripe.livemode, clock.now())
            await changes.apply_observations(tx, [observed])


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
