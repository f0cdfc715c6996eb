"""The state of payments at Stripe, shown to their client before a webhook has come.

Nothing is booked here: the role of the API has no right to. The sweeper is asked to hurry instead.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from contracts.vocabulary import LIVE_PAYMENTS
from services.chassis import clock
from services.chassis.db.database import Transaction
from services.chassis.errors import DomainError, Unavailable
from services.chassis.incidents import incidents
from services.payment.payments import lifecycle, reads, store
from services.payment.payments import stripe_calls as checkout
from services.payment.payments.domain import Payment
from services.payment.receivables.domain import Receivable
from services.payment.stripe.api import Intent, StripeApi
from services.payment.stripe.observations import looked_up

log = structlog.get_logger()

WITHIN = timedelta(minutes=15)
"""Lists ask about payments that were started or declined so recently; the sweeper has asked about older ones."""
MOST_A_LOOK = 5


@dataclass(frozen=True, slots=True)
class Look:
    """A payment as it is shown. `asked`: nothing more can have happened at Stripe. `taken`: booked soon."""

    payment: Payment
    asked: bool
    taken: bool = False


async def look_at(transaction: Transaction, stripe: StripeApi, payment: Payment) -> Look:
    """The payment as Stripe has it now. Money that is taken and not booked yet is `processing`."""
    if payment.status not in LIVE_PAYMENTS or payment.intent_id is None:
        return Look(payment, asked=True)
    try:
        intent = await checkout.ensure_intent(transaction, stripe, payment)
        seen = payment if intent is None else as_seen(payment, intent, clock.now())
    except Unavailable as error:
        incidents.failed("sweep_unanswered", reason=error.code, payment_id=str(payment.id))
        return Look(payment, asked=False)
    except DomainError as error:
        log.warning("sweep_failed", reason=error.code, payment_id=str(payment.id))
        return Look(payment, asked=False)
    if seen.status != payment.status:
        async with transaction() as tx:
            await store.hurry_checks(tx, {payment.key})
    return Look(seen, asked=True, taken=intent is not None and intent.status == "succeeded")


def as_seen(payment: Payment, intent: Intent, now: datetime) -> Payment:
    """The payment as the observation of its intent will make it; `processing` if that will book a success."""
    seen = looked_up(intent.body, payment.account, now)
    if seen is None:
        return payment
    if lifecycle.STATUS_OF[seen.event_type] == "succeeded":
        return replace(payment, status="processing", failure_code=None)
    return lifecycle.observe(payment, {}, seen, now).payment


async def list_on_its_way(
    transaction: Transaction, stripe: StripeApi, client_id: UUID
) -> tuple[Sequence[tuple[Receivable, bool]], set[UUID]]:
    """The client's open receivables as `reads.list_on_its_way` has them, and the ids that Stripe adds to these."""
    async with transaction() as tx:
        recent = await reads.list_unconfirmed(tx, client_id, WITHIN, MOST_A_LOOK)
    looks = await asyncio.gather(*(look_at(transaction, stripe, payment) for payment in recent))
    moving = [look.payment for look in looks if look.payment.status == "processing"]
    async with transaction() as tx:
        known = await reads.list_on_its_way(tx, client_id)
    return known, {share.receivable_id for payment in moving for share in payment.allocations}
