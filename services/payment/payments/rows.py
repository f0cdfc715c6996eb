"""How a payment is read from its row and its shares."""

import asyncpg

from contracts.events import Method
from contracts.vocabulary import LIVE_PAYMENTS
from services.chassis.db.sql import literals
from services.payment.payments.domain import Allocation, Payment

PAYMENT = """
    payments.clinic_id, payments.id, payments.client_id, payments.account, payments.livemode, payments.status,
    payments.version, payments.amount, payments.currency, payments.kind, payments.saved_method_id, payments.save,
    payments.idempotency_key, payments.request_key, payments.stripe_payment_intent_id,
    payments.stripe_customer_id, payments.method_kind, payments.method_brand, payments.method_last4,
    payments.failure_code, payments.traceparent, payments.created_at, payments.updated_at,
    payments.succeeded_at, payments.seen_at, payments.declines, payments.declined_charge,
    CASE WHEN payments.fact_version = payments.version THEN payments.fact_id END AS fact_id,
    payments.installation, payments.signature,
    (
        SELECT array_agg((payable_id, amount, state, settled_amount) ORDER BY payable_id)
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
)
"""Columns that are called as the fields of `Payment`."""
LIVE = f"payments.status IN {literals(LIVE_PAYMENTS)}"
OVERDRAWN = "a.amount > CASE p.status WHEN 'void' THEN 0 ELSE p.due_amount - p.settled_amount END"
"""An allocation `a` is over more than is open of its payable `p`: the sum was lowered, or the invoice is void."""


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
