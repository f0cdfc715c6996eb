"""Rows for the tests of query plans: ten clinics with 5,000 invoices each, and all that belongs to them.

Written by the superuser past triggers and foreign keys (`session_replication_role`), which is how a restore writes.
"""

from uuid import UUID

CLINICS, PER_CLINIC = 10, 5_000
"""Every second invoice of a clinic is its first client's, the others two or three each."""


def key(kind: int, number: int) -> UUID:
    """The id of a row, by a number of its kind and its own."""
    return UUID(f"{kind:08x}-0000-7000-8000-{number:012x}")


def clinic(number: int) -> UUID:
    return key(1, number)


# `pg_temp.key` is the same function as above; c is a clinic's number, n a row's among all of the clinics'.
FUNCTIONS = """
SET session_replication_role = replica;
CREATE FUNCTION pg_temp.key(kind int, number bigint) RETURNS uuid IMMUTABLE LANGUAGE sql
    RETURN (lpad(to_hex(kind), 8, '0') || '-0000-7000-8000-' || lpad(to_hex(number), 12, '0'))::uuid;
CREATE FUNCTION pg_temp.client(n bigint) RETURNS uuid IMMUTABLE LANGUAGE sql
    RETURN pg_temp.key(2, CASE WHEN n % 2 = 0 THEN 0 ELSE n % 2000 END);
CREATE TEMP TABLE many AS SELECT n, pg_temp.key(1, n / 5000) AS clinic_id, pg_temp.client(n) AS client_id
    FROM generate_series(0, 49999) AS n;
"""

CHASSIS = """
INSERT INTO outbox (id, clinic_id, aggregatetype, aggregateid, payload)
    SELECT pg_temp.key(9, n), clinic_id, 'invoice.created', n::text, '{}' FROM many;
INSERT INTO inbox (consumer, event_id) SELECT 'invoice', gen_random_uuid() FROM many;
INSERT INTO inbox (consumer, event_id)
    SELECT 'invoice', (left(uuidv7()::text, 18) || right(pg_temp.key(0, n)::text, 18))::uuid FROM many;
INSERT INTO idempotency_keys (clinic_id, key, fingerprint, answer) SELECT clinic_id, 'key-' || n, '', '{}' FROM many;
INSERT INTO parked (consumer, topic, partition, "offset", key, headers, reason, detail, fingerprint, clinic_id,
        aggregate_id, state)
    SELECT 'invoice', 'payment.settled', 0, n, n::text::bytea, '[]', 'r', '', '', clinic_id, pg_temp.key(3, n),
        CASE WHEN n % 100 = 0 THEN 'waiting' ELSE 'replayed' END FROM many;
"""

INVOICE = """
INSERT INTO clinics (id, slug, name, currency, time_zone, locale, billing_shown, online_payment, methods, contact,
        accent, tax_rates)
    SELECT pg_temp.key(1, c), 'c' || c, 'C', 'EUR', 'UTC', 'en', true, true, '{card}', '{}', '#000000', '[]'
    FROM generate_series(0, 4999) AS c;
INSERT INTO clients (clinic_id, id, name, billing_address)
    SELECT pg_temp.key(1, c), pg_temp.key(2, n), 'C', '{}'
    FROM generate_series(0, 9) AS c, generate_series(0, 1999) AS n;
INSERT INTO invoices (clinic_id, id, client_id, number, status, currency, subtotal_amount, tax_amount, total_amount,
        settled_amount, issued_on, due_on, summary, paid_at, seller, locale, time_zone)
    SELECT clinic_id, pg_temp.key(3, n), client_id, '2020-' || lpad(n::text, 6, '0'),
        CASE WHEN n % 20 < 2 THEN 'unpaid' ELSE 'paid' END, 'EUR', 100, 0, 100,
        CASE WHEN n % 20 < 2 THEN 0 ELSE 100 END, '2020-01-01'::date + (n % 500)::int, '2026-01-01', 'S',
        CASE WHEN n % 20 < 2 THEN NULL ELSE now() END, '{"name": "C"}', 'en', 'UTC'
    FROM many;
INSERT INTO invoice_identities (clinic_id, invoice_id, name, billing_address)
    SELECT clinic_id, pg_temp.key(3, n), 'C', '{}' FROM many;
INSERT INTO invoice_lines (clinic_id, invoice_id, position, service, practitioner, quantity, unit_amount, net_amount,
        tax_code, tax_name, tax_percent, tax_amount)
    SELECT clinic_id, pg_temp.key(3, n), 1, 'S', 'P', 1, 100, 100, 'N', 'N', 0, 0 FROM many;
INSERT INTO movements (clinic_id, id, invoice_id, payment_id, kind, amount, currency, booked_at)
    SELECT clinic_id, pg_temp.key(5, n), pg_temp.key(3, n), pg_temp.key(4, n), 'payment', 100, 'EUR', now() FROM many;
INSERT INTO invoice_payments (clinic_id, invoice_id, payment_id, state, version)
    SELECT clinic_id, pg_temp.key(3, n), pg_temp.key(4, n), 'settled', 0 FROM many;
"""

