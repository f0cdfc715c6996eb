"""SQL of refunds."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import asyncpg

from contracts.events.envelope import Method
from contracts.vocabulary import (
    PENDING_REFUNDS,
    RETURNED_REFUNDS,
    UNBEGUN_REFUNDS,
    RefundDestination,
    RefundPlace,
    RefundStatus,
)
from services.chassis.db.database import Connection, Key
from services.chassis.db.sql import literals
from services.chassis.ids import columns
from services.payment.refunds.domain import NEVER_BEGUN, Refund, Share
from services.payment.refunds.origins import KnownRefund
from services.payment.refunds.rules import Given, RefundRules

_PENDING = literals(PENDING_REFUNDS)


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asked for a refund, for whom, and with which status it begins."""

    by: UUID | None = None
    on_behalf_of: str | None = None
    status: RefundStatus = "created"
    approved_by: UUID | None = None
    act_id: UUID | None = None
    """For a refund that is held; None: the act has its id."""


NOBODY = Asked()
"""For a refund that was made at Stripe."""
_RETURNED = literals(RETURNED_REFUNDS)
_RULES = "most_a_day, most_amount_a_day, approve_above, refund_application_fee"
REFUND = """
    r.clinic_id, r.id, r.client_id, r.payment_id, p.account, p.livemode, p.stripe_payment_intent_id AS intent_id,
    r.status, r.amount, r.currency, r.created_at, r.asked_at, r.updated_at, r.stripe_refund_id, r.failure_reason,
    r.traceparent, r.refunded_at, r.seen_at, r.fact_id, r.installation, r.signature, r.destination,
    r.made_at, r.made_by, r.approved_by, r.refund_fee, r.act_id,
    p.method_kind, p.method_brand, p.method_last4,
    (
        SELECT array_agg((s.payable_id, s.amount) ORDER BY s.payable_id DESC) FROM refund_shares AS s
        WHERE (s.clinic_id, s.refund_id) = (r.clinic_id, r.id)
    ) AS shares
"""
"""Columns of `refunds AS r JOIN payments AS p`."""
JOINED = "refunds AS r JOIN payments AS p ON (p.clinic_id, p.id) = (r.clinic_id, r.payment_id)"


def refund_of(row: asyncpg.Record) -> Refund:
    fields = dict(row)
    kind, brand, last4 = (fields.pop(f"method_{name}") for name in ("kind", "brand", "last4"))
    shares = tuple(Share(*share) for share in fields.pop("shares") or ())
    method = Method(kind=kind, brand=brand, last4=last4) if kind else None
    return Refund(**fields, method=method, shares=shares)


async def has_payments(tx: Connection, clinic_id: UUID, client_id: UUID) -> bool:
    found: bool = await tx.fetchval(
        "SELECT EXISTS (SELECT FROM payments WHERE clinic_id = $1 AND client_id = $2)", clinic_id, client_id
    )
    return found


async def add_refunds(
    tx: Connection,
    refunds: Collection[tuple[UUID, UUID, int]],
    clinic_id: UUID,
    traceparent: str | None,
    destination: RefundDestination = "method",
    made_at: RefundPlace = "clinicpay",
    asked: Asked = NOBODY,
) -> list[Refund]:
    """Insert refunds given as (id, payment, amount); client, account and currency are the payment's."""
    ids, payment_ids, amounts = zip(*refunds, strict=True)
    await tx.execute(
        """
        INSERT INTO refunds (clinic_id, id, client_id, payment_id, status, amount, currency, idempotency_key,
            traceparent, created_at, updated_at, checked_at, destination, made_at,
            made_by, on_behalf_of, approved_by, act_id)
        SELECT p.clinic_id, new.id, p.client_id, p.id, $8, new.amount, p.currency, 'refund-' || new.id, $5,
            app_now(), app_now(), app_now(), $6, $7, $9, $10, $11, CASE $8 WHEN 'held' THEN coalesce($12, new.id) END
        FROM unnest($2::uuid[], $3::uuid[], $4::bigint[]) AS new (id, payment_id, amount)
        JOIN payments AS p ON (p.clinic_id, p.id) = ($1, new.payment_id)
        """,
        clinic_id,
        ids,
        payment_ids,
        amounts,
        traceparent,
        destination,
        made_at,
        asked.status,
        asked.by,
        asked.on_behalf_of,
        asked.approved_by,
        asked.act_id,
    )
    return await get_refunds(tx, clinic_id, ids)


async def add_shares(tx: Connection, refund: Refund) -> None:
    """Save what the refund gives back of receivables, which are locked, and set it aside there."""
    await tx.execute(
        """
        INSERT INTO refund_shares (clinic_id, refund_id, payable_id, amount)
        SELECT $1, $2, payable_id, amount FROM unnest($3::uuid[], $4::bigint[]) AS share (payable_id, amount)
        """,
        refund.clinic_id,
        refund.id,
        list(refund.parts),
        list(refund.parts.values()),
    )
    await change_refunded(tx, [(refund, 1)])


