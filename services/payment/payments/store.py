"""Payments and their shares."""

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

import asyncpg

from contracts.vocabulary import PaymentStatus
from services.chassis.db.database import Connection, Key
from services.chassis.ids import columns
from services.payment.payments.attempts import FailedAttempt
from services.payment.payments.domain import KeyReused, Payment
from services.payment.payments.excess import Excess, Paid
from services.payment.payments.origins import Known
from services.payment.payments.reads import LIVE, PAYMENT, payment_of


async def count_start(tx: Connection, clinic_id: UUID, client_id: UUID, window: timedelta) -> tuple[int, int]:
    """Count one more press of Pay: how many there are in the window, and the seconds until it ends."""
    row = await tx.fetchrow(
        """
        INSERT INTO starts AS s (clinic_id, client_id, tries, ends_at) VALUES ($1, $2, 1, app_now() + $3)
        ON CONFLICT (clinic_id, client_id) DO UPDATE SET
            tries = CASE WHEN s.ends_at <= app_now() THEN 1 ELSE s.tries + 1 END,
            ends_at = CASE WHEN s.ends_at <= app_now() THEN app_now() + $3 ELSE s.ends_at END
        RETURNING tries, ceil(extract(epoch FROM ends_at - app_now()))::int AS seconds
        """,
        clinic_id,
        client_id,
        window,
    )
    assert row is not None
    return int(row["tries"]), int(row["seconds"])


async def find_payments(
    tx: Connection, keys: Collection[Key], intents: Collection[tuple[str, str]]
) -> list[Known]:
    """Payments by key, or by (account, intent). Locks nothing."""
    rows = await tx.fetch(
        """
        WITH named AS (
            SELECT p.clinic_id, p.id, p.account, p.stripe_payment_intent_id, p.signature IS NOT NULL AS sealed,
                p.intent_made
            FROM unnest($1::uuid[], $2::uuid[]) AS key (clinic_id, id) JOIN payments AS p USING (clinic_id, id)
            UNION
            SELECT p.clinic_id, p.id, p.account, p.stripe_payment_intent_id, p.signature IS NOT NULL AS sealed,
                p.intent_made
            FROM unnest($3::text[], $4::text[]) AS intent (account, stripe_payment_intent_id)
            JOIN payments AS p USING (account, stripe_payment_intent_id)
        )
        SELECT named.*, ARRAY(
            SELECT payable_id FROM allocations
            WHERE allocations.clinic_id = named.clinic_id AND allocations.payment_id = named.id
        ) AS payable_ids
        FROM named
        """,
        *columns(keys),
        [account for account, _ in intents],
        [intent for _, intent in intents],
    )
    return [
        Known(
            key=(row["clinic_id"], row["id"]),
            intent=(row["account"], row["stripe_payment_intent_id"]),
            receivable_ids=row["payable_ids"],
            sealed=row["sealed"],
            made=row["intent_made"],
        )
        for row in rows
    ]


async def lock_payments(tx: Connection, keys: Collection[Key]) -> dict[Key, Payment]:
    """Read payments with their shares, and keep others from changing them. Lock their receivables first.

    New rows may still refer to them: a refund is inserted without waiting for this lock.
    """
    rows = await tx.fetch(
        f"""
        SELECT {PAYMENT} FROM payments
        WHERE (clinic_id, id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
        ORDER BY clinic_id, id
        FOR NO KEY UPDATE
        """,
        *columns(keys),
    )
    payments = [payment_of(row) for row in rows]
    return {payment.key: payment for payment in payments}


