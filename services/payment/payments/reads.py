"""How payments are read: one of them, a list of them, and the payments that it is time to ask Stripe about."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from contracts.events.envelope import Method
from contracts.vocabulary import LIVE_PAYMENTS, OPEN_INVOICES, OUTSIDE_KINDS, STARTABLE_PAYMENTS
from services.chassis.db.database import Connection
from services.chassis.db.sql import literals
from services.payment.payments.domain import Allocation, Payment
from services.payment.receivables.domain import Receivable
from services.payment.receivables.store import OVERDRAWN

PAYMENT = """
    payments.clinic_id, payments.id, payments.client_id, payments.account, payments.livemode, payments.status,
    payments.version, payments.amount, payments.currency, payments.kind, payments.saved_method_id, payments.save,
    payments.idempotency_key, payments.request_key, payments.stripe_payment_intent_id,
    payments.stripe_customer_id, payments.method_kind, payments.method_brand, payments.method_last4,
    payments.failure_code, payments.traceparent, payments.created_at, payments.updated_at,
    payments.succeeded_at, payments.seen_at, payments.declines, payments.declined_charge,
    CASE WHEN payments.fact_version = payments.version THEN payments.fact_id END AS fact_id,
    payments.installation, payments.signature, payments.deposit,
    (
        SELECT array_agg(
            (payable_id, amount, state, settled_amount, credit_amount, used_credit_amount) ORDER BY payable_id
        )
        FROM allocations
        WHERE allocations.clinic_id = payments.clinic_id AND allocations.payment_id = payments.id
    ) AS allocations
"""


_SAME = (
    "clinic_id",
    "id",
    "client_id",
    "account",
    "livemode",
    "status",
    "version",
    "amount",
    "currency",
    "kind",
    "saved_method_id",
    "save",
    "idempotency_key",
    "request_key",
    "failure_code",
    "traceparent",
    "created_at",
    "updated_at",
    "succeeded_at",
    "seen_at",
    "declines",
    "declined_charge",
    "fact_id",
    "installation",
    "signature",
    "deposit",
)
"""Columns that are called as the fields of `Payment`."""


LIVE = f"payments.status IN {literals(LIVE_PAYMENTS)}"
_NEWEST = "(SELECT * FROM payments WHERE client_id = $1 ORDER BY id DESC LIMIT 100)"
"""A client's payments that may still move; older ones are over."""
_TURN = "(checked_at - timestamptz 'epoch') + (checked_at - created_at) / 9"
"""When a tenth of a payment's age has passed since it was last asked about, as `payments_due` has it."""


async def get_payment(tx: Connection, client_id: UUID | None, payment_id: UUID) -> Payment | None:
    """A payment of the client, or of anyone in the clinic when `client_id` is None."""
    row = await tx.fetchrow(
        f"SELECT {PAYMENT} FROM payments WHERE id = $1 AND ($2::uuid IS NULL OR client_id = $2)",
        payment_id,
        client_id,
    )
    return None if row is None else payment_of(row)


async def get_request(tx: Connection, client_id: UUID, request_key: str) -> Payment | None:
    """The payment that the client's earlier request with this idempotency key started, unless it was given up."""
    row = await tx.fetchrow(
        f"""
        SELECT {PAYMENT} FROM payments WHERE client_id = $1 AND request_key = $2 AND status <> 'canceled'
        """,
        client_id,
        request_key,
    )
    return None if row is None else payment_of(row)


async def list_reversals(tx: Connection, payments: Collection[Payment]) -> dict[UUID, datetime]:
    """When each of these payments that staff took back was taken back."""
    recorded = [payment for payment in payments if payment.kind in OUTSIDE_KINDS]
    if not recorded:
        return {}
    rows = await tx.fetch(
        """
        SELECT payment_id, reversed_at FROM recorded_payments
        WHERE (clinic_id, payment_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[])) AND reversed_at IS NOT NULL
        """,
        [payment.clinic_id for payment in recorded],
        [payment.id for payment in recorded],
    )
    return {row["payment_id"]: row["reversed_at"] for row in rows}


async def list_payments(
    tx: Connection,
    client_id: UUID | None,
    invoice_id: UUID | None,
    before: UUID | None,
    limit: int,
    reference: str | None = None,
) -> list[Payment]:
    """Newest first, from below `before`; for a client, for an invoice, with a reference, or all of these."""
    # A text for each choice: no one plan serves all of them.
    wanted = {
        "client_id = ${}": client_id,
        "id IN (SELECT payment_id FROM allocations WHERE payable_id = ${})": invoice_id,
        # Of the ids in the primary key: an index of its own would cost each payment more than such a look-up does.
        "id IN (SELECT p.id FROM payments AS p WHERE right(p.id::text, 10) = ${})": reference.removeprefix(
            "R-"
        ).lower()
        if reference
        else None,
        "id < ${}": before,
    }
    given = {condition: value for condition, value in wanted.items() if value is not None}
    where = " AND ".join(condition.format(at) for at, condition in enumerate(given, start=1)) or "true"
    rows = await tx.fetch(
        f"SELECT {PAYMENT} FROM payments WHERE {where} ORDER BY id DESC LIMIT ${len(given) + 1}",
        *given.values(),
        limit,
    )
    return [payment_of(row) for row in rows]