async def change_refunded(tx: Connection, refunds: Iterable[tuple[Refund, int]]) -> None:
    """Count what refunds take off their payment's parts (1), or give back (-1). The receivables are locked."""
    parts = [(refund, share, sign) for refund, sign in refunds for share in refund.shares]
    await tx.execute(
        """
        UPDATE allocations SET refunded_amount = refunded_amount + new.amount
        FROM (
            SELECT clinic_id, payment_id, payable_id, sum(amount) AS amount
            FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[])
                AS part (clinic_id, payment_id, payable_id, amount)
            GROUP BY clinic_id, payment_id, payable_id
        ) AS new
        WHERE (allocations.clinic_id, allocations.payment_id, allocations.payable_id)
            = (new.clinic_id, new.payment_id, new.payable_id)
        """,
        [refund.clinic_id for refund, _, _ in parts],
        [refund.payment_id for refund, _, _ in parts],
        [share.receivable_id for _, share, _ in parts],
        [sign * share.amount for _, share, sign in parts],
    )


async def lock_rules(tx: Connection, clinic_id: UUID) -> RefundRules | None:
    """The clinic's rules, and keep others from refunding by them until the transaction ends. None: it has none."""
    row = await tx.fetchrow(f"SELECT {_RULES} FROM refund_rules WHERE clinic_id = $1 FOR UPDATE", clinic_id)
    return None if row is None else RefundRules(**row)


async def get_rules(tx: Connection, clinic_id: UUID) -> RefundRules:
    row = await tx.fetchrow(f"SELECT {_RULES} FROM refund_rules WHERE clinic_id = $1", clinic_id)
    return RefundRules() if row is None else RefundRules(**row)


async def put_rules(tx: Connection, clinic_id: UUID, rules: RefundRules) -> None:
    await tx.execute(
        f"""
        INSERT INTO refund_rules (clinic_id, {_RULES}) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (clinic_id) DO UPDATE SET most_a_day = excluded.most_a_day,
            most_amount_a_day = excluded.most_amount_a_day, approve_above = excluded.approve_above,
            refund_application_fee = excluded.refund_application_fee
        """,
        clinic_id,
        rules.most_a_day,
        rules.most_amount_a_day,
        rules.approve_above,
        rules.refund_application_fee,
    )


async def count_given(tx: Connection, clinic_id: UUID, by: UUID, currency: str) -> Given:
    """The refunds that one asked for in the last 24 hours; a refund that ended without the money does not count.

    One that waited or was held began later than it was asked for: it counts once.
    """
    row = await tx.fetchrow(
        f"""
        SELECT count(*)::int AS count, coalesce(sum(amount) FILTER (WHERE currency = $3), 0)::bigint AS amount
        FROM refunds
        WHERE clinic_id = $1 AND made_by = $2 AND created_at > app_now() - interval '24 hours'
            AND coalesce(asked_at, created_at) > app_now() - interval '24 hours' AND status NOT IN {_RETURNED}
        """,
        clinic_id,
        by,
        currency,
    )
    assert row is not None
    return Given(**row)


async def give_fee_back(tx: Connection, refunds: Collection[Refund]) -> None:
    """Mark refunds whose part of the application fee goes back too, in the transaction that makes them."""
    await tx.execute(
        """
        UPDATE refunds SET refund_fee = true
        WHERE (clinic_id, id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
        """,
        *columns([refund.key for refund in refunds]),
    )


async def begin(tx: Connection, refund: Refund) -> None:
    """Let a refund begin now: Stripe knows nothing of it before, and so its time with Stripe begins."""
    await tx.execute(
        """
        UPDATE refunds SET status = 'created', approved_by = $3, created_at = app_now(), updated_at = app_now(),
            checked_at = app_now(), asked_at = coalesce(asked_at, created_at)
        WHERE clinic_id = $1 AND id = $2
        """,
        refund.clinic_id,
        refund.id,
        refund.approved_by,
    )


async def get_on_behalf_of(tx: Connection, refund: Refund) -> str | None:
    """For whom a refund was asked for."""
    found: str | None = await tx.fetchval(
        "SELECT on_behalf_of FROM refunds WHERE clinic_id = $1 AND id = $2", refund.clinic_id, refund.id
    )
    return found


async def hold(tx: Connection, refund: Refund, approved_by: UUID) -> None:
    """Hold a locked refund that was approved. The act gets its id."""
    await tx.execute(
        """
        UPDATE refunds SET status = 'held', approved_by = $3, act_id = id, updated_at = app_now()
        WHERE clinic_id = $1 AND id = $2
        """,
        refund.clinic_id,
        refund.id,
        approved_by,
    )


async def list_of_acts(tx: Connection, acts: Collection[Key]) -> list[Refund]:
    """The refunds of held acts, given as (clinic, act), newest first. The lock of the act guards a held one."""
    rows = await tx.fetch(
        f"""
        SELECT {REFUND} FROM {JOINED}
        WHERE (r.clinic_id, r.act_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
        ORDER BY r.id DESC
        """,
        *columns(acts),
    )
    return [refund_of(row) for row in rows]