PAYMENT = """
INSERT INTO inbox (consumer, event_id, source_id, source_type, subject)
    SELECT 'payment-stripe', gen_random_uuid(), 'evt_' || n, 'payment_intent.succeeded', 'pi_' || n FROM many;
INSERT INTO customers (clinic_id, client_id, account, idempotency_key, stripe_customer_id)
    SELECT pg_temp.key(1, c), pg_temp.key(2, n), '', c || '-' || n, 'cus_' || c || '_' || n
    FROM generate_series(0, 9) AS c, generate_series(0, 1999) AS n;
INSERT INTO payment_methods (clinic_id, id, client_id, account, stripe_payment_method_id, kind, last4, created_at,
        exp_year, exp_month)
    SELECT clinic_id, pg_temp.key(6, n), client_id, '', 'pm_' || n, 'card', '4242', now(), 2026 + n % 8, 1 + n % 12
    FROM many WHERE n % 3 = 0;
INSERT INTO payables (clinic_id, id, client_id, version, due_amount, settled_amount, currency, status, due_on)
    SELECT clinic_id, pg_temp.key(3, n), client_id, 1, 100,
        CASE WHEN n % 20 < 2 THEN 0 ELSE 100 END, 'EUR', 'unpaid', '2026-01-01'
    FROM many;
INSERT INTO payments (clinic_id, id, client_id, account, livemode, status, amount, currency, kind, save,
        idempotency_key, request_key, stripe_payment_intent_id, created_at, updated_at, checked_at)
    SELECT clinic_id, pg_temp.key(4, n), client_id, '', false,
        CASE WHEN n % 4 = 0 THEN 'processing' ELSE 'succeeded' END, 100, 'EUR', 'card', false, 'k' || n, 'r' || n,
        'pi_' || n, now() - interval '30 days', now() - interval '1 day' * (n % 30), now() - interval '1 hour'
    FROM many;
INSERT INTO allocations (clinic_id, payment_id, payable_id, amount, settled_amount, state)
    SELECT clinic_id, pg_temp.key(4, n), pg_temp.key(3, n), 100,
        CASE WHEN n % 4 = 0 THEN 0 ELSE 100 END, CASE WHEN n % 4 = 0 THEN 'open' ELSE 'settled' END
    FROM many;
INSERT INTO entries (clinic_id, id, payment_id, stripe_object_id, effect, booked_at)
    SELECT clinic_id, pg_temp.key(7, n), pg_temp.key(4, n), 'ch_' || n, 'capture', now() FROM many;
INSERT INTO postings (clinic_id, entry_id, position, account, client_id, payable_id, amount, currency)
    SELECT clinic_id, pg_temp.key(7, n), 0, 'stripe', NULL::uuid, NULL::uuid, 100, 'EUR' FROM many
    UNION ALL
    SELECT clinic_id, pg_temp.key(7, n), 1, 'receivable', NULL, pg_temp.key(3, n), -100, 'EUR' FROM many
    UNION ALL
    SELECT clinic_id, pg_temp.key(7, n), 2, 'client_credit', client_id, NULL, -1, 'EUR' FROM many WHERE n % 3 = 0;
INSERT INTO credit_balances (clinic_id, client_id, currency, amount)
    SELECT clinic_id, client_id, 'EUR', count(*) FROM many WHERE n % 3 = 0 GROUP BY clinic_id, client_id;
INSERT INTO movements (clinic_id, id, payment_id, payable_id, kind, amount, currency, booked_at)
    SELECT clinic_id, pg_temp.key(5, n), pg_temp.key(4, n), pg_temp.key(3, n), 'payment', 100, 'EUR', now() FROM many;
"""

