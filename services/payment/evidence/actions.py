"""Keep the draft of a dispute's evidence, show what would be sent, and commit what is sent."""

from uuid import UUID

from services.chassis import audit, clock
from services.chassis.db.database import Connection
from services.chassis.http.auth import Caller
from services.chassis.queue import queue
from services.chassis.queue.domain import LEASE, NewTask
from services.payment.disputes import reads as disputes
from services.payment.disputes.domain import DisputeNotFound
from services.payment.evidence import domain, store
from services.payment.evidence.domain import Draft, Evidence, Submission, Texts

TASK = "submit_evidence"
"""The task that sends evidence which a request committed, unless the request has sent it."""


async def read_evidence(tx: Connection, caller: Caller, dispute_id: UUID) -> Evidence:
    """A dispute with its draft and submissions. Raises `DisputeNotFound`."""
    dispute = await disputes.get_dispute(tx, caller.clinic, dispute_id)
    if dispute is None:
        raise DisputeNotFound("The clinic has no dispute with this id.")
    draft = await store.get_draft(tx, dispute.key)
    return Evidence(dispute, draft, await store.list_submissions(tx, dispute.key))


async def put_draft(tx: Connection, caller: Caller, dispute_id: UUID, draft: Draft) -> Evidence:
    """Replace the draft whole. Raises `DisputeNotFound`, and what `domain.check_answerable` raises."""
    before = await _lock(tx, caller, dispute_id)
    domain.check_answerable(before, clock.now())
    await store.save_draft(tx, before.dispute.key, draft)
    await audit.record(tx, caller, "put_evidence", dispute_id, _state(before.draft), _state(draft))
    return Evidence(before.dispute, draft, before.submissions)


async def begin(tx: Connection, caller: Caller, dispute_id: UUID, held: Texts, digest: str) -> Submission:
    """Commit what is sent, once: the same evidence again is the submission that there is.

    Raises `DisputeNotFound`, and what `domain.submit` raises.
    """
    evidence = await _lock(tx, caller, dispute_id)
    known = domain.taken(evidence)
    if known is not None and known.digest == digest:
        return known
    account = await store.get_account(tx, caller.clinic, evidence.dispute.payment_id)
    submission = domain.submit(evidence, held, digest, account, clock.now())
    await store.add_submission(tx, submission)
    # The request calls Stripe first. The task calls it if the request died, and asks what became of the dispute.
    await queue.enqueue(tx, TASK, [NewTask(submission.clinic_id, submission.id, LEASE)])
    await audit.record(tx, caller, "submit_evidence", dispute_id, None, [str(submission.id), digest])
    return submission


async def _lock(tx: Connection, caller: Caller, dispute_id: UUID) -> Evidence:
    found = await read_evidence(tx, caller, dispute_id)
    await store.lock_draft(tx, found.dispute.key)
    return await read_evidence(tx, caller, dispute_id)


def _state(draft: Draft) -> object:
    return [dict(draft.texts), draft.with_services]