async def lock_live_payments(tx: Connection, receivables: Collection[Key]) -> list[Payment]:
    """The payments of these locked receivables whose intents may still take money.

    Some of them hold no reservation: a delayed method that failed releases it, but its intent stays open.
    """
    rows = await tx.fetch(
        f"""
        WITH sharing AS MATERIALIZED (
            SELECT clinic_id, payment_id FROM allocations
            WHERE (clinic_id, payable_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
        )
        SELECT {PAYMENT} FROM payments
        WHERE {LIVE} AND (clinic_id, id) IN (SELECT clinic_id, payment_id FROM sharing)
        ORDER BY clinic_id, id
        FOR NO KEY UPDATE
        """,
        *columns(receivables),
    )
    return [payment_of(row) for row in rows]


async def lock_deposits(tx: Connection, clinic_id: UUID, client_id: UUID) -> bytes | None:
    """Let one transaction at a time start a deposit of the client: the newest choice of one, None before the first."""
    choice: bytes | None = await tx.fetchval(
        """
        INSERT INTO starts AS s (clinic_id, client_id, tries, ends_at)
        VALUES ($1, $2, 0, app_now() + interval '1 hour')
        ON CONFLICT (clinic_id, client_id) DO UPDATE SET tries = s.tries
        RETURNING choice
        """,
        clinic_id,
        client_id,
    )
    return choice


async def keep_deposit_choice(tx: Connection, clinic_id: UUID, client_id: UUID, choice: bytes) -> None:
    """Save the newest choice of a deposit. The row is locked."""
    await tx.execute(
        "UPDATE starts SET choice = $3 WHERE clinic_id = $1 AND client_id = $2", clinic_id, client_id, choice
    )


async def lock_live_deposits(tx: Connection, client_id: UUID) -> list[Payment]:
    """The client's deposits whose intents may still take money."""
    rows = await tx.fetch(
        f"""
        SELECT {PAYMENT} FROM payments WHERE {LIVE} AND deposit AND client_id = $1
        ORDER BY clinic_id, id FOR NO KEY UPDATE
        """,
        client_id,
    )
    return [payment_of(row) for row in rows]


async def add_payment(tx: Connection, payment: Payment) -> None:
    """Insert a payment and its reservations. Raises `KeyReused` if another payment just took its request key."""
    try:
        await _insert_payment(tx, payment)
    except asyncpg.UniqueViolationError:
        raise KeyReused("This Idempotency-Key was used for another payment.") from None
    await tx.execute(
        """
        INSERT INTO allocations (clinic_id, payment_id, payable_id, amount, state, settled_amount, credit_amount)
        SELECT $1, $2, share.*
        FROM unnest($3::uuid[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[])
            AS share (payable_id, amount, state, settled_amount, credit_amount)
        """,
        payment.clinic_id,
        payment.id,
        [share.receivable_id for share in payment.allocations],
        [share.amount for share in payment.allocations],
        [share.state for share in payment.allocations],
        [share.settled_amount for share in payment.allocations],
        [share.credit_amount for share in payment.allocations],
    )


async def add_used_credit(tx: Connection, used: Collection[Payment]) -> None:
    """Insert payments by credit with their shares. Raises `KeyReused` if another payment just took a request key."""
    shares = [(payment, share) for payment in used for share in payment.allocations]
    try:
        await tx.execute(
            """
            INSERT INTO payments (clinic_id, id, client_id, account, livemode, status, amount, currency, kind, save,
                idempotency_key, request_key, method_kind, created_at, updated_at, succeeded_at, checked_at)
            SELECT clinic_id, id, client_id, '', livemode, 'succeeded', amount, currency, 'credit', false,
                idempotency_key, request_key, 'credit', at, at, at, at
            FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::boolean[], $5::bigint[], $6::text[], $7::text[],
                $8::text[], $9::timestamptz[])
                AS used (clinic_id, id, client_id, livemode, amount, currency, idempotency_key, request_key, at)
            """,
            [payment.clinic_id for payment in used],
            [payment.id for payment in used],
            [payment.client_id for payment in used],
            [payment.livemode for payment in used],
            [payment.amount for payment in used],
            [payment.currency for payment in used],
            [payment.idempotency_key for payment in used],
            [payment.request_key for payment in used],
            [payment.created_at for payment in used],
        )
    except asyncpg.UniqueViolationError:
        raise KeyReused("This Idempotency-Key was used for another payment.") from None
    await tx.execute(
        """
        INSERT INTO allocations (clinic_id, payment_id, payable_id, amount, state, settled_amount)
        SELECT clinic_id, payment_id, payable_id, amount, 'settled', amount
        FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[])
            AS share (clinic_id, payment_id, payable_id, amount)
        """,
        [payment.clinic_id for payment, _ in shares],
        [payment.id for payment, _ in shares],
        [share.receivable_id for _, share in shares],
        [share.amount for _, share in shares],
    )