async def list_leavable_holders(tx: Connection, client_id: UUID, currency: str) -> list[Payment]:
    """The client's payments that reserve credit in the currency, and that another start may cancel. Locks nothing."""
    rows = await tx.fetch(
        f"""
        SELECT {PAYMENT} FROM payments
        WHERE client_id = $1 AND currency = $2 AND status IN {literals(STARTABLE_PAYMENTS)}
            AND (clinic_id, id) IN (
                SELECT clinic_id, payment_id FROM allocations WHERE state = 'open' AND credit_amount > 0
            )
        ORDER BY id
        """,
        client_id,
        currency,
    )
    return [payment_of(row) for row in rows]


async def count_declines(tx: Connection, client_id: UUID, window: timedelta) -> int:
    """Number of declines of the client's payments that moved within the window."""
    found: int = await tx.fetchval(
        """
        SELECT coalesce(sum(declines), 0)::int
        FROM payments WHERE client_id = $1 AND updated_at > app_now() - $2::interval AND declines > 0
        """,
        client_id,
        window,
    )
    return found


async def claim_unchecked(tx: Connection, older_than: timedelta, limit: int) -> list[Payment]:
    """Live payments that it is time to ask Stripe about: marked as asked now.

    A payment is due when Stripe was last asked about it, or when it began, longer ago than `older_than`. The older a
    payment, the less often: at most after a tenth of its age. One that reserves more than is open is due at once.
    """
    rows = await tx.fetch(
        f"""
        WITH in_turn AS (
            SELECT clinic_id, id FROM payments
            WHERE {LIVE} AND {_TURN} < app_now() - timestamptz 'epoch' AND checked_at < app_now() - $1::interval
            ORDER BY {_TURN} LIMIT $2
        ), wanted AS (
            SELECT clinic_id, id FROM in_turn
            UNION SELECT clinic_id, payment_id FROM allocations WHERE state = 'open' AND overdrawn
        ), due AS (
            SELECT clinic_id, id FROM payments
            WHERE {LIVE} AND (clinic_id, id) IN (SELECT clinic_id, id FROM wanted)
            ORDER BY checked_at LIMIT $2
            FOR UPDATE SKIP LOCKED
        )
        UPDATE payments SET checked_at = app_now() FROM due
        WHERE payments.clinic_id = due.clinic_id AND payments.id = due.id
        RETURNING {PAYMENT}
        """,
        older_than,
        limit,
    )
    return [payment_of(row) for row in rows]


async def list_unconfirmed(tx: Connection, client_id: UUID, within: timedelta, limit: int) -> list[Payment]:
    """The client's newest payments that somebody may just have confirmed at Stripe without our knowing."""
    rows = await tx.fetch(
        f"""
        SELECT {PAYMENT} FROM {_NEWEST} AS payments
        WHERE status IN {literals(STARTABLE_PAYMENTS)} AND stripe_payment_intent_id IS NOT NULL
            AND greatest(created_at, updated_at) > app_now() - $2::interval
        ORDER BY id DESC LIMIT $3
        """,
        client_id,
        within,
        limit,
    )
    return [payment_of(row) for row in rows]


async def list_on_its_way(tx: Connection, client_id: UUID) -> list[tuple[Receivable, bool]]:
    """The client's open receivables with money taken or on its way, and whether a bank is working on a payment."""
    rows = await tx.fetch(
        f"""
        SELECT r.clinic_id, r.id, r.client_id, r.due_amount, r.settled_amount, r.currency, r.status,
            bool_or(p.status = 'processing' AND a.state = 'open') AS processing
        FROM {_NEWEST} AS p
        JOIN allocations AS a ON (a.clinic_id, a.payment_id) = (p.clinic_id, p.id)
        JOIN payables AS r ON (r.clinic_id, r.id) = (a.clinic_id, a.payable_id)
        WHERE p.status IN ('processing', 'succeeded')
            AND r.status IN {literals(OPEN_INVOICES)}
        GROUP BY r.clinic_id, r.id
        """,
        client_id,
    )
    found = [dict(row) for row in rows]
    return [(Receivable(**row), processing) for row in found for processing in [row.pop("processing")]]


async def is_overdrawn(tx: Connection, payment: Payment) -> bool:
    """Whether it reserves more than is open by now: the sum was lowered, or the invoice is void."""
    found: bool = await tx.fetchval(
        f"""
        SELECT EXISTS (
            SELECT FROM allocations AS a JOIN payables AS p ON (p.clinic_id, p.id) = (a.clinic_id, a.payable_id)
            WHERE a.clinic_id = $1 AND a.payment_id = $2 AND a.state = 'open' AND {OVERDRAWN}
        )
        """,
        payment.clinic_id,
        payment.id,
    )
    return found


def payment_of(row: asyncpg.Record) -> Payment:
    same = {name: row[name] for name in _SAME}
    kind = row["method_kind"]
    return Payment(
        **same,
        intent_id=row["stripe_payment_intent_id"],
        customer_id=row["stripe_customer_id"],
        method=Method(kind=kind, brand=row["method_brand"], last4=row["method_last4"]) if kind else None,
        allocations=tuple(Allocation(*share) for share in row["allocations"] or ()),
    )
