"""SQL of refunds, and of the surpluses that can be refunded."""

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

import asyncpg

from contracts.events.envelope import Method
from contracts.money import Money
from contracts.vocabulary import PENDING_REFUNDS, RETURNED_REFUNDS
from services.chassis.db.database import Connection, Key
from services.chassis.db.sql import literals
from services.chassis.ids import columns
from services.payment.refunds.domain import Refund, Surplus
from services.payment.refunds.origins import KnownRefund

_PENDING = literals(PENDING_REFUNDS)
_RETURNED = literals(RETURNED_REFUNDS)
REFUND = """
    r.clinic_id, r.id, r.client_id, r.payment_id, p.account, p.livemode, p.stripe_payment_intent_id AS intent_id,
    r.status, r.amount, r.currency, r.created_at, r.updated_at, r.stripe_refund_id, r.failure_reason, r.traceparent,
    r.refunded_at, r.seen_at, r.fact_id, r.installation, r.signature,
    p.method_kind, p.method_brand, p.method_last4
"""
"""Columns of `refunds AS r JOIN payments AS p`."""
JOINED = "refunds AS r JOIN payments AS p ON (p.clinic_id, p.id) = (r.clinic_id, r.payment_id)"


def refund_of(row: asyncpg.Record) -> Refund:
    fields = dict(row)
    kind, brand, last4 = (fields.pop(f"method_{name}") for name in ("kind", "brand", "last4"))
    return Refund(**fields, method=Method(kind=kind, brand=brand, last4=last4) if kind else None)


async def list_surpluses(tx: Connection, clinic_id: UUID, client_id: UUID, livemode: bool) -> list[Surplus]:
    """The client's surpluses of that mode, with the sum left of each, oldest first."""
    rows = await tx.fetch(
        f"""
        SELECT p.id, p.currency, p.method_kind, p.method_brand, p.method_last4,
            (p.amount - coalesce(a.settled, 0) - coalesce(r.refunded, 0))::bigint AS left_amount,
            coalesce(r.refunded, 0)::bigint AS refunded
        FROM payments AS p
        LEFT JOIN LATERAL (
            SELECT sum(settled_amount) AS settled FROM allocations
            WHERE (allocations.clinic_id, allocations.payment_id) = (p.clinic_id, p.id)
        ) AS a ON true
        LEFT JOIN LATERAL (
            SELECT sum(amount) AS refunded FROM refunds
            WHERE (refunds.clinic_id, refunds.payment_id) = (p.clinic_id, p.id)
                AND status NOT IN {_RETURNED}
        ) AS r ON true
        WHERE p.clinic_id = $1 AND p.client_id = $2 AND p.status = 'succeeded' AND p.livemode = $3
            AND p.amount > coalesce(a.settled, 0) + coalesce(r.refunded, 0)
        ORDER BY p.id
        """,
        clinic_id,
        client_id,
        livemode,
    )
    return [_surplus(row) for row in rows]


def _surplus(row: asyncpg.Record) -> Surplus:
    kind = row["method_kind"]
    return Surplus(
        payment_id=row["id"],
        left=Money(minor=row["left_amount"], currency=row["currency"]),
        method=Method(kind=kind, brand=row["method_brand"], last4=row["method_last4"]) if kind else None,
        refunded=row["refunded"],
    )


async def has_payments(tx: Connection, clinic_id: UUID, client_id: UUID) -> bool:
    found: bool = await tx.fetchval(
        "SELECT EXISTS (SELECT FROM payments WHERE clinic_id = $1 AND client_id = $2)", clinic_id, client_id
    )
    return found


async def add_refunds(
    tx: Connection, refunds: Collection[tuple[UUID, UUID, int]], clinic_id: UUID, traceparent: str | None
) -> list[Refund]:
    """Insert refunds given as (id, payment, amount); client, account and currency are the payment's."""
    ids, payment_ids, amounts = zip(*refunds, strict=True)
    await tx.execute(
        """
        INSERT INTO refunds (clinic_id, id, client_id, payment_id, status, amount, currency, idempotency_key,
            traceparent, created_at, updated_at, checked_at)
        SELECT p.clinic_id, new.id, p.client_id, p.id, 'created', new.amount, p.currency, 'refund-' || new.id, $5,
            app_now(), app_now(), app_now()
        FROM unnest($2::uuid[], $3::uuid[], $4::bigint[]) AS new (id, payment_id, amount)
        JOIN payments AS p ON (p.clinic_id, p.id) = ($1, new.payment_id)
        """,
        clinic_id,
        ids,
        payment_ids,
        amounts,
        traceparent,
    )
    return await get_refunds(tx, clinic_id, ids)


async def get_refunds(tx: Connection, clinic_id: UUID, ids: Collection[UUID]) -> list[Refund]:
    """Refunds by id, in the order of their payments."""
    rows = await tx.fetch(
        f"SELECT {REFUND} FROM {JOINED} WHERE r.clinic_id = $1 AND r.id = ANY ($2) ORDER BY r.payment_id, r.id",
        clinic_id,
        list(ids),
    )
    return [refund_of(row) for row in rows]


async def list_refunds(tx: Connection, clinic_id: UUID, client_id: UUID, limit: int) -> list[Refund]:
    """A client's refunds, newest first."""
    rows = await tx.fetch(
        f"SELECT {REFUND} FROM {JOINED} WHERE r.clinic_id = $1 AND r.client_id = $2 ORDER BY r.id DESC LIMIT $3",
        clinic_id,
        client_id,
        limit,
    )
    return [refund_of(row) for row in rows]