async def _insert_payment(tx: Connection, payment: Payment) -> None:
    await tx.execute(
        """
        INSERT INTO payments (clinic_id, id, client_id, account, livemode, status, amount, currency, kind,
            saved_method_id, save, idempotency_key, request_key, method_kind, method_brand, method_last4,
            traceparent, created_at, updated_at, checked_at, installation, signature, deposit)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $18, $20, $21,
            $22)
        """,
        payment.clinic_id,
        payment.id,
        payment.client_id,
        payment.account,
        payment.livemode,
        payment.status,
        payment.amount,
        payment.currency,
        payment.kind,
        payment.saved_method_id,
        payment.save,
        payment.idempotency_key,
        payment.request_key,
        payment.method.kind if payment.method else None,
        payment.method.brand if payment.method else None,
        payment.method.last4 if payment.method else None,
        payment.traceparent,
        payment.created_at,
        payment.updated_at,
        payment.installation,
        payment.signature,
        payment.deposit,
    )


async def keep_intent(
    tx: Connection, payment: Payment, intent_id: str, customer_id: str | None, *, made: bool
) -> PaymentStatus:
    """Save the ids that Stripe gave; returns the status, which may have changed meanwhile.

    The webhook may have been faster, with the same ids. `made`: the ids are from the call that made the intent.
    """
    status: PaymentStatus = await tx.fetchval(
        """
        UPDATE payments
        SET stripe_payment_intent_id = $3, stripe_customer_id = $4, intent_made = intent_made OR $5
        WHERE clinic_id = $1 AND id = $2
        RETURNING status
        """,
        payment.clinic_id,
        payment.id,
        intent_id,
        customer_id,
        made,
    )
    return status


async def hurry_checks(tx: Connection, keys: Collection[Key]) -> None:
    """Make the sweeper ask about these payments in its next run."""
    await tx.execute(
        """
        UPDATE payments SET checked_at = created_at - interval '1 day'
        WHERE (clinic_id, id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[])) AND checked_at >= created_at
        """,
        *columns(keys),
    )


