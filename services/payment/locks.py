"""The order in which every transaction of this service locks rows: two that follow it never wait in a circle."""

ORDER = (
    "tasks",
    "starts",
    "clinics",
    "accounts",
    "account_states",
    "refund_rules",
    "payables",
    "payments",
    "refunds",
    "disputes",
    "evidence",
    "evidence_submissions",
    "credit_balances",
    "customers",
    "payment_methods",
)
"""Tables, first to last; within a table by (clinic, id), or by the unique key that a row is found with.

A transaction takes the locks that it needs in this order, decides, and saves only then. Credit balances are locked
between deciding and saving: only the decisions tell whose credit moves. Disputes alone are decided after that, by the
balances: a dispute takes no credit that is not there.
"""

GUARDED = {
    "allocations": "payables",
    "dispute_shares": "disputes",
    "dispute_transactions": "disputes",
    "consents": "payment_methods",
}
"""Tables whose rows nobody changes without the lock of another table's row, to which they belong."""
