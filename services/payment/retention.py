"""How long each table of this service keeps its rows."""

from datetime import timedelta

from services.chassis.retention import CHASSIS, Rule, kept

_DELETE_CANCELED = """
    WITH old AS (
        SELECT clinic_id, id FROM payments
        WHERE status = 'canceled' AND updated_at < (SELECT app_now()) - $1::interval
        ORDER BY updated_at LIMIT $2 FOR UPDATE SKIP LOCKED
    ), shares AS (
        DELETE FROM allocations USING old
        WHERE (allocations.clinic_id, allocations.payment_id) = (old.clinic_id, old.id)
    )
    DELETE FROM payments USING old WHERE (payments.clinic_id, payments.id) = (old.clinic_id, old.id)
"""

RULES = (
    *CHASSIS,
    kept("clinics", "as long as the clinic: a copy of its newest settings"),
    kept("accounts", "as long as the clinic"),
    kept("account_states", "as long as a clinic has the account: its newest state at Stripe"),
    kept("account_choices", "for ever: where a clinic's clients were charged when"),
    kept("customers", "until the client is erased: the client's id at Stripe"),
    kept("payment_methods", "until the client is erased, removed ones too: payments refer to them"),
    kept("payables", "as long as the invoice"),
    kept("starts", "an hour: how often a client pressed Pay; the sweep deletes them"),
    Rule(
        "payments",
        "for ever: legal books. Canceled, and so without money: 800 days",
        timedelta(days=800),
        _DELETE_CANCELED,
    ),
    kept("allocations", "as long as their payment"),
    kept("entries", "for ever: legal books"),
    kept("postings", "for ever: legal books"),
    kept("movements", "for ever: legal books"),
    kept("refunds", "for ever: legal books"),
    kept("credit_balances", "for ever: the client's credit"),
    kept("published_versions", "for ever: a row for each payment that a restore lost"),
    kept("lost_payables", "for ever: a row for each invoice that a restore lost"),
)
