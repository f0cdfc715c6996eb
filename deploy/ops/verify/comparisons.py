"""The comparisons between services: a copy of another service's rows must be those rows, newest and whole."""

from dataclasses import fields

from deploy.ops.verify.diff import Comparison, Side
from services.invoice.clinics.domain import ClinicSettings
from services.notification.projections.domain import Clinic

_INVOICE = ("clinic_id", "invoice_id")
_RECENT = ">= uuid_at(date_trunc('day', app_now()) - interval '365 days')"
"""Ids begin with their time. E-mails are kept for 400 days (services/notification/retention.py)."""
_SETTINGS = {field.name for field in fields(ClinicSettings)}
_COPIED = tuple(field.name for field in fields(Clinic) if field.name in _SETTINGS)
"""The settings that notification keeps a copy of, in columns of the same names on both sides."""
_COPIES = ", ".join(f"{name}::text" for name in _COPIED)
"""As texts, since rows that differ are put into sets: a list cannot be."""

_DUE_BEFORE = "CASE status WHEN 'void' THEN 0 ELSE total_amount - credited_amount - written_off_amount END"
"""The sum due on an invoice before payments, as its events have it."""

_DOCUMENT = (
    "clinic_id, id, invoice_id, kind, number, reason, issued_on, currency, net_amount, tax_amount, rounding_amount, "
    "total_amount"
)

