"""The task that erases a client: what payment keeps goes at once, ids at Stripe once Stripe has deleted theirs."""

from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from services.chassis.db.database import Database
from services.chassis.errors import DomainError
from services.chassis.queue.domain import BackOff, Done, Outcome, Task, Waits
from services.chassis.queue.working import BetweenTransactions
from services.payment.erasures import actions, store
from services.payment.erasures.domain import Erased, Held
from services.payment.stripe.api import StripeApi

_BACK_OFF = BackOff(longest=timedelta(days=1), tries=400)
"""More than a year: an account whose owner took our access away may give it again. Then `verify` names the client."""
_LOOK_AGAIN = timedelta(hours=1)


def erasing(db: Database, stripe: StripeApi) -> BetweenTransactions:
    """The handler of the task that erases a client."""
    return BetweenTransactions(actions.TASK, partial(_erase, db, stripe), _BACK_OFF)


async def _erase(db: Database, stripe: StripeApi, task: Task) -> Outcome:
    """An account that refuses, or does not answer, holds up no other one. Raises what the first of them answered."""
    erased = Erased(
        task.clinic_id,
        UUID(task.payload["client_id"]),
        datetime.fromisoformat(task.payload["erased_at"]),
    )
    async with db.worker_tx() as tx:
        await store.lock_client(tx, erased)
        known = await store.read_known(tx, erased)
        if known.pays:
            return Waits("payment_not_ended", _LOOK_AGAIN)
        await store.blank_client(tx, erased)
    refused: DomainError | None = None
    changed = False
    for held in known.held:
        try:
            changed |= not await _erase_on_account(db, stripe, erased, held)
        except DomainError as error:
            refused = refused or error
    if refused is not None:
        raise refused
    return Waits("changed_meanwhile", _LOOK_AGAIN) if changed else Done()


async def _erase_on_account(db: Database, stripe: StripeApi, erased: Erased, held: Held) -> bool:
    """Delete at Stripe, then forget the ids: without them nobody could ask again. False when a payment came between."""
    if held.customer is not None:
        await stripe.delete_customer(held.account, held.customer)
    for method in held.methods:
        await stripe.detach_method(held.account, method)
    async with db.worker_tx() as tx:
        await store.lock_client(tx, erased)
        now = await store.read_known(tx, erased)
        if now.pays or held not in (*now.held, Held(held.account, None, held.methods)):
            return False
        await store.forget_held(tx, erased, held)
    return True
