"""The order in which every transaction of this service locks rows: two that follow it never wait in a circle."""

ORDER = ("tasks", "held_acts", "clinics", "clients", "invoice_counters", "credit_note_counters", "invoices")
"""Tables, first to last; within a table by (clinic, id)."""

GUARDED = {"movements": "invoices", "invoice_payments": "invoices"}
"""Tables whose rows nobody changes without the lock of another table's row, to which they belong."""
