"""Events about rows that a restore lost: the row is read from Stripe, and the event is then applied."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import structlog

from contracts.events.catalogue import decode
from contracts.events.stripe import StripeEvent
from services.chassis.db.database import Database
from services.chassis.errors import DomainError
from services.payment.adoption import store, stripe_calls
from services.payment.stripe.api import StripeApi
from services.payment.stripe.sweeps import MOST_A_RUN

log = structlog.get_logger()

AGAIN_AFTER = timedelta(minutes=5)
"""An invoice that is on its way, or credit that is not booked yet, may have come by then."""


async def adopt_lost(
    db: Database,
    stripe: StripeApi,
    replay: Callable[[int], Awaitable[bool]],
    again_after: timedelta = AGAIN_AFTER,
) -> None:
    """Adopt the rows that parked events need, and replay the events. Others wait for an operator."""
    async with db.worker_tx() as tx:
        waiting = await store.claim_waiting(tx, again_after, MOST_A_RUN)
    for row in waiting:
        try:
            await _adopt(db, stripe, row)
            await replay(row["id"])
        except DomainError as error:
            log.warning("not_adopted", parked_id=row["id"], reason=error.code)


async def _adopt(db: Database, stripe: StripeApi, row: dict[str, Any]) -> None:
    seen = decode(row["topic"], row["value"])
    assert isinstance(seen, StripeEvent), "no other event is refused for this reason"
    account = seen.account or ""
    if seen.object_type == "refund":
        await stripe_calls.adopt_refund(db, stripe, account, seen.object_id)
    elif seen.payment_intent is not None:
        await stripe_calls.adopt_payment(db, stripe, account, seen.payment_intent)
