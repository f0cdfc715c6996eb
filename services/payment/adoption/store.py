"""SQL of rows that were lost, and of the events that wait for them."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from services.chassis.db.database import Connection, Key
from services.chassis.db.sql import literals
from services.chassis.ids import columns
from services.payment.accounts.domain import PLATFORM
from services.payment.payments.domain import Payment
from services.payment.payments.origins import UnknownPayment
from services.payment.refunds.domain import Refund
from services.payment.refunds.origins import UnknownRefund

_LOST = literals((UnknownPayment.code, UnknownRefund.code))
"""Why an event waits whose row is lost: the reasons in the index parked_lost_rows."""


async def get_account_at(tx: Connection, clinic_id: UUID, moment: datetime) -> str:
    """The Stripe account on which the clinic's clients were charged at that moment; '' is the platform's."""
    own: str | None = await tx.fetchval(
        """
        SELECT stripe_account_id FROM account_choices
        WHERE clinic_id = $1 AND chosen_at <= $2 ORDER BY chosen_at DESC LIMIT 1
        """,
        clinic_id,
        moment,
    )
    return own or PLATFORM


async def list_accounts(tx: Connection) -> list[str]:
    """Every Stripe account that a clinic has or had, the platform's first."""
    rows = await tx.fetch(
        "SELECT DISTINCT coalesce(stripe_account_id, '') AS account FROM account_choices ORDER BY 1"
    )
    return sorted({PLATFORM, *(row["account"] for row in rows)})


async def is_here(tx: Connection, payment: Payment) -> bool:
    """Whether a row has the payment's id or its intent."""
    found: bool = await tx.fetchval(
        """
        SELECT EXISTS (SELECT FROM payments WHERE clinic_id = $1 AND id = $2)
            OR EXISTS (SELECT FROM payments WHERE account = $3 AND stripe_payment_intent_id = $4)
        """,
        payment.clinic_id,
        payment.id,
        payment.account,
        payment.intent_id,
    )
    return found


async def list_lost_invoices(tx: Connection, keys: Collection[Key]) -> list[Key]:
    """The lost ones of these invoices."""
    rows = await tx.fetch(
        """
        SELECT clinic_id, payable_id FROM lost_payables
        WHERE (clinic_id, payable_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
        """,
        *columns(keys),
    )
    return [(row["clinic_id"], row["payable_id"]) for row in rows]


async def resume_version(tx: Connection, payment: Payment) -> None:
    """Let the payment's next state event have a version above all that were published before the restore."""
    await tx.execute(
        """
        UPDATE payments SET version = published.version FROM published_versions AS published
        WHERE payments.clinic_id = $1 AND payments.id = $2
            AND (published.clinic_id, published.payment_id) = (payments.clinic_id, payments.id)
            AND payments.version < published.version
        """,
        payment.clinic_id,
        payment.id,
    )


async def add_refund(tx: Connection, refund: Refund) -> None:
    await tx.execute(
        """
        INSERT INTO refunds (clinic_id, id, client_id, payment_id, status, amount, currency, idempotency_key,
            traceparent, created_at, updated_at, checked_at, installation, signature)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, app_now(), $12, $13)
        """,
        refund.clinic_id,
        refund.id,
        refund.client_id,
        refund.payment_id,
        refund.status,
        refund.amount,
        refund.currency,
        refund.idempotency_key,
        refund.traceparent,
        refund.created_at,
        refund.updated_at,
        refund.installation,
        refund.signature,
    )


async def claim_waiting(tx: Connection, again_after: timedelta, limit: int) -> list[dict[str, Any]]:
    """Parked events about lost rows whose turn it is, oldest turn first; marked as tried now."""
    rows = await tx.fetch(
        f"""
        UPDATE parked SET tried_at = app_now() WHERE id IN (
            SELECT id FROM parked
            WHERE state = 'waiting' AND reason IN {_LOST}
                AND tried_at < app_now() - $1::interval
            ORDER BY tried_at LIMIT $2
            FOR UPDATE SKIP LOCKED
        )
        RETURNING id, key, value, topic
        """,
        again_after,
        limit,
    )
    return sorted((dict(row) for row in rows), key=lambda row: int(row["id"]))


async def list_waiting_of(tx: Connection, key: bytes) -> list[int]:
    """Ids of the waiting events about lost rows that have this record key, in their order."""
    rows = await tx.fetch(
        f"""
        SELECT id FROM parked
        WHERE state = 'waiting' AND reason IN {_LOST} AND key = $1
        ORDER BY id
        """,
        key,
    )
    return [row["id"] for row in rows]