COMPARISONS = (
    Comparison(
        "movements_agree",
        "An invoice's movements are the payments' movements, in both directions: the same ids and amounts, and how "
        "the payment is known to have been made",
        Side(
            "invoice",
            """
            SELECT clinic_id, id, invoice_id, payment_id, kind, amount, currency, method_kind, method_brand,
                method_last4
            FROM movements
            """,
        ),
        Side(
            "payment",
            """
            SELECT m.clinic_id, m.id, m.payable_id, m.payment_id, m.kind, m.amount, m.currency,
                CASE m.kind WHEN 'payment' THEN p.method_kind ELSE m.method_kind END,
                CASE m.kind WHEN 'payment' THEN p.method_brand ELSE m.method_brand END,
                CASE m.kind WHEN 'payment' THEN p.method_last4 ELSE m.method_last4 END
            FROM movements AS m JOIN payments AS p ON (p.clinic_id, p.id) = (m.clinic_id, m.payment_id)
            """,
        ),
        (
            *("clinic_id", "movement_id", "invoice_id", "payment_id", "kind", "amount", "currency"),
            *("method_kind", "method_brand", "method_last4"),
        ),
    ),
    Comparison(
        "payables_are_invoices",
        "What can be paid is the newest state of the same clinic's and client's invoice",
        Side(
            "invoice",
            f"""
            SELECT clinic_id, id, client_id, version, {_DUE_BEFORE},
                currency, status, due_on
            FROM invoices
            UNION ALL
            SELECT clinic_id, id, client_id, version, 0, currency, 'void', due_on FROM lost_invoices
            """,
        ),
        Side(
            "payment",
            """
            SELECT clinic_id, id, client_id, version, due_amount, currency, status, due_on
            FROM payables
            """,
        ),
        (*_INVOICE, "client_id", "version", "due_amount", "currency", "status", "due_on"),
    ),
    Comparison(
        "documents_agree",
        "Payment has every correction of an invoice, over the same net, tax and total, and no other",
        Side(
            "invoice",
            f"""
            SELECT {_DOCUMENT} FROM invoice_documents UNION ALL SELECT {_DOCUMENT} FROM lost_documents
            """,
        ),
        Side(
            "payment",
            f"SELECT {_DOCUMENT.replace('invoice_id', 'payable_id')} FROM documents WHERE kind <> 'issue'",
        ),
        tuple(_DOCUMENT.replace("clinic_id, id", "clinic_id, document_id").split(", ")),
    ),
    Comparison(
        "issues_are_invoices",
        "The net, tax and total that payment has of an invoice's issue are the invoice's",
        Side(
            "payment",
            """
            SELECT clinic_id, id, number, currency, net_amount, tax_amount, rounding_amount, total_amount
            FROM documents WHERE kind = 'issue'
            """,
        ),
        Side(
            "invoice",
            """
            SELECT clinic_id, id, number, currency, subtotal_amount, tax_amount, rounding_amount, total_amount
            FROM invoices
            UNION ALL
            SELECT clinic_id, id, number, currency, net_amount, tax_amount, rounding_amount, total_amount
            FROM lost_invoices WHERE total_amount IS NOT NULL
            """,
        ),
        (*_INVOICE, "number", "currency", "net_amount", "tax_amount", "rounding_amount", "total_amount"),
        within=True,
    ),
    Comparison(
        "notices_are_invoices",
        "What e-mails say of invoices is their newest state",
        Side(
            "invoice",
            f"""
            SELECT clinic_id, id, client_id, number, version, status, currency, due_on,
                {_DUE_BEFORE} - settled_amount
            FROM invoices
            UNION ALL
            SELECT clinic_id, id, client_id, number, version, 'void', currency, due_on, 0 FROM lost_invoices
            """,
        ),
        Side(
            "notification",
            """
            SELECT clinic_id, id, client_id, number, version, status, currency, due_on, due_amount
            FROM invoices
            """,
        ),
        (*_INVOICE, "client_id", "number", "version", "status", "currency", "due_on", "due_amount"),
    ),
    Comparison(
        "payment_knows_clinics",
        "Payment has every clinic's newest settings",
        Side(
            "invoice",
            "SELECT id, version, online_payment, methods::text, currency, least_part, deposits,"
            " lost_dispute_reopens, undo_hours FROM clinics",
        ),
        Side(
            "payment",
            "SELECT clinic_id, version, online_payment, methods::text, currency, least_part, deposits,"
            " lost_dispute_reopens, undo_hours FROM clinics",
        ),
        (
            "clinic_id",
            "version",
            "online_payment",
            "methods",
            "currency",
            "least_part",
            "deposits",
            "lost_dispute_reopens",
            "undo_hours",
        ),
        key=1,
    ),
    Comparison(
        "notification_knows_clinics",
        "Notification has every clinic's newest settings",
        Side("invoice", f"SELECT id, version, {_COPIES} FROM clinics"),
        Side("notification", f"SELECT clinic_id, version, {_COPIES} FROM clinics"),
        ("clinic_id", "version", *_COPIED),
        key=1,
    ),
    Comparison(
        "one_receipt_per_payment",
        "Every payment that succeeded has its receipt, for its client, and no other payment has one",
        Side(
            "payment",
            f"""
            SELECT clinic_id, id, client_id FROM payments
            WHERE status = 'succeeded' AND kind <> 'credit' AND id {_RECENT}
            UNION ALL SELECT clinic_id, id, client_id FROM lost_acts WHERE family = 'payment' AND id {_RECENT}
            """,
        ),
        Side(
            "notification",
            f"""
            SELECT clinic_id, subject_id, client_id FROM deliveries
            WHERE template = 'receipt' AND subject_id {_RECENT}
            """,
        ),
        ("clinic_id", "payment_id", "client_id"),
    ),
    Comparison(
        "one_letter_per_refund",
        "Every refund whose money went was told to its client, once, and no other",
        Side(
            "payment",
            f"""
            SELECT clinic_id, id, client_id FROM refunds WHERE refunded_at IS NOT NULL AND id {_RECENT}
            UNION ALL SELECT clinic_id, id, client_id FROM lost_acts WHERE family = 'refund' AND id {_RECENT}
            """,
        ),
        Side(
            "notification",
            f"""
            SELECT clinic_id, subject_id, client_id FROM deliveries
            WHERE template = 'refund' AND subject_id {_RECENT}
            """,
        ),
        ("clinic_id", "refund_id", "client_id"),
    ),
    Comparison(
        "one_notice_per_invoice",
        "Every invoice was announced to its client, once",
        Side(
            "invoice",
            f"""
            SELECT clinic_id, id, client_id FROM invoices WHERE id {_RECENT}
            UNION ALL SELECT clinic_id, id, client_id FROM lost_invoices WHERE id {_RECENT}
            """,
        ),
        Side(
            "notification",
            f"""
            SELECT clinic_id, subject_id, client_id FROM deliveries
            WHERE template = 'invoice_ready' AND subject_id {_RECENT}
            """,
        ),
        (*_INVOICE, "client_id"),
    ),
    Comparison(
        "failures_are_payments",
        "Word of a failure is of a payment of the same clinic and client",
        Side(
            "notification",
            """
            SELECT DISTINCT clinic_id, subject_id, client_id FROM deliveries
            WHERE template = 'payment_failed'
            """,
        ),
        Side("payment", "SELECT clinic_id, id, client_id FROM payments"),
        ("clinic_id", "payment_id", "client_id"),
        within=True,
    ),
    Comparison(
        "on_the_way_is_on_the_way",
        "A payment that an invoice takes to be on its way has not ended",
        Side(
            "invoice",
            """
            SELECT clinic_id, invoice_id, payment_id, true FROM invoice_payments
            WHERE state = 'processing'
            """,
        ),
        Side(
            "payment",
            """
            SELECT a.clinic_id, a.payable_id, a.payment_id, NOT (
                p.status IN ('failed', 'canceled') OR (p.status = 'succeeded' AND a.settled_amount <> 0)
            )
            FROM allocations AS a JOIN payments AS p ON (p.clinic_id, p.id) = (a.clinic_id, a.payment_id)
            """,
        ),
        ("clinic_id", "invoice_id", "payment_id", "on its way"),
        key=3,
        within=True,
    ),
    Comparison(
        "accounts_are_clinics",
        "Every Stripe account is a known clinic's",
        Side("payment", "SELECT clinic_id FROM accounts"),
        Side("invoice", "SELECT id FROM clinics"),
        ("clinic_id",),
        key=1,
        within=True,
    ),
    Comparison(
        "portals_are_clinics",
        "Every portal is a known clinic's, under its name",
        Side("gateway", "SELECT clinic_id, slug FROM portals"),
        Side("invoice", "SELECT id, slug FROM clinics"),
        ("clinic_id", "slug"),
        key=1,
        within=True,
    ),
    Comparison(
        "logins_are_clients",
        "A client's login leads to a client of the same clinic",
        Side(
            "gateway",
            """
            SELECT DISTINCT clinic_id, client_id FROM memberships
            WHERE role = 'client'
            """,
        ),
        Side("invoice", "SELECT clinic_id, id FROM clients"),
        ("clinic_id", "client_id"),
        within=True,
    ),
)
