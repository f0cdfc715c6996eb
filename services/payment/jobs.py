"""Jobs that run by the clock: Stripe is asked about rows that no webhook came for."""

from collections.abc import Awaitable, Callable

from services.chassis.db.database import Database
from services.payment.accounts.sweep import refresh_accounts
from services.payment.adoption.sweep import adopt_lost
from services.payment.disputes.sweep import Apply, sweep_disputes
from services.payment.methods.sweep import refresh_methods
from services.payment.payments.sweep import sweep_payments
from services.payment.refunds.sweep import list_refunds, sweep_refunds
from services.payment.stripe.api import StripeApi

SWEEP_SECONDS = 15
EXPIRY_SECONDS = 3600


def sweeps(
    db: Database, stripe: StripeApi, replay: Callable[[int], Awaitable[bool]], apply: Apply
) -> Callable[[], Awaitable[None]]:
    """`replay` applies a parked event again, `apply` Stripe's events."""

    async def sweep() -> None:
        await refresh_accounts(db, stripe)
        await sweep_payments(db, stripe)
        await sweep_refunds(db, stripe)
        await list_refunds(db, stripe)
        await sweep_disputes(db, stripe, apply)
        await refresh_methods(db, stripe)
        await adopt_lost(db, stripe, replay)

    return sweep
