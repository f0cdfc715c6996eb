"""SQL of recorded payments and counts of cash."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import asyncpg

from contracts.vocabulary import OPEN_INVOICES
from services.chassis.db.database import Connection, Key
from services.chassis.db.sql import literals
from services.payment.outside.domain import Kept, Origin

MOST_INVOICES = 100
"""The most invoices that one recorded payment is divided among."""


async def list_open(tx: Connection, clinic_id: UUID, client_id: UUID, currency: str) -> list[UUID]:
    """The client's receivables on which something is due, the oldest due date first."""
    rows = await tx.fetch(
        f"""
        SELECT id FROM payables
        WHERE clinic_id = $1 AND client_id = $2 AND currency = $3 AND status IN {literals(OPEN_INVOICES)}
            AND due_amount > settled_amount
        ORDER BY due_on, id LIMIT {MOST_INVOICES}
        """,
        clinic_id,
        client_id,
        currency,
    )
    return [row["id"] for row in rows]


async def add_record(tx: Connection, key: Key, origin: Origin, recorded_by: str) -> None:
    await tx.execute(
        """
        INSERT INTO recorded_payments (clinic_id, payment_id, location, reference, recorded_by, on_behalf_of)
        VALUES ($1, $2, $3, $4, $5, $6)
        """,
        *key,
        origin.location,
        origin.reference,
        recorded_by,
        origin.on_behalf_of,
    )


async def get_reversal(tx: Connection, key: Key) -> tuple[datetime | None] | None:
    """When a recorded payment was taken back; None for a payment that was not recorded. The payment is locked."""
    row = await tx.fetchrow(
        "SELECT reversed_at FROM recorded_payments WHERE clinic_id = $1 AND payment_id = $2", *key
    )
    return None if row is None else (row["reversed_at"],)


async def list_kept(tx: Connection, key: Key) -> list[Kept]:
    """The parts of a locked payment that are still on their receivables."""
    rows = await tx.fetch(
        """
        SELECT payable_id, settled_amount - moved_amount - reversed_amount AS amount FROM allocations
        WHERE clinic_id = $1 AND payment_id = $2 ORDER BY payable_id
        """,
        *key,
    )
    return [Kept(row["payable_id"], row["amount"]) for row in rows]


async def mark_reversed(
    tx: Connection, key: Key, kept: list[Kept], due: Mapping[UUID, int], reason: str, at: datetime
) -> None:
    """Mark a payment as taken back; `due` is what is due on its receivables then, by their ids."""
    await tx.execute(
        """
        UPDATE allocations SET reversed_amount = reversed_amount + new.amount, due_after_reversal = new.due
        FROM unnest($3::uuid[], $4::bigint[], $5::bigint[]) AS new (payable_id, amount, due)
        WHERE allocations.clinic_id = $1 AND allocations.payment_id = $2 AND allocations.payable_id = new.payable_id
        """,
        *key,
        [each.receivable_id for each in kept],
        [each.amount for each in kept],
        [due.get(each.receivable_id) for each in kept],
    )
    await tx.execute(
        """
        UPDATE recorded_payments SET reversed_at = $3, reversal_reason = $4 WHERE clinic_id = $1 AND payment_id = $2
        """,
        *key,
        at,
        reason,
    )


async def count_expected(
    tx: Connection, clinic_id: UUID, closing_id: UUID, location: str, currency: str
) -> int:
    """Mark the location's cash that no earlier count holds as held by this one. Returns its sum in the books.

    A payment that is taken back after its count lowers the next one.
    """
    sums = []
    for column, sign, condition in (
        ("closing_id", 1, "r.closing_id IS NULL"),
        ("reversal_closing_id", -1, "r.reversed_at IS NOT NULL AND r.reversal_closing_id IS NULL"),
    ):
        found = await tx.fetchval(
            f"""
            WITH counted AS (
                UPDATE recorded_payments AS r SET {column} = $2
                FROM payments AS p
                WHERE (p.clinic_id, p.id) = (r.clinic_id, r.payment_id) AND r.clinic_id = $1 AND r.location = $3
                    AND p.currency = $4 AND p.kind = 'cash' AND {condition}
                RETURNING p.amount
            )
            SELECT coalesce(sum(amount), 0)::bigint FROM counted
            """,
            clinic_id,
            closing_id,
            location,
            currency,
        )
        sums.append(sign * int(found))
    return sum(sums)


async def add_closing(
    tx: Connection,
    clinic_id: UUID,
    closing_id: UUID,
    location: str,
    currency: str,
    note: str,
    by: str,
    at: datetime,
) -> None:
    """Begin a count with nothing in it; `save_closing` gives its sums."""
    await tx.execute(
        """
        INSERT INTO cash_closings (clinic_id, id, location, currency, expected_amount, counted_amount, note, closed_by,
            closed_at)
        VALUES ($1, $2, $3, $4, 0, 0, $5, $6, $7)
        """,
        clinic_id,
        closing_id,
        location,
        currency,
        note,
        by,
        at,
    )


async def save_closing(
    tx: Connection, clinic_id: UUID, closing_id: UUID, expected: int, counted: int
) -> None:
    await tx.execute(
        """
        UPDATE cash_closings SET expected_amount = $3, counted_amount = $4 WHERE clinic_id = $1 AND id = $2
        """,
        clinic_id,
        closing_id,
        expected,
        counted,
    )


async def list_closings(
    tx: Connection, clinic_id: UUID, closing_id: UUID | None, before: UUID | None, limit: int
) -> list[asyncpg.Record]:
    """Counts of cash, newest first; one of them when its id is given."""
    return await tx.fetch(
        """
        SELECT id, location, currency, expected_amount, counted_amount, note, closed_at FROM cash_closings
        WHERE clinic_id = $1 AND ($2::uuid IS NULL OR id = $2) AND ($3::uuid IS NULL OR id < $3)
        ORDER BY id DESC LIMIT $4
        """,
        clinic_id,
        closing_id,
        before,
        limit,
    )
