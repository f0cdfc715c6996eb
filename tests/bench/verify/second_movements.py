"""More rows of an installation of any size: of paid invoices, one in five has a second movement or was paid in cash.

Of twenty invoices one is refunded in part, one credited in part after it was paid, and one paid in cash; of forty,
one is disputed and lost. They are written over the rows of `population`, whose words these statements use.
"""

WORDS = {
    "refunded": "n % 20 = 1",
    "credited": "n % 20 = 3",
    "disputed": "n % 40 = 5",
    "cash": "n % 20 = 7",
    "moved": "(n % 20 IN (1, 3) OR n % 40 = 5)",
    "kind": "CASE WHEN n % 20 = 1 THEN 'refund' WHEN n % 20 = 3 THEN 'credit' ELSE 'dispute' END",
    "sum": "CASE WHEN n % 20 = 1 THEN -40 WHEN n % 20 = 3 THEN -30 ELSE -100 END",
    "cause": "CASE WHEN n % 20 = 1 THEN 'refund-' || {f} WHEN n % 20 = 3 THEN 'invoice:' || {i} ELSE 'txn_' || n END",
    "version": "CASE WHEN n % 20 = 3 THEN 4 ELSE 3 END",
}

ROWS = {
    "invoice": (
        """
        UPDATE invoices AS i SET version = {version}, refunded_amount = CASE WHEN {refunded} THEN 40 ELSE 0 END,
            disputed_amount = CASE WHEN {disputed} THEN 100 ELSE 0 END,
            credited_amount = CASE WHEN {credited} THEN 30 ELSE 0 END,
            settled_amount = CASE WHEN {credited} THEN 70 ELSE 100 END
        FROM {all} WHERE {moved} AND (i.clinic_id, i.id) = ({clinic}, {i})
        """,
        """
        INSERT INTO movements SELECT {clinic}, {m2}, {i}, {p}, {kind}, {sum}, 'EUR',
            CASE WHEN {credited} THEN NULL ELSE 'card' END, CASE WHEN {credited} THEN NULL ELSE 'visa' END,
            CASE WHEN {credited} THEN NULL ELSE '4242' END, {at}
        FROM {all} WHERE {moved}
        """,
        "INSERT INTO inbox SELECT 'invoice', {m2} FROM {all} WHERE {moved}",
        """
        UPDATE movements AS m SET method_kind = 'cash', method_brand = NULL, method_last4 = NULL
        FROM {all} WHERE {cash} AND (m.clinic_id, m.id) = ({clinic}, {m})
        """,
        """
        INSERT INTO credit_note_counters AS held SELECT {clinic}, 2026, count(*) FROM {all} WHERE {credited} GROUP BY 1
        ON CONFLICT (clinic_id, year) DO UPDATE SET last_number = held.last_number + excluded.last_number
        """,
        """
        INSERT INTO invoice_documents SELECT {clinic}, {k}, {i}, 'credit_note', 'CN-' || {number}, 'goodwill', '',
            'EUR', 30, 0, 0, 30, '2026-01-02', {at}, '{{"name": "Clinic"}}', 'en-IE', 'UTC', 3, 'paid', 70, 100,
            false, NULL
        FROM {all} WHERE {credited}
        """,
        """
        INSERT INTO invoice_document_taxes SELECT {clinic}, {k}, ARRAY['X'], 'X', 'X', 0, 30, 0
        FROM {all} WHERE {credited}
        """,
    ),
    "payment": (
        """
        UPDATE payables AS y SET version = {version}, due_amount = CASE WHEN {credited} THEN 70 ELSE 100 END,
            settled_amount = CASE WHEN {credited} THEN 70 ELSE 100 END,
            returned_amount = CASE WHEN {refunded} THEN 40 WHEN {disputed} THEN 100 ELSE 0 END
        FROM {all} WHERE {moved} AND (y.clinic_id, y.id) = ({clinic}, {i})
        """,
        """
        UPDATE allocations AS a SET refunded_amount = CASE WHEN {refunded} THEN 40 ELSE 0 END,
            disputed_amount = CASE WHEN {disputed} THEN 100 ELSE 0 END,
            moved_amount = CASE WHEN {credited} THEN 30 ELSE 0 END
        FROM {all} WHERE {moved} AND (a.clinic_id, a.payment_id, a.payable_id) = ({clinic}, {p}, {i})
        """,
        """
        INSERT INTO movements (clinic_id, id, payment_id, payable_id, kind, amount, currency, method_kind,
            method_brand, method_last4, booked_at, stripe_object_id)
        SELECT {clinic}, {m2}, {p}, {i}, {kind}, {sum}, 'EUR', CASE WHEN {credited} THEN NULL ELSE 'card' END,
            CASE WHEN {credited} THEN NULL ELSE 'visa' END, CASE WHEN {credited} THEN NULL ELSE '4242' END, {at},
            {cause}
        FROM {all} WHERE {moved}
        """,
        """
        INSERT INTO entries SELECT {clinic}, {e2}, {p}, {cause},
            CASE WHEN {refunded} THEN 'refund' WHEN {credited} THEN 'excess' ELSE 'dispute' END, {at}
        FROM {all} WHERE {moved}
        """,
        """
        INSERT INTO entries SELECT {clinic}, {e3}, {p}, {cause},
            CASE WHEN {refunded} THEN 'refund_paid' ELSE 'dispute_fee' END, {at}
        FROM {all} WHERE {refunded} OR {disputed}
        """,
        """
        INSERT INTO postings SELECT {clinic}, {e2}, 0,
            CASE WHEN {refunded} THEN 'refunded' WHEN {credited} THEN 'receivable' ELSE 'disputed' END, NULL,
            CASE WHEN {disputed} THEN NULL ELSE {i} END, -({sum}), 'EUR' FROM {all} WHERE {moved}
        """,
        """
        INSERT INTO postings SELECT {clinic}, {e2}, 1,
            CASE WHEN {refunded} THEN 'refund_pending' WHEN {credited} THEN 'client_credit' ELSE 'stripe' END,
            CASE WHEN {credited} THEN {c} END, NULL, {sum}, 'EUR' FROM {all} WHERE {moved}
        """,
        """
        INSERT INTO postings SELECT {clinic}, {e3}, side,
            CASE WHEN side = 1 THEN 'stripe' WHEN {refunded} THEN 'refund_pending' ELSE 'dispute_fee' END, NULL, NULL,
            CASE side WHEN 0 THEN 1 ELSE -1 END * CASE WHEN {refunded} THEN 40 ELSE 15 END, 'EUR'
        FROM {all}, generate_series(0, 1) AS side WHERE {refunded} OR {disputed}
        """,
        "INSERT INTO credit_balances SELECT {clinic}, {c}, 'EUR', 30 FROM {all} WHERE {credited}",
        """
        INSERT INTO refunds (clinic_id, id, client_id, payment_id, status, amount, currency, idempotency_key,
            stripe_refund_id, created_at, updated_at, refunded_at, seen_at, checked_at)
        SELECT {clinic}, {f}, {c}, {p}, 'succeeded', 40, 'EUR', 'refund-' || {f}, 're_' || n, {at}, {at}, {at}, {at},
            {at}
        FROM {all} WHERE {refunded}
        """,
        "INSERT INTO refund_shares SELECT {clinic}, {f}, {i}, 40 FROM {all} WHERE {refunded}",
        """
        INSERT INTO disputes (clinic_id, id, client_id, payment_id, stripe_dispute_id, charge_id, status, amount,
            currency, reopened, version, opened_at, updated_at, seen_at, checked_at)
        SELECT {clinic}, {g}, {c}, {p}, 'du_' || n, 'ch_' || n, 'lost', 100, 'EUR', false, 2, {at}, {at}, {at}, {at}
        FROM {all} WHERE {disputed}
        """,
        "INSERT INTO dispute_shares SELECT {clinic}, {g}, {i}, 100, 0 FROM {all} WHERE {disputed}",
        """
        INSERT INTO dispute_transactions SELECT {clinic}, 'txn_' || n, {g}, -100, 15, 'EUR', {at}, {at}
        FROM {all} WHERE {disputed}
        """,
        """
        INSERT INTO documents SELECT {clinic}, {i}, {i}, 'issue', {number}, NULL, '2026-01-01', 'EUR', 100, 0, 0, 100,
            '[]', {at} FROM {all}
        """,
        """
        INSERT INTO documents SELECT {clinic}, {k}, {i}, 'credit_note', 'CN-' || {number}, 'goodwill', '2026-01-02',
            'EUR', 30, 0, 0, 30, '[]', {at} FROM {all} WHERE {credited}
        """,
        """
        UPDATE payments AS p SET kind = 'cash', stripe_payment_intent_id = NULL, method_kind = 'cash',
            method_brand = NULL, method_last4 = NULL
        FROM {all} WHERE {cash} AND (p.clinic_id, p.id) = ({clinic}, {p})
        """,
        """
        UPDATE entries AS e SET effect = 'record', stripe_object_id = 'recorded-' || {p}
        FROM {all} WHERE {cash} AND (e.clinic_id, e.id) = ({clinic}, {e})
        """,
        """
        UPDATE postings AS s SET account = 'cash'
        FROM {all} WHERE {cash} AND (s.clinic_id, s.entry_id) = ({clinic}, {e}) AND s.account = 'stripe'
        """,
        "INSERT INTO recorded_payments SELECT {clinic}, {p}, '', '', 'staff', '' FROM {all} WHERE {cash}",
    ),
    "notification": (
        """
        UPDATE invoices AS i SET version = {version}
        FROM {all} WHERE {moved} AND (i.clinic_id, i.id) = ({clinic}, {i})
        """,
        """
        INSERT INTO deliveries (clinic_id, id, client_id, template, event_id, subject_id, facts, created_at,
            state, attempts, sent_at)
        SELECT {clinic}, {l}, {c}, 'refund', {l}, {f}, '{{}}', {at}, 'sent', 1, {at} FROM {all} WHERE {refunded}
        """,
        "INSERT INTO inbox SELECT 'notification', {l} FROM {all} WHERE {refunded}",
    ),
}