async def save_payments(tx: Connection, payments: Collection[Payment]) -> None:
    """Update the columns and shares that an observation may change. The rows are locked."""
    shares = [(payment, share) for payment in payments for share in payment.allocations]
    await tx.execute(
        """
        WITH shared AS (
            UPDATE allocations
            SET state = new.state, settled_amount = new.settled_amount, used_credit_amount = new.used_credit_amount
            FROM unnest($16::uuid[], $17::uuid[], $18::uuid[], $19::text[], $20::bigint[], $22::bigint[])
                AS new (clinic_id, payment_id, payable_id, state, settled_amount, used_credit_amount)
            WHERE allocations.clinic_id = new.clinic_id AND allocations.payment_id = new.payment_id
                AND allocations.payable_id = new.payable_id AND allocations.state <> new.state
        )
        UPDATE payments
        SET status = new.status, version = new.version, stripe_payment_intent_id = new.intent_id,
            method_kind = new.method_kind, method_brand = new.method_brand, method_last4 = new.method_last4,
            failure_code = new.failure_code, updated_at = new.updated_at, succeeded_at = new.succeeded_at,
            seen_at = new.seen_at, declines = new.declines,
            declined_charge = new.declined_charge, fact_id = new.fact_id, fact_version = new.version,
            amount = new.amount
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::int[], $5::text[], $6::text[], $7::text[],
            $8::text[], $9::text[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::int[],
            $14::text[], $15::uuid[], $21::bigint[])
            AS new (clinic_id, id, status, version, intent_id, method_kind, method_brand, method_last4,
                failure_code, updated_at, succeeded_at, seen_at, declines, declined_charge, fact_id, amount)
        WHERE payments.clinic_id = new.clinic_id AND payments.id = new.id
        """,
        [payment.clinic_id for payment in payments],
        [payment.id for payment in payments],
        [payment.status for payment in payments],
        [payment.version for payment in payments],
        [payment.intent_id for payment in payments],
        [payment.method.kind if payment.method else None for payment in payments],
        [payment.method.brand if payment.method else None for payment in payments],
        [payment.method.last4 if payment.method else None for payment in payments],
        [payment.failure_code for payment in payments],
        [payment.updated_at for payment in payments],
        [payment.succeeded_at for payment in payments],
        [payment.seen_at for payment in payments],
        [payment.declines for payment in payments],
        [payment.declined_charge for payment in payments],
        [payment.fact_id for payment in payments],
        [payment.clinic_id for payment, _ in shares],
        [payment.id for payment, _ in shares],
        [share.receivable_id for _, share in shares],
        [share.state for _, share in shares],
        [share.settled_amount for _, share in shares],
        [payment.amount for payment in payments],
        [share.used_credit_amount for _, share in shares],
    )


async def add_failed_attempts(tx: Connection, failed: Collection[FailedAttempt]) -> None:
    """Insert attempts that failed. One that is there stays as it is."""
    methods = [attempt.method for attempt in failed]
    await tx.execute(
        """
        INSERT INTO failed_attempts (clinic_id, payment_id, name, charge, failed_at, code, method_kind, method_brand,
            observed_by)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::text[],
            $7::text[], $8::text[], $9::text[])
        ON CONFLICT DO NOTHING
        """,
        [attempt.payment[0] for attempt in failed],
        [attempt.payment[1] for attempt in failed],
        [attempt.name for attempt in failed],
        [attempt.charge for attempt in failed],
        [attempt.failed_at for attempt in failed],
        [attempt.code for attempt in failed],
        [method.kind if method else None for method in methods],
        [method.brand if method else None for method in methods],
        [attempt.observed_by for attempt in failed],
    )


async def list_paid(tx: Connection, keys: Collection[Key]) -> dict[Key, list[Paid]]:
    """The part that each payment still has on these locked receivables, newest payment first."""
    rows = await tx.fetch(
        """
        SELECT clinic_id, payable_id, payment_id,
            settled_amount - moved_amount - reversed_amount - refunded_amount - disputed_amount AS kept_amount
        FROM allocations
        WHERE (clinic_id, payable_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[])) AND state = 'settled'
        ORDER BY clinic_id, payable_id, payment_id DESC
        """,
        *columns(keys),
    )
    paid: dict[Key, list[Paid]] = {}
    for row in rows:
        if row["kept_amount"] > 0:
            paid.setdefault((row["clinic_id"], row["payable_id"]), []).append(
                Paid(row["payment_id"], row["kept_amount"])
            )
    return paid


async def save_moved(tx: Connection, moved: Collection[Excess]) -> None:
    """Keep which parts of payments became credit. Their receivables are locked."""
    await tx.execute(
        """
        UPDATE allocations SET moved_amount = moved_amount + new.amount
        FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[]) AS new (clinic_id, payment_id, payable_id, amount)
        WHERE (allocations.clinic_id, allocations.payment_id, allocations.payable_id)
            = (new.clinic_id, new.payment_id, new.payable_id)
        """,
        [each.receivable.clinic_id for each in moved],
        [each.payment_id for each in moved],
        [each.receivable.id for each in moved],
        [each.amount for each in moved],
    )