async def find_refunds(tx: Connection, keys: Collection[Key]) -> dict[Key, KnownRefund]:
    """Refunds by (clinic, id), with the values that identify their object at Stripe. Locks nothing."""
    rows = await tx.fetch(
        f"""
        SELECT {REFUND} FROM {JOINED}
        WHERE (r.clinic_id, r.id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
        """,
        *columns(keys),
    )
    refunds = [refund_of(row) for row in rows]
    return {refund.key: KnownRefund.of(refund) for refund in refunds}


async def lock_refunds(tx: Connection, keys: Collection[Key]) -> dict[Key, Refund]:
    """Read refunds by (clinic, id) and keep others from changing them until the transaction ends."""
    rows = await tx.fetch(
        f"""
        SELECT {REFUND} FROM {JOINED}
        WHERE (r.clinic_id, r.id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
        ORDER BY r.clinic_id, r.id
        FOR UPDATE OF r
        """,
        *columns(keys),
    )
    refunds = [refund_of(row) for row in rows]
    return {refund.key: refund for refund in refunds}


async def save_refunds(tx: Connection, refunds: Collection[Refund]) -> None:
    """Update the columns that an observation may change. The rows are locked."""
    await tx.execute(
        """
        UPDATE refunds
        SET status = new.status, stripe_refund_id = new.stripe_refund_id, failure_reason = new.failure_reason,
            updated_at = new.updated_at, refunded_at = new.refunded_at, seen_at = new.seen_at,
            fact_id = new.fact_id
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[],
            $7::timestamptz[], $8::timestamptz[], $9::uuid[])
            AS new (clinic_id, id, status, stripe_refund_id, failure_reason, updated_at, refunded_at, seen_at, fact_id)
        WHERE refunds.clinic_id = new.clinic_id AND refunds.id = new.id
        """,
        [refund.clinic_id for refund in refunds],
        [refund.id for refund in refunds],
        [refund.status for refund in refunds],
        [refund.stripe_refund_id for refund in refunds],
        [refund.failure_reason for refund in refunds],
        [refund.updated_at for refund in refunds],
        [refund.refunded_at for refund in refunds],
        [refund.seen_at for refund in refunds],
        [refund.fact_id for refund in refunds],
    )


async def seal_refunds(tx: Connection, refunds: Collection[Refund]) -> None:
    """Save the seals that the refunds will carry at Stripe, in the transaction that makes them."""
    await tx.execute(
        """
        UPDATE refunds SET installation = new.installation, signature = new.signature
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) AS new (clinic_id, id, installation, signature)
        WHERE refunds.clinic_id = new.clinic_id AND refunds.id = new.id
        """,
        [refund.clinic_id for refund in refunds],
        [refund.id for refund in refunds],
        [refund.installation for refund in refunds],
        [refund.signature for refund in refunds],
    )


async def keep_refund(tx: Connection, refund: Refund, stripe_refund_id: str) -> None:
    """Save the id that Stripe gave, unless a webhook was faster or the refund was given up."""
    await tx.execute(
        f"""
        UPDATE refunds
        SET stripe_refund_id = $3, updated_at = app_now(),
            status = CASE status WHEN 'created' THEN 'pending' ELSE status END
        WHERE clinic_id = $1 AND id = $2 AND stripe_refund_id IS NULL AND status NOT IN {_RETURNED}
        """,
        refund.clinic_id,
        refund.id,
        stripe_refund_id,
    )


async def claim_first_call(tx: Connection, refund: Refund) -> bool:
    """Whether this is the refund's first call to Stripe. It is marked as called, so only one caller is the first."""
    found: bool = await tx.fetchval(
        """
        WITH claimed AS (
            UPDATE refunds SET checked_at = greatest(app_now(), created_at + interval '1 microsecond')
            WHERE clinic_id = $1 AND id = $2 AND checked_at = created_at
            RETURNING true
        )
        SELECT EXISTS (SELECT FROM claimed)
        """,
        refund.clinic_id,
        refund.id,
    )
    return found


async def claim_unchecked(
    tx: Connection, older_than: timedelta, look_again: timedelta, at_most: timedelta, limit: int
) -> list[Refund]:
    """Refunds that are due to be asked for at Stripe; marked as asked now.

    A pending refund is asked for at the latest after a tenth of its age. A refund that succeeded within `at_most` is
    asked for every `look_again`, since it may still fail.
    """
    rows = await tx.fetch(
        f"""
        WITH due AS (
            SELECT clinic_id, id FROM refunds
            WHERE (
                status IN {_PENDING}
                AND checked_at < app_now() - greatest($1::interval, (app_now() - created_at) / 10)
            ) OR (
                status = 'succeeded' AND checked_at < app_now() - $2::interval
                AND refunded_at > app_now() - $3::interval
            )
            ORDER BY checked_at LIMIT $4
            FOR UPDATE SKIP LOCKED
        ),
        marked AS (
            UPDATE refunds SET checked_at = app_now() FROM due
            WHERE refunds.clinic_id = due.clinic_id AND refunds.id = due.id
            RETURNING refunds.*
        )
        SELECT {REFUND} FROM {JOINED.replace("refunds AS r", "marked AS r")} ORDER BY r.created_at
        """,
        older_than,
        look_again,
        at_most,
        limit,
    )
    return [refund_of(row) for row in rows]
