"""Disputes as they are read: one, and lists."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from contracts.events.stripe import BalanceMove
from contracts.vocabulary import DisputeStatus
from services.chassis.db.database import Connection
from services.payment.disputes.domain import Dispute, Share

DISPUTE = """
    d.clinic_id, d.id, d.client_id, d.payment_id, d.stripe_dispute_id, d.charge_id, d.status, d.reason, d.amount,
    d.currency, d.due_by, d.has_evidence, d.submissions, d.opened_at, d.updated_at, d.seen_at, d.credit_amount,
    d.rest_amount, d.reopened, d.version, d.taken_up,
    (
        SELECT array_agg((s.payable_id, s.taken_amount, s.reopened_amount) ORDER BY s.payable_id DESC)
        FROM dispute_shares AS s WHERE (s.clinic_id, s.dispute_id) = (d.clinic_id, d.id)
    ) AS shares,
    (
        SELECT array_agg(
            (t.id, t.amount, t.fee, t.currency, t.made_at, t.booked_at IS NOT NULL) ORDER BY t.made_at, t.id
        )
        FROM dispute_transactions AS t WHERE (t.clinic_id, t.dispute_id) = (d.clinic_id, d.id)
    ) AS moves
"""
"""Columns of `disputes AS d`."""


def dispute_of(row: asyncpg.Record) -> Dispute:
    fields = dict(row)
    moves = [
        (BalanceMove(id=id_, amount=amount, fee=fee, currency=currency, created=made_at), booked)
        for id_, amount, fee, currency, made_at, booked in fields.pop("moves") or ()
    ]
    return Dispute(
        **fields | {"shares": tuple(Share(*share) for share in row["shares"] or ())},
        booked=tuple(move for move, booked in moves if booked),
        waiting=tuple(move for move, booked in moves if not booked),
    )


async def list_disputes(
    tx: Connection,
    clinic_id: UUID,
    status: DisputeStatus | None,
    due_before: datetime | None,
    after: UUID | None,
    limit: int,
) -> Sequence[Dispute]:
    """The clinic's disputes by the deadline of evidence, the nearest first. `after` is the last one shown."""
    rows = await tx.fetch(
        f"""
        SELECT {DISPUTE} FROM disputes AS d
        WHERE d.clinic_id = $1 AND ($2::text IS NULL OR d.status = $2) AND ($3::timestamptz IS NULL OR d.due_by < $3)
            AND ($4::uuid IS NULL OR (coalesce(d.due_by, 'infinity'), d.id) > (
                SELECT coalesce(due_by, 'infinity'), id FROM disputes WHERE clinic_id = $1 AND id = $4
            ))
        ORDER BY coalesce(d.due_by, 'infinity'), d.id LIMIT $5
        """,
        clinic_id,
        status,
        due_before,
        after,
        limit,
    )
    return [dispute_of(row) for row in rows]


async def get_dispute(tx: Connection, clinic_id: UUID, dispute_id: UUID) -> Dispute | None:
    row = await tx.fetchrow(
        f"SELECT {DISPUTE} FROM disputes AS d WHERE d.clinic_id = $1 AND d.id = $2", clinic_id, dispute_id
    )
    return None if row is None else dispute_of(row)
