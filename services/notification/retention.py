"""How long each table of this service keeps its rows."""

from datetime import timedelta

from services.chassis.retention import CHASSIS, deleted, kept

RULES = (
    *CHASSIS,
    kept("clinics", "as long as the clinic: a copy of its newest settings"),
    kept("clinic_accounts", "as long as the clinic: a copy of its account's newest state"),
    kept("disputes", "as long as the payment: a copy of its newest state"),
    kept("reminder_runs", "a row for each clinic: the day of its last run"),
    kept("contacts", "until the client is erased"),
    kept("unwanted_mail", "until the client wants the e-mails again"),
    kept("invoices", "as long as the invoice: a copy of its newest state"),
    deleted(
        "deliveries",
        "400 days, once sent, failed or dropped; `verify` compares those of the last 365",
        timedelta(days=400),
        "created_at",
        "state IN ('sent', 'failed', 'dropped')",
    ),
    deleted(
        "letters",
        "30 days, once sent, failed or dropped; address and link go at once then",
        timedelta(days=30),
        "ended_at",
        "state IN ('sent', 'failed', 'dropped')",
    ),
    deleted(
        "sent_before",
        "30 days: no event is consumed again after that",
        timedelta(days=30),
        "sent_at",
    ),
)
