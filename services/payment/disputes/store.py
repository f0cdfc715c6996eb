"""SQL of disputes, of their shares and balance transactions, and of what is kept of a disputed payment."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg

from contracts.vocabulary import OPEN_DISPUTES, RETURNED_REFUNDS, DisputeStatus
from services.chassis.db.database import Connection, Key
from services.chassis.db.sql import literals
from services.chassis.ids import columns
from services.payment.disputes.domain import Dispute, Holding, Kept
from services.payment.disputes.reads import DISPUTE, dispute_of
from services.payment.ledger.domain import CreditKey

_OPEN = literals(OPEN_DISPUTES)
_RETURNED = literals(RETURNED_REFUNDS)


async def lock_disputes(tx: Connection, keys: Collection[Key]) -> dict[Key, Dispute]:
    """Read disputes by (clinic, id) and keep others from changing them. Lock their payments first."""
    rows = await tx.fetch(
        f"""
        SELECT {DISPUTE} FROM disputes AS d
        WHERE (d.clinic_id, d.id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
        ORDER BY d.clinic_id, d.id
        FOR UPDATE OF d
        """,
        *columns(keys),
    )
    disputes = [dispute_of(row) for row in rows]
    return {dispute.key: dispute for dispute in disputes}


async def list_statuses(
    tx: Connection, clinic_id: UUID, payments: Collection[UUID]
) -> dict[UUID, list[DisputeStatus]]:
    """The statuses of these payments' disputes, by payment."""
    rows = await tx.fetch(
        "SELECT payment_id, status FROM disputes WHERE clinic_id = $1 AND payment_id = ANY ($2)",
        clinic_id,
        list(payments),
    )
    found: dict[UUID, list[DisputeStatus]] = {}
    for row in rows:
        found.setdefault(row["payment_id"], []).append(row["status"])
    return found


async def read_kept(
    tx: Connection, payments: Collection[Key]
) -> tuple[dict[Key, list[Kept]], dict[Key, int], dict[Key, int]]:
    """The parts of the payments' shares, newest receivable first, how much of their surpluses is used, and how much of
    them came back since a dispute took all that there was and more.

    A refund to the method or a dispute uses of it; a refund to credit of what settled receivables adds to it. Credit
    that payments had reserved before the dispute took all, and released since, came back too. Their receivables,
    payments and credit balances are locked.
    """
    shares: dict[Key, list[Kept]] = {}
    for row in await tx.fetch(
        """
        SELECT clinic_id, payment_id, payable_id, settled_amount, moved_amount, reversed_amount, refunded_amount,
            disputed_amount
        FROM allocations WHERE (clinic_id, payment_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
        ORDER BY payable_id DESC
        """,
        *columns(payments),
    ):
        shares.setdefault((row["clinic_id"], row["payment_id"]), []).append(
            Kept(
                receivable_id=row["payable_id"],
                settled=row["settled_amount"],
                moved=row["moved_amount"],
                refunded=row["refunded_amount"],
                reversed=row["reversed_amount"],
                disputed=row["disputed_amount"],
            )
        )
    rows = await tx.fetch(
        f"""
        WITH taken_above AS (
            SELECT d.clinic_id, d.payment_id, d.client_id, d.currency, max(d.updated_at) AS since,
                min(t.booked_at) AS taken_at
            FROM disputes AS d
            LEFT JOIN dispute_transactions AS t ON (t.clinic_id, t.dispute_id) = (d.clinic_id, d.id)
            WHERE (d.clinic_id, d.payment_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[])) AND rest_amount > 0
            GROUP BY d.clinic_id, d.payment_id, d.client_id, d.currency
        )
        SELECT clinic_id, payment_id, sum(amount)::bigint AS amount, sum(came_back)::bigint AS came_back FROM (
            SELECT r.clinic_id, r.payment_id, 0 AS came_back,
                CASE r.destination WHEN 'credit' THEN -r.amount
                    ELSE r.amount - coalesce((
                        SELECT sum(s.amount) FROM refund_shares AS s
                        WHERE (s.clinic_id, s.refund_id) = (r.clinic_id, r.id)
                    ), 0) END AS amount
            FROM refunds AS r
            WHERE (r.clinic_id, r.payment_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
                AND r.status NOT IN {_RETURNED} AND (r.destination = 'method' OR r.status = 'succeeded')
            UNION ALL
            SELECT clinic_id, payment_id, 0, credit_amount FROM disputes
            WHERE (clinic_id, payment_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
            UNION ALL
            SELECT d.clinic_id, d.payment_id, -p.amount, 0
            FROM taken_above AS d
            JOIN postings AS p ON (p.clinic_id, p.client_id, p.currency) = (d.clinic_id, d.client_id, d.currency)
                AND p.account = 'client_credit'
            JOIN entries AS e ON (e.clinic_id, e.id, e.payment_id) = (p.clinic_id, p.entry_id, d.payment_id)
            WHERE e.booked_at > d.since AND e.effect <> 'dispute_returned'
            UNION ALL
            SELECT d.clinic_id, d.payment_id, -p.amount, 0
            FROM taken_above AS d
            JOIN postings AS p ON (p.clinic_id, p.client_id, p.currency) = (d.clinic_id, d.client_id, d.currency)
                AND p.account = 'client_credit'
            JOIN entries AS released ON (released.clinic_id, released.id, released.effect) =
                (p.clinic_id, p.entry_id, 'credit_released')
            JOIN entries AS reserved ON (reserved.clinic_id, reserved.stripe_object_id, reserved.effect) =
                (released.clinic_id, released.stripe_object_id, 'credit_reserved')
            WHERE released.booked_at > d.since AND reserved.booked_at < d.taken_at
        ) AS used
        GROUP BY clinic_id, payment_id
        """,
        *columns(payments),
    )
    used = {(row["clinic_id"], row["payment_id"]): row["amount"] for row in rows}
    came_back = {(row["clinic_id"], row["payment_id"]): row["came_back"] for row in rows}
    return shares, used, came_back


async def get_credit(tx: Connection, keys: Collection[CreditKey]) -> dict[CreditKey, int]:
    """These credit balances, which are locked."""
    rows = await tx.fetch(
        """
        SELECT clinic_id, client_id, currency, amount FROM credit_balances
        WHERE (clinic_id, client_id, currency) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[]))
        """,
        *map(list, zip(*sorted(keys), strict=True)),
    )
    return {(row["clinic_id"], row["client_id"], row["currency"]): row["amount"] for row in rows}


async def list_reopening(tx: Connection, clinics: Collection[UUID]) -> set[UUID]:
    """The clinics of these whose lost disputes make invoices due again."""
    rows = await tx.fetch(
        "SELECT clinic_id FROM clinics WHERE clinic_id = ANY ($1) AND lost_dispute_reopens", list(clinics)
    )
    return {row["clinic_id"] for row in rows}


async def save_disputes(tx: Connection, disputes: Collection[Dispute], doubtful: Collection[Key]) -> None:
    """Insert disputes, or save locked ones.

    One that waits for its payment, or is doubtful, is asked about at the sweep's next run.
    """
    ordered = sorted(disputes, key=lambda dispute: (dispute.opened_at, dispute.id))
    names = (
        "clinic_id", "id", "client_id", "payment_id", "stripe_dispute_id", "charge_id", "status", "reason", "amount",
        "currency", "due_by", "has_evidence", "submissions", "opened_at", "updated_at", "seen_at", "credit_amount",
        "rest_amount", "reopened", "version", "taken_up",
    )  # fmt: skip
    types = (
        "uuid", "uuid", "uuid", "uuid", "text", "text", "text", "text", "bigint", "text", "timestamptz", "boolean",
        "int", "timestamptz", "timestamptz", "timestamptz", "bigint", "bigint", "boolean", "int", "int", "boolean",
    )  # fmt: skip
    arrays = ", ".join(f"${at}::{type_}[]" for at, type_ in enumerate(types, 1))
    changed = ", ".join(f"{name} = excluded.{name}" for name in names[5:])
    await tx.execute(
        f"""
        INSERT INTO disputes AS d ({", ".join(names)}, checked_at)
        SELECT {", ".join(names)}, CASE WHEN hurry THEN '-infinity' ELSE app_now() END
        FROM unnest({arrays}) AS new ({", ".join(names)}, hurry)
        ON CONFLICT (clinic_id, id) DO UPDATE SET {changed},
            checked_at = least(excluded.checked_at, d.checked_at)
        """,
        *([getattr(dispute, name) for dispute in ordered] for name in names),
        [bool(dispute.waiting) or dispute.key in doubtful for dispute in ordered],
    )
    await _save_shares(tx, disputes)
    await _save_moves(tx, disputes)


async def _save_shares(tx: Connection, disputes: Collection[Dispute]) -> None:
    shares = [(dispute, share) for dispute in disputes for share in dispute.shares]
    if shares:
        await tx.execute(
            """
            INSERT INTO dispute_shares (clinic_id, dispute_id, payable_id, taken_amount, reopened_amount)
            SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[])
            ON CONFLICT (clinic_id, dispute_id, payable_id) DO UPDATE
            SET taken_amount = excluded.taken_amount, reopened_amount = excluded.reopened_amount
            """,
            [dispute.clinic_id for dispute, _ in shares],
            [dispute.id for dispute, _ in shares],
            [share.receivable_id for _, share in shares],
            [share.taken for _, share in shares],
            [share.reopened for _, share in shares],
        )


async def _save_moves(tx: Connection, disputes: Collection[Dispute]) -> None:
    moves = [
        (dispute, move, dispute.updated_at if is_booked else None)
        for dispute in disputes
        for found, is_booked in ((dispute.booked, True), (dispute.waiting, False))
        for move in found
    ]
    if moves:
        await tx.execute(
            """
            INSERT INTO dispute_transactions AS t (clinic_id, id, dispute_id, amount, fee, currency, made_at, booked_at)
            SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::bigint[], $5::bigint[], $6::text[],
                $7::timestamptz[], $8::timestamptz[])
            ON CONFLICT (clinic_id, id) DO UPDATE SET booked_at = coalesce(t.booked_at, excluded.booked_at)
            """,
            [dispute.clinic_id for dispute, _, _ in moves],
            [move.id for _, move, _ in moves],
            [dispute.id for dispute, _, _ in moves],
            [move.amount for _, move, _ in moves],
            [move.fee for _, move, _ in moves],
            [move.currency for _, move, _ in moves],
            [move.created for _, move, _ in moves],
            [booked_at for _, _, booked_at in moves],
        )


async def save_kept(tx: Connection, holdings: Collection[Holding]) -> None:
    """Save what disputes took of the payments' shares. Their receivables are locked."""
    shares = [(holding.payment, share) for holding in holdings for share in holding.shares]
    if shares:
        await tx.execute(
            """
            UPDATE allocations SET disputed_amount = new.disputed, reversed_amount = new.reversed
            FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[])
                AS new (clinic_id, payment_id, payable_id, disputed, reversed)
            WHERE (allocations.clinic_id, allocations.payment_id, allocations.payable_id)
                = (new.clinic_id, new.payment_id, new.payable_id)
            """,
            [payment.clinic_id for payment, _ in shares],
            [payment.id for payment, _ in shares],
            [share.receivable_id for _, share in shares],
            [share.disputed for _, share in shares],
            [share.reversed for _, share in shares],
        )


async def claim_unchecked(
    tx: Connection, ask_again: timedelta, at_most: timedelta, limit: int
) -> list[tuple[Dispute, str]]:
    """Disputes that are due to be asked for at Stripe, with their accounts; marked as asked now.

    An ended one is asked about for `at_most` after its last change: a bank may take it up again.
    """
    rows = await tx.fetch(
        f"""
        WITH due AS (
            SELECT clinic_id, id FROM disputes
            WHERE checked_at < app_now() - $1::interval
                AND (status IN {_OPEN} OR checked_at = '-infinity' OR updated_at > app_now() - $2::interval)
            ORDER BY checked_at LIMIT $3
            FOR UPDATE SKIP LOCKED
        ),
        marked AS (
            UPDATE disputes SET checked_at = app_now() FROM due
            WHERE (disputes.clinic_id, disputes.id) = (due.clinic_id, due.id)
            RETURNING disputes.*
        )
        SELECT {DISPUTE}, p.account FROM marked AS d
        JOIN payments AS p ON (p.clinic_id, p.id) = (d.clinic_id, d.payment_id)
        ORDER BY d.opened_at
        """,
        ask_again,
        at_most,
        limit,
    )
    return [(dispute_of(_without(row, "account")), row["account"]) for row in rows]


def _without(row: asyncpg.Record, name: str) -> Any:
    return {key: value for key, value in row.items() if key != name}
