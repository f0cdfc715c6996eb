"""SQL of drafts of evidence and of submissions."""

import json
from typing import Any
from uuid import UUID

import asyncpg

from contracts.vocabulary import SubmissionState
from services.chassis.db.database import Connection, Key
from services.payment.evidence.domain import Draft, Submission

_SUBMISSION = """
    s.clinic_id, s.id, s.dispute_id, s.phase, s.texts, s.digest, s.state, s.reason, s.spent_keys, s.made_at, s.ended_at,
    p.account, d.stripe_dispute_id
    FROM evidence_submissions AS s
    JOIN disputes AS d ON (d.clinic_id, d.id) = (s.clinic_id, s.dispute_id)
    JOIN payments AS p ON (p.clinic_id, p.id) = (d.clinic_id, d.payment_id)
"""


async def lock_draft(tx: Connection, key: Key) -> None:
    """Keep others from changing a dispute's draft, or submitting it, until the transaction ends."""
    await tx.execute(
        """
        INSERT INTO evidence (clinic_id, dispute_id, updated_at) VALUES ($1, $2, app_now())
        ON CONFLICT (clinic_id, dispute_id) DO UPDATE SET updated_at = evidence.updated_at
        """,
        *key,
    )


async def get_draft(tx: Connection, key: Key) -> Draft:
    """The draft of a dispute; an empty one if nobody wrote any."""
    row = await tx.fetchrow(
        "SELECT texts, with_services FROM evidence WHERE clinic_id = $1 AND dispute_id = $2", *key
    )
    return Draft() if row is None else Draft(json.loads(row["texts"]), row["with_services"])


async def save_draft(tx: Connection, key: Key, draft: Draft) -> None:
    """Save a locked draft."""
    await tx.execute(
        """
        UPDATE evidence SET texts = $3::jsonb, with_services = $4, updated_at = app_now()
        WHERE clinic_id = $1 AND dispute_id = $2
        """,
        *key,
        json.dumps(dict(draft.texts)),
        draft.with_services,
    )


async def list_submissions(tx: Connection, key: Key) -> list[Submission]:
    """A dispute's submissions, the newest first."""
    rows = await tx.fetch(
        f"SELECT {_SUBMISSION} WHERE s.clinic_id = $1 AND s.dispute_id = $2 ORDER BY s.made_at DESC, s.id",
        *key,
    )
    return [_submission(row) for row in rows]


async def get_submission(tx: Connection, key: Key) -> Submission | None:
    row = await tx.fetchrow(f"SELECT {_SUBMISSION} WHERE s.clinic_id = $1 AND s.id = $2", *key)
    return None if row is None else _submission(row)


async def add_submission(tx: Connection, submission: Submission) -> None:
    """Add one that is `sending`. The draft of its dispute is locked."""
    await tx.execute(
        """
        INSERT INTO evidence_submissions (clinic_id, id, dispute_id, phase, texts, digest, state, made_at)
        VALUES ($1, $2, $3, $4, $5::jsonb, $6, 'sending', $7)
        """,
        submission.clinic_id,
        submission.id,
        submission.dispute_id,
        submission.phase,
        json.dumps(dict(submission.texts)),
        submission.digest,
        submission.made_at,
    )


async def end_submission(tx: Connection, key: Key, state: SubmissionState, reason: str | None) -> None:
    """Save how a submission ended. One that has ended stays as it is."""
    await tx.execute(
        """
        UPDATE evidence_submissions SET state = $3, reason = $4, ended_at = app_now()
        WHERE clinic_id = $1 AND id = $2 AND state = 'sending'
        """,
        *key,
        state,
        reason,
    )


async def spend_key(tx: Connection, submission: Submission) -> None:
    """Use another idempotency key from now on. It counts once, however many calls the answer came to."""
    await tx.execute(
        """
        UPDATE evidence_submissions SET spent_keys = $3 + 1
        WHERE clinic_id = $1 AND id = $2 AND state = 'sending' AND spent_keys = $3
        """,
        *submission.key,
        submission.spent_keys,
    )


async def get_account(tx: Connection, clinic_id: UUID, payment_id: UUID) -> str:
    """The Stripe account of a payment, '' the platform's own."""
    account: str = await tx.fetchval(
        "SELECT account FROM payments WHERE clinic_id = $1 AND id = $2", clinic_id, payment_id
    )
    return account


def _submission(row: asyncpg.Record) -> Submission:
    fields: dict[str, Any] = dict(row)
    return Submission(**fields | {"texts": json.loads(row["texts"])})
