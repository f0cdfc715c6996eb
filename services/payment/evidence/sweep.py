"""The task of a submission: send what a request committed and did not send, then ask what became of the dispute."""

from datetime import timedelta
from functools import partial

from services.chassis import clock
from services.chassis.db.database import Connection, Database
from services.chassis.queue.domain import BackOff, Canceled, Done, Outcome, Task
from services.chassis.queue.working import BetweenTransactions
from services.payment.disputes.sweep import Apply, looked_up
from services.payment.evidence import actions, store, stripe_calls
from services.payment.stripe.answers import StripeGone
from services.payment.stripe.api import StripeApi

_BACK_OFF = BackOff(longest=timedelta(hours=1), tries=24 * 40)
"""Forty days: no bank waits that long, so that nothing can be sent beside what is given up."""


def submitting(db: Database, stripe: StripeApi, apply: Apply) -> BetweenTransactions:
    """The handler of the task that sends evidence."""
    return BetweenTransactions(actions.TASK, partial(_submit, db, stripe, apply), _BACK_OFF, _give_up)


async def _submit(db: Database, stripe: StripeApi, apply: Apply, task: Task) -> Outcome:
    async with db.worker_tx() as tx:
        submission = await store.get_submission(tx, task.row)
    if submission is None:
        return Canceled("no_submission")
    account, dispute_id = submission.account, submission.stripe_dispute_id
    try:
        body = await stripe.retrieve_dispute(account, dispute_id)
    except StripeGone as gone:
        await _end(db, task, gone.code)
        return Canceled("no_dispute")
    if submission.state == "sending":
        await stripe_calls.ensure(db.worker_tx, stripe, submission, body)
        body = await stripe.retrieve_dispute(account, dispute_id)
    async with db.worker_tx() as tx:
        await apply(tx, [looked_up(body, account, clock.now())])
    return Done()


async def _give_up(tx: Connection, task: Task, reason: str) -> None:
    await store.end_submission(tx, task.row, "refused", reason)


async def _end(db: Database, task: Task, reason: str) -> None:
    async with db.worker_tx() as tx:
        await _give_up(tx, task, reason)
