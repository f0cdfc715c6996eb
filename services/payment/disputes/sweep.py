"""Disputes that no webhook came for: Stripe is asked about each that is known, and each account for new ones."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from contracts.events.stripe import StripeEvent
from services.chassis import clock
from services.chassis.db.database import Connection, Database
from services.payment.accounts import store as accounts_store
from services.payment.disputes import store
from services.payment.disputes.domain import Dispute
from services.payment.stripe import observations
from services.payment.stripe.api import StripeApi
from services.payment.stripe.sweeps import MOST_A_RUN, tolerate

ASK_AGAIN = timedelta(hours=6)
MAY_CHANGE_FOR = timedelta(days=180)
"""How long after its last change an ended dispute is asked about: a bank may take it up again, or decide otherwise."""
LIST_AGAIN = timedelta(days=1)
OVERLAP = timedelta(days=2)
"""Lists begin so long before the one before: a dispute may have been made while that was read."""


Apply = Callable[[Connection, Sequence[StripeEvent]], Awaitable[None]]
"""Applies events of Stripe's in all rooms: a dispute also ends refunds, which stand above this room."""


async def sweep_disputes(
    db: Database, stripe: StripeApi, apply: Apply, ask_again: timedelta = ASK_AGAIN
) -> None:
    """Ask Stripe about disputes and for new ones, and apply the answers as webhooks are applied."""
    async with db.worker_tx() as tx:
        due = await store.claim_unchecked(tx, ask_again, MAY_CHANGE_FOR, MOST_A_RUN)
    for dispute, account in due:
        await tolerate(_check(db, stripe, apply, dispute, account), dispute_id=str(dispute.id))
    async with db.worker_tx() as tx:
        accounts = await accounts_store.claim_listing(tx, "disputes", LIST_AGAIN, MOST_A_RUN)
    for account, since in accounts.items():
        await tolerate(_list(db, stripe, apply, account, since), account=account or "platform")


async def _check(db: Database, stripe: StripeApi, apply: Apply, dispute: Dispute, account: str) -> None:
    body = await stripe.retrieve_dispute(account, dispute.stripe_dispute_id)
    await _apply(db, apply, [looked_up(body, account, clock.now())])


async def _list(db: Database, stripe: StripeApi, apply: Apply, account: str, since: datetime | None) -> None:
    """List the account's disputes. A list that fails is read again at the next run."""
    try:
        found = await stripe.list_disputes(account, since - OVERLAP if since else None)
    except Exception:
        async with db.worker_tx() as tx:
            await accounts_store.list_again(tx, "disputes", account, since)
        raise
    now = clock.now()
    for body in found:
        await tolerate(
            _apply(db, apply, [looked_up(body, account, now)]), stripe_dispute_id=str(body.get("id"))
        )


async def _apply(db: Database, apply: Apply, seen: list[StripeEvent]) -> None:
    async with db.worker_tx() as tx:
        await apply(tx, seen)


def looked_up(body: Mapping[str, Any], account: str, now: datetime) -> StripeEvent:
    """The observation in a dispute that was retrieved at `now`. Stripe's clock has whole seconds."""
    second = int(now.timestamp())
    return observations.read_event(
        {
            "id": observations.id_of_answer(body, second),
            "type": "charge.dispute.updated",
            "created": second,
            "livemode": body.get("livemode"),
            "account": account or None,
            "data": {"object": body},
        }
    )