async def lock_waiting(tx: Connection, payment: Key) -> frozenset[Key]:
    """The refunds of a payment that wait for approval. Nobody approves them until the transaction ends."""
    rows = await tx.fetch(
        """
        SELECT clinic_id, id FROM refunds
        WHERE (clinic_id, payment_id) = ($1, $2) AND status = 'awaiting_approval'
        ORDER BY id
        FOR UPDATE
        """,
        *payment,
    )
    return frozenset((row["clinic_id"], row["id"]) for row in rows)


async def find_made_at_stripe(tx: Connection, account: str, stripe_ids: Collection[str]) -> dict[str, Key]:
    """Refunds that were made at Stripe and are booked, by Stripe's id. Locks nothing."""
    rows = await tx.fetch(
        f"""
        SELECT r.stripe_refund_id, r.clinic_id, r.id FROM {JOINED}
        WHERE p.account = $1 AND r.stripe_refund_id = ANY ($2) AND r.made_at = 'stripe'
        """,
        account,
        list(stripe_ids),
    )
    return {row["stripe_refund_id"]: (row["clinic_id"], row["id"]) for row in rows}


async def is_reported(tx: Connection, key: Key, kind: str) -> bool:
    """Whether there is an exception about this refund that is open, or that a person dismissed."""
    found: bool = await tx.fetchval(
        """
        SELECT EXISTS (
            SELECT FROM exceptions WHERE clinic_id = $1 AND kind = $2 AND subject_id = $3
                AND (settled_how IS NULL OR settled_how = 'dismiss')
        )
        """,
        key[0],
        kind,
        key[1],
    )
    return found


async def get_taken(tx: Connection, clinic_id: UUID, payment_id: UUID) -> dict[UUID, int]:
    """The sum of each receivable that a payment settled and no more does: now credit, reversed, or disputed."""
    rows = await tx.fetch(
        """
        SELECT payable_id, moved_amount + reversed_amount + disputed_amount AS taken FROM allocations
        WHERE clinic_id = $1 AND payment_id = $2
        """,
        clinic_id,
        payment_id,
    )
    return {row["payable_id"]: row["taken"] for row in rows}


async def sum_unbooked(tx: Connection, payment: Key, currency: str) -> int:
    """The sum of the payment's refunds at Stripe that could not be booked: reported, and not compared again since."""
    found: int = await tx.fetchval(
        """
        SELECT coalesce(sum((detail ->> 'amount')::bigint), 0)::bigint FROM exceptions
        WHERE clinic_id = $1 AND kind = 'refund_at_stripe' AND detail ->> 'payment_id' = $2
            AND detail ->> 'currency' = $3 AND (settled_how IS NULL OR settled_how = 'dismiss')
        """,
        payment[0],
        str(payment[1]),
        currency,
    )
    return found


async def may_move(tx: Connection) -> bool:
    """Whether this role may move money off an invoice: the worker alone may."""
    found: bool = await tx.fetchval("SELECT pg_has_role('app_worker', 'USAGE')")
    return found


async def find_shares(tx: Connection, keys: Collection[Key]) -> set[Key]:
    """The receivables of which these refunds give something back. Locks nothing: shares never change."""
    rows = await tx.fetch(
        """
        SELECT DISTINCT clinic_id, payable_id FROM refund_shares
        WHERE (clinic_id, refund_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
        """,
        *columns(keys),
    )
    return {(row["clinic_id"], row["payable_id"]) for row in rows}


async def get_refunds(tx: Connection, clinic_id: UUID, ids: Collection[UUID]) -> list[Refund]:
    """Refunds by id, in the order of their payments."""
    rows = await tx.fetch(
        f"SELECT {REFUND} FROM {JOINED} WHERE r.clinic_id = $1 AND r.id = ANY ($2) ORDER BY r.payment_id, r.id",
        clinic_id,
        list(ids),
    )
    return [refund_of(row) for row in rows]


async def list_refunds(
    tx: Connection, clinic_id: UUID, client_id: UUID, limit: int, *, begun: bool = False
) -> list[Refund]:
    """A client's refunds, newest first; only the begun ones, or all."""
    rows = await tx.fetch(
        f"""
        SELECT {REFUND} FROM {JOINED}
        WHERE r.clinic_id = $1 AND r.client_id = $2 AND NOT ($4 AND (
            r.status IN {literals(UNBEGUN_REFUNDS)} OR coalesce(r.failure_reason = ANY ($5), false)
        ))
        ORDER BY r.id DESC LIMIT $3
        """,
        clinic_id,
        client_id,
        limit,
        begun,
        list(NEVER_BEGUN.values()),
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


async def hurry_checks(tx: Connection, keys: Collection[Key]) -> None:
    """Make the sweeper ask about these refunds in its next run. Each was sent before: Stripe knows it."""
    await tx.execute(
        """
        UPDATE refunds SET checked_at = created_at - interval '1 day'
        WHERE (clinic_id, id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
        """,
        *columns(keys),
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
                status = 'succeeded' AND destination = 'method' AND checked_at < app_now() - $2::interval
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
