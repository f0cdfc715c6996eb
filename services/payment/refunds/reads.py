"""How much of payments is left to refund: their surpluses, and what they settled."""

from uuid import UUID

import asyncpg

from contracts.events.envelope import Method
from contracts.money import Money
from contracts.vocabulary import RETURNED_REFUNDS
from services.chassis.db.database import Connection
from services.chassis.db.sql import literals
from services.payment.refunds.domain import Surplus
from services.payment.refunds.planning import Refundable

_LEFT = f"""
    SELECT p.id, p.client_id, p.currency, p.method_kind, p.method_brand, p.method_last4,
        (p.amount - coalesce(a.settled, 0) + coalesce(r.to_credit, 0) - coalesce(r.of_credit, 0)
            - coalesce(d.held, 0))::bigint AS left_amount,
        coalesce(r.refunded, 0)::bigint AS refunded
    FROM payments AS p
    LEFT JOIN LATERAL (
        SELECT sum(settled_amount - moved_amount) AS settled FROM allocations
        WHERE (allocations.clinic_id, allocations.payment_id) = (p.clinic_id, p.id)
    ) AS a ON true
    LEFT JOIN LATERAL (
        SELECT sum(amount) FILTER (WHERE destination = 'method') AS refunded,
            sum(amount - shared) FILTER (WHERE destination = 'method') AS of_credit,
            sum(amount) FILTER (WHERE destination = 'credit' AND status = 'succeeded') AS to_credit
        FROM refunds CROSS JOIN LATERAL (
            SELECT coalesce(sum(s.amount), 0) AS shared FROM refund_shares AS s
            WHERE (s.clinic_id, s.refund_id) = (refunds.clinic_id, refunds.id)
        ) AS parts
        WHERE (refunds.clinic_id, refunds.payment_id) = (p.clinic_id, p.id)
            AND status NOT IN {literals(RETURNED_REFUNDS)}
    ) AS r ON true
    LEFT JOIN LATERAL (
        SELECT sum(credit_amount) AS held FROM disputes
        WHERE (disputes.clinic_id, disputes.payment_id) = (p.clinic_id, p.id)
    ) AS d ON true
    WHERE p.status = 'succeeded' AND p.livemode = $1 AND p.stripe_payment_intent_id IS NOT NULL
"""
"""Payments with what is left of their surplus: what became credit of them, was not refunded, and is not disputed."""


async def list_surpluses(tx: Connection, clinic_id: UUID, client_id: UUID, livemode: bool) -> list[Surplus]:
    """The client's surpluses of that mode, with the sum left of each, oldest first."""
    rows = await tx.fetch(
        f"""
        SELECT * FROM ({_LEFT} AND p.clinic_id = $2 AND p.client_id = $3) AS surpluses
        WHERE left_amount > 0 ORDER BY id
        """,
        livemode,
        clinic_id,
        client_id,
    )
    return [
        Surplus(
            payment_id=row["id"],
            left=Money(minor=row["left_amount"], currency=row["currency"]),
            method=_method(row),
            refunded=row["refunded"],
        )
        for row in rows
    ]


async def get_refundable(
    tx: Connection, clinic_id: UUID, payment_id: UUID, livemode: bool
) -> Refundable | None:
    """The rest of a payment that took money in that mode. Its surplus is at most the client's credit.

    Lock its receivables and its client's credit before.
    """
    row = await tx.fetchrow(
        f"""
        SELECT surplus.*, (
            SELECT amount FROM credit_balances AS b
            WHERE (b.clinic_id, b.client_id, b.currency) = ($2, surplus.client_id, surplus.currency)
        ) AS credit
        FROM ({_LEFT} AND p.clinic_id = $2 AND p.id = $3) AS surplus
        """,
        livemode,
        clinic_id,
        payment_id,
    )
    if row is None:
        return None
    kept = await tx.fetch(
        """
        SELECT payable_id, kept FROM (
            SELECT payable_id,
                settled_amount - moved_amount - reversed_amount - refunded_amount - disputed_amount AS kept
            FROM allocations WHERE clinic_id = $1 AND payment_id = $2 AND state = 'settled'
        ) AS shares
        WHERE kept > 0 ORDER BY payable_id DESC
        """,
        clinic_id,
        payment_id,
    )
    return Refundable(
        payment_id=row["id"],
        currency=row["currency"],
        method=_method(row),
        surplus=max(0, min(row["left_amount"], row["credit"] or 0)),
        kept={each["payable_id"]: each["kept"] for each in kept},
        refunded=row["refunded"],
    )


def _method(row: asyncpg.Record) -> Method | None:
    kind = row["method_kind"]
    return Method(kind=kind, brand=row["method_brand"], last4=row["method_last4"]) if kind else None
