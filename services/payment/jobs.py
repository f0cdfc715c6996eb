"""Jobs that run by the clock: asking Stripe about rows that no webhook came for."""

from collections.abc import Awaitable, Callable

from services.chassis.db.database import Database
from services.payment.methods.sweep import refresh_methods
from services.payment.payments.sweep import sweep_payments
from services.payment.refunds.sweep import sweep_refunds
from services.payment.stripe.api import StripeApi

SWEEP_SECONDS = 15


def sweeps(db: Database, stripe: StripeApi) -> Callable[[], Awaitable[None]]:
    async def sweep() -> None:
        await sweep_payments(db, stripe)
        await sweep_refunds(db, stripe)
        await refresh_methods(db, stripe)

    return sweep
