"""A breach of each check: (check, service, a superuser's statement, a part of the reported text)."""

from deploy.ops import database

PARKED = """
    INSERT INTO parked (consumer, topic, partition, "offset", key, headers, reason, detail, fingerprint)
    VALUES ('a', 'payment.settled', 1, 2, 'k', '[]', '{}', '', '')
"""
OVERDUE = """
    INSERT INTO tasks (clinic_id, kind, key, due_at)
    VALUES (gen_random_uuid(), 'void', gen_random_uuid(), now() - interval '61 s')
"""
_DISPUTED = """
    INSERT INTO disputes (clinic_id, id, client_id, payment_id, stripe_dispute_id, status, amount, currency, opened_at,
        updated_at, seen_at, checked_at)
    SELECT clinic_id, id, client_id, id, 'du_1', 'needs_response', 7, currency, now(), now(), now(), now()
    FROM payments WHERE status = 'succeeded' LIMIT 1;
"""
_TRANSACTION = """
    INSERT INTO dispute_transactions SELECT clinic_id, 'txn_1', id, -7, 0, currency, now(), now() FROM disputes;
"""
_EVIDENCE = """
    INSERT INTO evidence_submissions (clinic_id, id, dispute_id, phase, texts, digest, state, made_at)
    SELECT clinic_id, id, id, 'chargeback', '{}', '', 'sending', now() FROM disputes;
"""
_SHARE = """
    INSERT INTO dispute_shares
    SELECT d.clinic_id, d.id, a.payable_id, 7, 0 FROM disputes AS d JOIN allocations AS a
        ON (a.clinic_id, a.payment_id) = (d.clinic_id, d.payment_id) LIMIT 1;
"""
_HELD = """
    INSERT INTO held_acts (clinic_id, id, kind, subject_id, request, preview, preview_hash, actor, role, due_at)
    SELECT clinic_id, id, '{kind}', {subject}, '{{"amount": 1}}', '{{"posts": {{}}, "shows": {{}}}}', sha256(''), id,
        'staff', now() + interval '1 day'
    FROM {table} LIMIT 1
"""
_HELD_REFUND = _HELD.format(kind="refund", subject="payment_id", table="refunds")
_HELD_REPLACEMENT = _HELD.format(kind="replacement", subject="id", table="invoices")
BROKEN = [
    (
        "entries_balance",
        "payment",
        "UPDATE postings SET amount = amount + 1 WHERE account = 'stripe'",
        "off_by 1",
    ),
    (
        "books_balance",
        "payment",
        "UPDATE postings SET amount = amount + 1 WHERE account = 'stripe'",
        "off_by 5",
    ),
    ("entries_have_postings", "payment", "DELETE FROM postings", "entry_id"),
    ("success_is_captured_once", "payment", "DELETE FROM entries", "captures 0"),
    (
        "success_is_captured_once",
        "payment",
        """
        INSERT INTO entries
        SELECT clinic_id, gen_random_uuid(), payment_id, 'pi_other', effect, booked_at FROM entries
        WHERE effect = 'capture' LIMIT 1
        """,
        "captures 2",
    ),
    ("capture_is_the_payment", "payment", "UPDATE entries SET stripe_object_id = 'pi_' || id", "pi_"),
    ("capture_is_the_payment", "payment", "UPDATE payments SET amount = amount + 1", "booked"),
    (
        "receivables_are_shares",
        "payment",
        "UPDATE allocations SET settled_amount = settled_amount - 1 WHERE settled_amount > 1",
        "share",
    ),
    (
        "credit_is_its_clients",
        "payment",
        """
        UPDATE postings SET account = 'client_credit', payable_id = NULL, client_id = gen_random_uuid()
        WHERE account = 'receivable'
        """,
        "credited",
    ),
    (
        "credit_is_not_overdrawn",
        "payment",
        """
        UPDATE postings SET account = 'client_credit', client_id = gen_random_uuid() WHERE account = 'stripe'
        """,
        "credit -",
    ),
    (
        "credit_balances_are_booked",
        "payment",
        "UPDATE credit_balances SET amount = amount + 1",
        "balance",
    ),
    ("credit_balances_are_booked", "payment", "DELETE FROM credit_balances", "balance None"),
    (
        "reserved_credit_is_of_open_shares",
        "payment",
        "UPDATE allocations SET credit_amount = 3 WHERE state = 'open'",
        "booked 0",
    ),
    (
        "reserved_credit_is_of_open_shares",
        "payment",
        """
        INSERT INTO postings
        SELECT clinic_id, entry_id, 9, 'credit_reserved', NULL, NULL, -5, currency FROM postings
        WHERE account = 'stripe' LIMIT 1
        """,
        "reserved 0",
    ),
    (
        "used_credit_is_a_payment",
        "payment",
        "UPDATE allocations SET credit_amount = 3, used_credit_amount = 3 WHERE state = 'settled'",
        "paid None",
    ),
    (
        "used_credit_is_a_payment",
        "payment",
        "UPDATE payments SET kind = 'credit', idempotency_key = 'credit-' || id WHERE status = 'succeeded'",
        "used None",
    ),
    ("movements_are_shares", "payment", "UPDATE movements SET amount = amount - 1", "moved"),
    ("movements_are_shares", "payment", "DELETE FROM movements", "moved None"),
    (
        "payables_are_moved",
        "payment",
        "UPDATE payables SET settled_amount = settled_amount + 1",
        "settled_amount",
    ),
    (
        "records_are_the_payment",
        "payment",
        """
        INSERT INTO recorded_payments (clinic_id, payment_id, location, reference, recorded_by, on_behalf_of)
        SELECT clinic_id, id, '', '', '', '' FROM payments WHERE status = 'succeeded' LIMIT 1
        """,
        "recorded None",
    ),
    (
        "reversals_are_shares",
        "payment",
        "UPDATE allocations SET reversed_amount = 1 WHERE settled_amount > 1",
        "taken_back 1",
    ),
    (
        "cash_is_counted_once",
        "payment",
        """
        INSERT INTO cash_closings
        SELECT clinic_id, gen_random_uuid(), '', 'EUR', 5, 5, '', '', now() FROM clinics LIMIT 1
        """,
        "expected_amount 5",
    ),
    ("payables_not_overpaid", "payment", "UPDATE payables SET due_amount = 1", "due_amount 1"),
    (
        "excess_is_credit",
        "payment",
        "UPDATE allocations SET moved_amount = 1 WHERE settled_amount > 1",
        "moved 1",
    ),
    ("shares_make_the_payment", "payment", "UPDATE payments SET amount = amount + 1", "shares"),
    ("debits_are_agreed", "payment", "UPDATE payments SET kind = 'debit', intent_made = true", "kind debit"),
    (
        "consents_end_with_their_methods",
        "payment",
        """
        INSERT INTO payment_methods SELECT clinic_id, gen_random_uuid(), gen_random_uuid(), '', 'pm_1', 'card', NULL,
            NULL, NULL, NULL, now(), now() FROM clinics;
        INSERT INTO consents SELECT clinic_id, gen_random_uuid(), client_id, '', 'off_session', '1', 'en', 'Yes', now(),
            NULL, id FROM payment_methods
        """,
        "withdrawn_at None",
    ),
    ("shares_fit_the_status", "payment", "UPDATE payments SET status = 'failed'", "state settled"),
    (
        "one_live_share",
        "payment",
        """
        DROP INDEX allocations_one_open;
        ALTER TABLE allocations DROP CONSTRAINT allocations_pkey;
        UPDATE allocations SET state = 'open', payable_id = (SELECT min(id::text)::uuid FROM payables)
        """,
        "live",
    ),
    (
        "reservations_have_an_intent",
        "payment",
        """
        UPDATE payments SET created_at = created_at - interval '25 hours', stripe_payment_intent_id = NULL
        WHERE status = 'failed'
        """,
        "status failed",
    ),
    (
        "reservations_have_an_intent",
        "payment",
        """
        UPDATE payments SET created_at = created_at - interval '25 hours', status = 'canceled'
        WHERE status = 'failed'
        """,
        "status canceled",
    ),
    ("shares_stay_with_the_client", "payment", "UPDATE payables SET client_id = gen_random_uuid()", "owner"),
    ("shares_stay_with_the_client", "payment", "UPDATE payables SET currency = 'USD'", "USD"),
    (
        "methods_stay_with_the_client",
        "payment",
        """
        INSERT INTO payment_methods SELECT clinic_id, gen_random_uuid(), gen_random_uuid(), '', 'pm_1', 'card', NULL,
            NULL, NULL, NULL, now() FROM clinics;
        UPDATE payments SET saved_method_id = (SELECT id FROM payment_methods)
        """,
        "owner",
    ),
    ("versions_are_said", "payment", "UPDATE payments SET version = 0", "version 0"),
    (
        "disputes_are_booked",
        "payment",
        """
        INSERT INTO postings SELECT clinic_id, entry_id, 9, 'disputed_rest', NULL, NULL, 5, currency FROM postings
        WHERE account = 'stripe' LIMIT 1
        """,
        "booked 5",
    ),
    ("dispute_transactions_are_booked_once", "payment", f"{_DISPUTED} {_TRANSACTION}", "entries 0"),
    ("evidence_is_queued", "payment", f"{_DISPUTED} {_EVIDENCE}", "state sending"),
    ("disputed_shares_are_moved", "payment", f"{_DISPUTED} {_SHARE}", "taken 7"),
    ("refunds_are_booked_once", "payment", "DELETE FROM entries WHERE effect = 'refund'", "set_aside 0"),
    ("refunds_are_booked_once", "payment", "DELETE FROM entries WHERE effect = 'refund_paid'", "paid 0"),
    ("refunds_are_booked_once", "payment", "UPDATE refunds SET status = 'failed'", "returned 0"),
    ("held_refunds_have_acts", "payment", "UPDATE refunds SET status = 'held', act_id = id", "refund_id"),
    ("held_refunds_have_acts", "payment", _HELD_REFUND, "refund_id None"),
    ("refund_entries_are_the_refund", "payment", "UPDATE refunds SET amount = amount + 1", "booked"),
    ("refund_entries_are_the_refund", "payment", "DELETE FROM refunds", "refund_id None"),
    (
        "refund_entries_are_the_refund",
        "payment",
        "UPDATE refunds SET client_id = gen_random_uuid()",
        "refund_id",
    ),
    ("refunds_are_within_the_surplus", "payment", "UPDATE refunds SET amount = 2000", "refunded 4000"),
    (
        "refunds_are_within_the_surplus",
        "payment",
        "UPDATE refunds SET client_id = gen_random_uuid()",
        "refunded",
    ),
    ("refund_movements_are_shares", "payment", "UPDATE movements SET kind = 'refund'", "share None"),
    ("payables_are_returned", "payment", "UPDATE payables SET returned_amount = 1", "taken 0"),
    (
        "refunded_shares_are_booked",
        "payment",
        "UPDATE allocations SET refunded_amount = 1 WHERE settled_amount > 1",
        "counted 1",
    ),
    (
        "pending_refunds_are_the_account",
        "payment",
        "UPDATE refunds SET status = 'succeeded'",
        "booked 400, on_its_way 0",
    ),
    ("pending_refunds_are_the_account", "payment", "DELETE FROM postings", "booked 0, on_its_way 400"),
    (
        "lines_make_the_total",
        "invoice",
        "UPDATE invoice_lines SET net_amount = net_amount + 1, quantity = 1, unit_amount = net_amount + 1",
        "net",
    ),
    ("lines_make_the_total", "invoice", "DELETE FROM invoice_lines", "net None"),
    (
        "balance_is_moved",
        "invoice",
        "UPDATE invoices SET settled_amount = settled_amount + 1 WHERE status = 'paid'",
        "moved",
    ),
    ("balance_is_moved", "invoice", "UPDATE movements SET kind = 'refund'", "refunds"),
    ("balance_is_moved", "invoice", "UPDATE movements SET kind = 'dispute'", "disputes"),
    (
        "status_fits_the_amounts",
        "invoice",
        "UPDATE invoices SET status = 'unpaid', paid_at = NULL WHERE status = 'part_paid'",
        "status unpaid",
    ),
    ("movements_keep_the_currency", "invoice", "UPDATE movements SET currency = 'USD'", "USD"),
    (
        "settled_payments_are_known",
        "invoice",
        "UPDATE invoice_payments SET state = 'processing'",
        "state processing",
    ),
    ("movements_are_claimed", "invoice", "DELETE FROM inbox", "movement_id"),
    (
        "numbers_without_gaps",
        "invoice",
        "UPDATE invoice_counters SET last_number = last_number + 1",
        "last_number 8",
    ),
    (
        "numbers_without_gaps",
        "invoice",
        "UPDATE invoices SET number = '2026-000009' WHERE number LIKE '%6'",
        "highest 9",
    ),
    (
        "documents_make_the_sums",
        "invoice",
        "UPDATE invoices SET credited_amount = 1 WHERE status = 'paid'",
        "credited",
    ),
    ("documents_make_the_sums", "invoice", "UPDATE invoice_documents SET kind = 'write_off'", "voids"),
    (
        "documents_within_their_taxes",
        "invoice",
        "UPDATE invoice_document_taxes SET net_amount = net_amount + 1",
        "net_amount",
    ),
    (
        "documents_within_their_taxes",
        "invoice",
        """
        UPDATE invoice_document_taxes SET net_amount = 3 * net_amount;
        UPDATE invoice_documents SET net_amount = 3 * net_amount, total_amount = 3 * total_amount
        """,
        "tax_code NONE",
    ),
    (
        "credit_notes_without_gaps",
        "invoice",
        "INSERT INTO credit_note_counters SELECT id, 2026, 1 FROM clinics",
        "credit_notes None",
    ),
    ("numbers_of_their_year", "invoice", "UPDATE invoices SET issued_on = '2001-01-01'", "2001-01-01"),
    (
        "one_letter_per_event",
        "notification",
        """
        DROP INDEX deliveries_once_per_subject;
        INSERT INTO deliveries (clinic_id, id, client_id, template, event_id, subject_id, facts)
        SELECT clinic_id, gen_random_uuid(), client_id, template, gen_random_uuid(), subject_id, facts
        FROM deliveries WHERE template = 'receipt'
        """,
        "letters 2",
    ),
    ("letters_have_events", "notification", "UPDATE deliveries SET event_id = gen_random_uuid()", "event_id"),
    (
        "letters_are_queued",
        "notification",
        "UPDATE tasks SET state = 'done', ended_at = now()",
        "template",
    ),
    (
        "letters_stay_with_the_client",
        "notification",
        "UPDATE deliveries SET client_id = gen_random_uuid()",
        "owner",
    ),
    ("invoice_held_acts_are_queued", "invoice", _HELD_REPLACEMENT, "kind replacement"),
    ("payment_held_acts_are_queued", "payment", _HELD_REFUND, "kind refund"),
    *(
        (f"{service}_queue_keeps_up", service, OVERDUE, "kind void")
        for service in ("invoice", "payment", "notification")
    ),
    # Between two services.
    ("movements_agree", "invoice", "DELETE FROM movements WHERE amount = 3000", "missing in invoice"),
    ("movements_agree", "payment", "DELETE FROM movements WHERE amount = 3000", "missing in payment"),
    (
        "movements_agree",
        "invoice",
        "UPDATE movements SET amount = 3001 WHERE amount = 3000",
        "amount 3001 ≠ 3000",
    ),
    ("movements_agree", "payment", "UPDATE movements SET currency = 'USD' WHERE amount = 3000", "EUR ≠ USD"),
    (
        "movements_agree",
        "invoice",
        "UPDATE movements SET method_last4 = NULL WHERE amount = 3000",
        "method_last4 None ≠ 4242",
    ),
    (
        "payables_are_invoices",
        "payment",
        "UPDATE payables SET clinic_id = gen_random_uuid()",
        "missing in payment",
    ),
    ("payables_are_invoices", "payment", "UPDATE payables SET client_id = gen_random_uuid()", "client_id"),
    ("payables_are_invoices", "payment", "UPDATE payables SET version = version - 1", "version"),
    ("payables_are_invoices", "invoice", "UPDATE invoices SET version = version + 1", "version"),
    ("documents_agree", "payment", "DELETE FROM documents WHERE kind <> 'issue'", "missing in payment"),
    (
        "issues_are_invoices",
        "payment",
        "UPDATE documents SET net_amount = net_amount + 1, total_amount = total_amount + 1",
        "net_amount",
    ),
    ("notices_are_invoices", "notification", "UPDATE invoices SET version = version - 1", "version"),
    ("notices_are_invoices", "notification", "UPDATE invoices SET due_amount = due_amount + 1", "due_amount"),
    ("notices_are_invoices", "notification", "DELETE FROM invoices", "missing in notification"),
    (
        "payment_knows_clinics",
        "payment",
        "UPDATE clinics SET online_payment = NOT online_payment",
        "online_payment",
    ),
    ("notification_knows_clinics", "notification", "UPDATE clinics SET slug = 'other'", "harbour ≠ other"),
    ("one_receipt_per_payment", "notification", "DELETE FROM deliveries", "missing in notification"),
    (
        "one_receipt_per_payment",
        "notification",
        "UPDATE deliveries SET template = 'receipt' WHERE template = 'payment_failed'",
        "missing in payment",
    ),
    (
        "one_letter_per_refund",
        "notification",
        "DELETE FROM deliveries WHERE template = 'refund'",
        "missing in notification",
    ),
    ("one_notice_per_invoice", "notification", "DELETE FROM deliveries", "missing in notification"),
    (
        "failures_are_payments",
        "notification",
        "UPDATE deliveries SET client_id = gen_random_uuid()",
        "client_id",
    ),
    (
        "on_the_way_is_on_the_way",
        "invoice",
        "UPDATE invoice_payments SET state = 'processing' WHERE state = 'settled'",
        "on its way True ≠ False",
    ),
    (
        "accounts_are_clinics",
        "payment",
        "INSERT INTO accounts VALUES (gen_random_uuid(), NULL)",
        "missing in invoice",
    ),
    ("portals_are_clinics", "gateway", "UPDATE portals SET slug = 'other'", "other ≠ harbour"),
    (
        "logins_are_clients",
        "gateway",
        "UPDATE memberships SET client_id = gen_random_uuid()",
        "missing in invoice",
    ),
    # Between us and Stripe.
    ("charges_are_booked", "payment", "DELETE FROM entries", "wrong not booked"),
    (
        "charged_amounts_agree",
        "payment",
        "UPDATE postings SET amount = amount + 1 WHERE account = 'stripe'",
        "amount 12500 ≠ 12501",
    ),
    ("charged_currencies_agree", "payment", "UPDATE postings SET currency = 'USD'", "currency EUR ≠ USD"),
    ("charges_are_their_payments", "payment", "UPDATE payments SET livemode = true", "mode False ≠ True"),
    (
        "charges_are_their_payments",
        "payment",
        """
        UPDATE payments SET clinic_id = '00000000-0000-7000-8000-000000000001';
        UPDATE entries SET clinic_id = '00000000-0000-7000-8000-000000000001';
        UPDATE postings SET clinic_id = '00000000-0000-7000-8000-000000000001'
        """,
        "clinic ",
    ),
    (
        "bookings_are_charged",
        "payment",
        "UPDATE entries SET stripe_object_id = stripe_object_id || 'x'",
        "charges none",
    ),
    ("refunds_at_stripe_are_booked", "payment", "DELETE FROM refunds WHERE status = 'pending'", "not booked"),
    ("stripe_refunds_are_ours", "payment", "UPDATE refunds SET amount = amount + 1", "amount 1000 ≠ 1001"),
    (
        "stripe_refunds_are_ours",
        "payment",
        "UPDATE refunds SET status = 'canceled' WHERE status = 'failed'",
        "status failed ≠ canceled",
    ),
    (
        "charges_are_refunded_as_booked",
        "payment",
        "UPDATE refunds SET payment_id = (SELECT id FROM payments WHERE amount = 12500)",
        "refunded at Stripe, not in the books",
    ),
    (
        "charges_are_refunded_as_booked",
        "payment",
        "UPDATE refunds SET payment_id = (SELECT id FROM payments WHERE amount = 12500)",
        "not refunded at Stripe",
    ),
    ("refunds_are_at_stripe", "payment", "UPDATE refunds SET id = gen_random_uuid()", "status succeeded"),
    # Pending or parked.
    (
        "outboxes_are_sent",
        "payment",
        """
        INSERT INTO outbox (id, clinic_id, aggregatetype, aggregateid, payload)
        VALUES (gen_random_uuid(), gen_random_uuid(), 'payment.settled', 'x', '')
        """,
        "topic payment.settled",
    ),
    *(
        (f"{service}_parked_for_a_reason", service, PARKED.format(reason), f"reason {reason}")
        for service in ("invoice", "payment", "notification")
        for reason in ("unexpected_error", "behind_parked")
    ),
    ("being_checked_is_parked", "invoice", "UPDATE invoices SET being_checked = true", "being_checked True"),
    (
        "being_checked_is_parked",
        "invoice",
        """
        INSERT INTO parked (consumer, topic, partition, "offset", headers, reason, detail, fingerprint, clinic_id,
            aggregate_id)
        SELECT 'invoice', 'payment.settled', 0, 0, '[]', 'wrong_currency', '', '', clinic_id, id FROM invoices LIMIT 1
        """,
        "being_checked False",
    ),
    (
        "former_slugs_are_free",
        "gateway",
        "INSERT INTO former_slugs (slug, clinic_id) SELECT slug, clinic_id FROM portals LIMIT 1",
        "other_id",
    ),
    ("documents_are_frozen", "invoice", "DELETE FROM invoice_identities", "names_a_client False"),
    (
        "documents_are_frozen",
        "invoice",
        "UPDATE invoices SET seller = seller - 'name'",
        "seller None",
    ),
    (
        "documents_are_frozen",
        "invoice",
        """
        WITH gone AS (
            UPDATE invoice_identities SET name = '', billing_address = '{}', erased_at = now()
            RETURNING clinic_id, invoice_id
        ), logged AS (
            INSERT INTO erasures (clinic_id, kind, subject_id, erased_at)
            SELECT clinic_id, 'invoice', invoice_id, now() FROM gone
        )
        UPDATE invoices SET note = 'Get well soon, Ada'
        """,
        "names_a_client True",
    ),
    (
        "documents_are_frozen",
        "invoice",
        "UPDATE invoice_identities SET name = '', billing_address = '{}', erased_at = now()",
        "names_a_client True",
    ),
    # The audit log.
    *(
        (
            f"{service}_audit_log_is_whole",
            service,
            "INSERT INTO audit_heads VALUES (gen_random_uuid(), 7, sha256(''))",
            "seq 1, reason not the end",
        )
        for service in database.SERVICES
    ),
    (
        "invoice_audit_log_is_whole",
        "invoice",
        "UPDATE audit SET actor = gen_random_uuid() WHERE seq = 2",
        "seq 2, reason changed",
    ),
]
