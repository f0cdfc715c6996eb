"""Evidence at Stripe: committed before the call, and no connection held during it.

Whatever is lost, a process or an answer, the same texts are sent again, and the mark in the dispute's metadata tells
whether Stripe has them.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import UUID

from contracts.vocabulary import SubmissionState
from services.chassis import clock
from services.chassis.db.database import Transaction
from services.chassis.errors import Unavailable
from services.chassis.http.auth import Caller
from services.chassis.queue import queue
from services.payment.evidence import actions, domain, store
from services.payment.evidence.domain import Evidence, EvidenceRefused, EvidenceUnknown, Submission, Texts
from services.payment.stripe.answers import StripeFailed, StripeGone, StripeRefused
from services.payment.stripe.api import StripeApi
from services.payment.stripe.params import NewEvidence

NOT_WANTED = "not_wanted"
"""The reason of a submission that was not sent: the bank asks about something else by now, or not at all."""


async def submit(
    transaction: Transaction, stripe: StripeApi, caller: Caller, dispute_id: UUID, held: Texts, digest: str
) -> Evidence:
    """Submit a dispute's evidence. While Stripe does not answer it is `sending`, and goes on by itself.

    Raises what `actions.begin` raises, and `EvidenceRefused`.
    """
    async with transaction() as tx:
        submission = await actions.begin(tx, caller, dispute_id, held, digest)
    if submission.state == "sending":
        with suppress(Unavailable):  # the task asks again
            submission = await ensure(transaction, stripe, submission)
    if submission.state == "refused":
        raise EvidenceRefused(
            "The payment system refused the evidence, and nothing was sent.", reason=submission.reason
        )
    async with transaction() as tx:
        if submission.state == "sent":
            # The task asks Stripe what became of the dispute.
            await queue.hasten(tx, [actions.TASK], {submission.key})
        return await actions.read_evidence(tx, caller, dispute_id)


async def ensure(
    transaction: Transaction,
    stripe: StripeApi,
    submission: Submission,
    at_stripe: Mapping[str, Any] | None = None,
) -> Submission:
    """The submission once it has ended: sent by this call or an earlier one, or refused.

    `at_stripe` is the dispute as it is there: given where an earlier call may have sent it. Raises `Unavailable` while
    the outcome is unknown.
    """
    if at_stripe is not None and domain.is_sent(submission, at_stripe):
        return await _ended(transaction, submission, "sent")
    if at_stripe is not None and not domain.is_wanted(submission, at_stripe):
        return await _ended(transaction, submission, "refused", NOT_WANTED)
    try:
        await stripe.submit_evidence(new_evidence(submission))
    except StripeRefused as refused:
        if not await _is_there(stripe, submission):
            reason = str(refused.fields.get("stripe_code") or refused.code)
            return await _ended(transaction, submission, "refused", reason)
    except StripeFailed:
        # With the same key Stripe repeats this error.
        if not await _is_there(stripe, submission):
            async with transaction() as tx:
                await store.spend_key(tx, submission)
            raise
    return await _ended(transaction, submission, "sent")


def new_evidence(submission: Submission) -> NewEvidence:
    """The call's values, made from the committed row alone."""
    return NewEvidence(
        account=submission.account,
        dispute_id=submission.stripe_dispute_id,
        texts=submission.texts,
        metadata={domain.MARK: str(submission.id)},
        idempotency_key=f"evidence-{submission.id}-{submission.spent_keys}",
    )


async def _is_there(stripe: StripeApi, submission: Submission) -> bool:
    try:
        found = await stripe.retrieve_dispute(submission.account, submission.stripe_dispute_id)
    except StripeGone:
        return False
    except StripeRefused as refused:
        # Only the answer to its own call proves that nothing was sent.
        raise EvidenceUnknown(refused.detail) from None
    return domain.is_sent(submission, found)


async def _ended(
    transaction: Transaction, submission: Submission, state: SubmissionState, reason: str | None = None
) -> Submission:
    async with transaction() as tx:
        await store.end_submission(tx, submission.key, state, reason)
    return replace(submission, state=state, reason=reason, ended_at=clock.now())
