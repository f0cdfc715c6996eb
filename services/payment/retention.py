"""How long each table of this service keeps its rows."""

from datetime import timedelta

from services.chassis.retention import CHASSIS, Rule, deleted, kept

_DELETE_CANCELED = """
    WITH old AS (
        SELECT clinic_id, id FROM payments
        WHERE status = 'canceled' AND updated_at < (SELECT app_now()) - $1::interval
            AND NOT EXISTS (
                SELECT FROM allocations AS a
                WHERE (a.clinic_id, a.payment_id) = (payments.clinic_id, payments.id) AND a.credit_amount > 0
            )
        ORDER BY updated_at LIMIT $2 FOR UPDATE SKIP LOCKED
    ), shares AS (
        DELETE FROM allocations USING old
        WHERE (allocations.clinic_id, allocations.payment_id) = (old.clinic_id, old.id)
    ), attempts AS (
        DELETE FROM failed_attempts AS failed USING old
        WHERE (failed.clinic_id, failed.payment_id) = (old.clinic_id, old.id)
    )
    DELETE FROM payments USING old WHERE (payments.clinic_id, payments.id) = (old.clinic_id, old.id)
"""

RULES = (
    *CHASSIS,
    kept("clinics", "as long as the clinic: a copy of its newest settings"),
    kept("accounts", "as long as the clinic"),
    kept("account_states", "as long as a clinic has the account: its newest state at Stripe"),
    kept("account_choices", "for ever: where a clinic's clients were charged when"),
    kept("customers", "for ever; the client's id at Stripe until the client is erased"),
    kept("payment_methods", "for ever, since payments refer to them; blank once the client is erased"),
    deleted("expiry_notices", "90 days: the card has expired by then", timedelta(days=90), "published_at"),
    kept("consents", "for ever: proof of what a client agreed to"),
    kept("payables", "as long as the invoice"),
    deleted("starts", "an hour: how often a client pressed Pay", timedelta(0), "ends_at"),
    kept("documents", "for ever: legal books"),
    Rule(
        "payments",
        "for ever: legal books. Canceled, and so without money, and with no credit reserved: 800 days",
        timedelta(days=800),
        _DELETE_CANCELED,
    ),
    deleted(
        "failed_attempts",
        "400 days: for questions about a payment; no book needs them",
        timedelta(days=400),
        "failed_at",
    ),
    kept("allocations", "as long as their payment"),
    kept("entries", "for ever: legal books"),
    kept("postings", "for ever: legal books"),
    kept("movements", "for ever: legal books"),
    kept("recorded_payments", "for ever: legal books"),
    kept("cash_closings", "for ever: legal books"),
    kept("refunds", "for ever: legal books"),
    kept("refund_shares", "for ever: legal books"),
    kept("refund_rules", "as long as the clinic"),
    kept("disputes", "for ever: legal books"),
    kept("dispute_shares", "for ever: legal books"),
    kept("dispute_transactions", "for ever: legal books"),
    deleted(
        "evidence",
        "180 days after its last change: texts about a client, for the bank",
        timedelta(days=180),
        "updated_at",
    ),
    deleted(
        "evidence_submissions",
        "180 days, once Stripe has answered: texts about a client, as the bank got them",
        timedelta(days=180),
        "ended_at",
        "state <> 'sending'",
    ),
    kept("credit_balances", "for ever: the client's credit"),
    kept("published_versions", "for ever: a row for each payment that a restore lost"),
    kept("lost_payables", "for ever: a row for each invoice that a restore lost"),
    kept("lost_acts", "for ever: a row for each record without Stripe that a restore lost"),
)
