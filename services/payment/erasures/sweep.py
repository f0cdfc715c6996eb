"""The task that erases a client: Stripe deletes the customers first, then their ids go here too."""

from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from services.chassis.db.database import Database
from services.chassis.queue.domain import BackOff, Canceled, Done, Outcome, Task, Waits
from services.chassis.queue.working import BetweenTransactions
from services.payment.erasures import actions, store
from services.payment.erasures.domain import Erased
from services.payment.stripe.api import StripeApi

_BACK_OFF = BackOff(longest=timedelta(days=1), tries=400)
"""More than a year: an account whose owner took our access away may give it again. Then `verify` names the client."""
_LOOK_AGAIN = timedelta(hours=1)


def erasing(db: Database, stripe: StripeApi) -> BetweenTransactions:
    """The handler of the task that erases a client."""
    return BetweenTransactions(actions.TASK, partial(_erase, db, stripe), _BACK_OFF)


async def _erase(db: Database, stripe: StripeApi, task: Task) -> Outcome:
    """A customer that Stripe has not deleted keeps its id here: without it nobody could ask again."""
    erased = Erased(
        task.clinic_id,
        UUID(task.payload["client_id"]),
        datetime.fromisoformat(task.payload["erased_at"]),
    )
    async with db.worker_tx() as tx:
        known = await store.read_known(tx, erased)
    if known.came_back:
        return Canceled("came_back")
    if known.pays:
        return Waits("payment_not_ended", _LOOK_AGAIN)
    for account, customer in known.customers:
        await stripe.delete_customer(account, customer)
    async with db.worker_tx() as tx:
        await store.lock_client(tx, erased)
        now = await store.read_known(tx, erased)
        if now.came_back or now.pays or set(now.customers) - set(known.customers):
            return Waits("changed_meanwhile", _LOOK_AGAIN)
        await store.erase_client(tx, erased)
    return Done()