NOTIFICATION = """
INSERT INTO clinics SELECT pg_temp.key(1, c), 'c' || c, 'C', 'en', 'UTC', '#000000', true, true, '', '', '', '', 1
    FROM generate_series(0, 4999) AS c;
INSERT INTO contacts (clinic_id, client_id, email, name, language)
    SELECT pg_temp.key(1, c), pg_temp.key(2, n), n || '@b.example', 'C', 'en'
    FROM generate_series(0, 9) AS c, generate_series(0, 1999) AS n;
INSERT INTO invoices (clinic_id, id, client_id, number, status, due_amount, currency, due_on, version)
    SELECT clinic_id, pg_temp.key(3, n), client_id, n::text, CASE WHEN n % 20 < 2 THEN 'unpaid' ELSE 'paid' END, 0,
        'EUR', '2026-01-01'::date + (n % 40)::int, 1 FROM many;
UPDATE clinics SET reminders = '{1, 7}' WHERE slug LIKE 'c1__';
INSERT INTO disputes (clinic_id, id, version, is_open, invoice_ids)
    SELECT clinic_id, pg_temp.key(13, n), 1, n % 500 = 0, ARRAY[pg_temp.key(3, n)] FROM many;
INSERT INTO deliveries (clinic_id, id, client_id, template, event_id, subject_id, facts, state, sent_at)
    SELECT clinic_id, pg_temp.key(8, n), client_id, 'receipt', pg_temp.key(9, n), pg_temp.key(4, n),
        '{"amount": {"minor": 1, "currency": "EUR"}, "at": "2026-01-01T00:00:00Z", "invoices": []}',
        CASE WHEN n % 50 = 0 THEN 'due' ELSE 'sent' END, CASE WHEN n % 50 = 0 THEN NULL ELSE now() END
    FROM many;
-- A thousand are unsent, a hundred of them due now.
INSERT INTO tasks (clinic_id, kind, key, state, due_at, ended_at)
    SELECT clinic_id, 'email.receipt', pg_temp.key(8, n), CASE WHEN n % 50 = 0 THEN 'due' ELSE 'done' END,
        now() + n % 500 * interval '1 day', CASE WHEN n % 50 = 0 THEN NULL ELSE now() END
    FROM many;
"""

GATEWAY = """
INSERT INTO portals (clinic_id, slug) SELECT pg_temp.key(1, n), 'c' || n FROM many;
INSERT INTO former_slugs (slug, clinic_id) SELECT 'f' || n, pg_temp.key(1, n) FROM many;
INSERT INTO logins (id, email, password_hash) SELECT pg_temp.key(10, n), n || '@b.example', '' FROM many;
INSERT INTO memberships (clinic_id, login_id, client_id, role, active)
    SELECT clinic_id, pg_temp.key(10, n), client_id, 'client', true FROM many;
INSERT INTO sessions (id_hash, data, idle_at, ends_at)
    SELECT sha256(n::text::bytea), jsonb_build_object('login_id', pg_temp.key(10, n)), now() + interval '30 min',
        now() + interval '12 h' FROM many;
INSERT INTO login_steps (id_hash, kind, email, ends_at)
    SELECT sha256(n::text::bytea), 'address', 'a@b.example', now() + interval '10 min' FROM many;
INSERT INTO passkeys (id, login_id, credential_id, public_key, sign_count, name)
    SELECT pg_temp.key(14, n), pg_temp.key(10, n), n::text::bytea, '', 0, 'k' FROM many;
INSERT INTO attempts (key, tries, ends_at) SELECT sha256(n::text::bytea), 1, now() + interval '1 h' FROM many;
INSERT INTO api_keys (id, key_hash, name, role, clinic_id)
    SELECT pg_temp.key(11, n), sha256(n::text::bytea), 'k', 'clinic', clinic_id FROM many;
INSERT INTO key_uses (api_key_id, key, fingerprint) SELECT pg_temp.key(11, n), 'k', sha256(''::bytea) FROM many;
INSERT INTO operations (id, clinic_id, subject_id, actor, role, key, plan, slug, held_until, next_at)
    SELECT pg_temp.key(12, n), pg_temp.key(1, n), pg_temp.key(3, n), pg_temp.key(11, n), 'operator', 'k',
        '{"type": "ChangeClient", "contact": {}, "client": {}}', 's' || n, now(), now() + n * interval '1 min'
    FROM many;
"""

ROWS = {
    "invoice": FUNCTIONS + CHASSIS + INVOICE,
    "payment": FUNCTIONS + CHASSIS + PAYMENT,
    "notification": FUNCTIONS + CHASSIS + NOTIFICATION,
    "gateway": FUNCTIONS + GATEWAY,
}
