"""Accounts at Stripe that no event came for: Stripe is asked, and what changed for clinics is published."""

from services.chassis.db.database import Database
from services.payment.accounts import changes, store, stripe_calls
from services.payment.stripe.api import StripeApi
from services.payment.stripe.sweeps import MOST_A_RUN, tolerate


async def refresh_accounts(db: Database, stripe: StripeApi) -> None:
    """Ask Stripe about the accounts that are due, and publish what clinics can take."""
    async with db.worker_tx() as tx:
        due = await store.claim_due(tx, MOST_A_RUN)
    for account in due:
        await tolerate(stripe_calls.ask(db.worker_tx, stripe, account), account=account or "platform")
    async with db.worker_tx() as tx:
        await changes.publish_changes(tx, stripe.livemode)
