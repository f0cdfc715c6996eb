-- migrate:up

-- What this service keeps of the clinic's settings. From clinic.updated, newest version wins.
CREATE TABLE clinics (
    clinic_id uuid PRIMARY KEY,
    version integer NOT NULL,
    online_payment boolean NOT NULL,
    methods text[] NOT NULL,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$')
);

-- The clinic's own Stripe account. Without a row, or with NULL, it is charged on the platform's own.
CREATE TABLE accounts (
    clinic_id uuid PRIMARY KEY,
    stripe_account_id text UNIQUE CHECK (stripe_account_id ~ '^acct_[A-Za-z0-9]{1,60}$')
);

-- A client at Stripe. A customer lives on one account; '' is the platform's own, here and below.
CREATE TABLE customers (
    clinic_id uuid NOT NULL,
    client_id uuid NOT NULL,
    account text NOT NULL,
    idempotency_key text NOT NULL,
    stripe_customer_id text,
    default_method_id uuid,
    PRIMARY KEY (clinic_id, client_id, account)
);
CREATE UNIQUE INDEX customers_stripe ON customers (account, stripe_customer_id);

-- What can be paid. due_amount (before payments), currency, status and due date are invoice's and come from
-- invoice.*; settled_amount is this service's own count, so a late event cannot reopen what is paid.
CREATE TABLE payables (
    clinic_id uuid NOT NULL,
    id uuid NOT NULL,
    client_id uuid NOT NULL,
    version integer NOT NULL,
    due_amount bigint NOT NULL CHECK (due_amount >= 0),
    settled_amount bigint NOT NULL DEFAULT 0 CHECK (settled_amount >= 0),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    status text NOT NULL,
    due_on date NOT NULL,
    PRIMARY KEY (clinic_id, id)
);

CREATE TABLE payment_methods (
    clinic_id uuid NOT NULL,
    id uuid NOT NULL,
    client_id uuid NOT NULL,
    account text NOT NULL,
    stripe_payment_method_id text NOT NULL,
    kind text NOT NULL,
    brand text,
    last4 text CHECK (last4 ~ '^[0-9]{4}$'),
    exp_month smallint,
    exp_year smallint,
    created_at timestamptz NOT NULL,
    removed_at timestamptz,
    PRIMARY KEY (clinic_id, id),
    UNIQUE (account, stripe_payment_method_id),
    FOREIGN KEY (clinic_id, client_id, account) REFERENCES customers
);
ALTER TABLE customers ADD FOREIGN KEY (clinic_id, default_method_id) REFERENCES payment_methods;
CREATE INDEX payment_methods_client ON payment_methods (clinic_id, client_id) WHERE removed_at IS NULL;

CREATE TABLE payments (
    clinic_id uuid NOT NULL,
    id uuid NOT NULL,
    client_id uuid NOT NULL,
    account text NOT NULL,
    livemode boolean NOT NULL,
    status text NOT NULL
        CHECK (status IN ('created', 'requires_action', 'processing', 'failed', 'succeeded', 'canceled')),
    version integer NOT NULL DEFAULT 0,
    amount bigint NOT NULL CHECK (amount > 0),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    kind text NOT NULL CHECK (kind IN ('card', 'saved', 'redirect')),
    saved_method_id uuid,
    save boolean NOT NULL,
    idempotency_key text NOT NULL UNIQUE,
    request_key text,
    stripe_payment_intent_id text,
    stripe_customer_id text,
    method_kind text,
    method_brand text,
    method_last4 text,
    failure_code text,
    traceparent text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    succeeded_at timestamptz,
    seen_at timestamptz,
    checked_at timestamptz NOT NULL,
    PRIMARY KEY (clinic_id, id),
    FOREIGN KEY (clinic_id, saved_method_id) REFERENCES payment_methods
);
COMMENT ON COLUMN payments.version IS 'number of payment.* state events said so far';
COMMENT ON COLUMN payments.seen_at IS 'Stripe''s time of the newest state applied: an older one is not';
COMMENT ON COLUMN payments.checked_at IS 'when the sweeper last asked Stripe, or the payment was started';
CREATE UNIQUE INDEX payments_intent ON payments (account, stripe_payment_intent_id);
CREATE UNIQUE INDEX payments_request ON payments (clinic_id, client_id, request_key)
    WHERE status <> 'canceled';
CREATE INDEX payments_client ON payments (clinic_id, client_id, id DESC);
CREATE INDEX payments_live ON payments (checked_at)
    WHERE status IN ('created', 'requires_action', 'processing', 'failed');

-- A payment's share for one payable; while open, a reservation: one at a time for each payable.
CREATE TABLE allocations (
    clinic_id uuid NOT NULL,
    payment_id uuid NOT NULL,
    payable_id uuid NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    settled_amount bigint NOT NULL DEFAULT 0 CHECK (settled_amount BETWEEN 0 AND amount),
    state text NOT NULL CHECK (state IN ('open', 'settled', 'released')),
    PRIMARY KEY (clinic_id, payment_id, payable_id),
    FOREIGN KEY (clinic_id, payment_id) REFERENCES payments,
    FOREIGN KEY (clinic_id, payable_id) REFERENCES payables
);
CREATE UNIQUE INDEX allocations_one_open ON allocations (clinic_id, payable_id) WHERE state = 'open';
CREATE INDEX allocations_payable ON allocations (clinic_id, payable_id);

-- The double-entry ledger. An effect of a Stripe object is booked once, for ever.
CREATE TABLE entries (
    clinic_id uuid NOT NULL,
    id uuid NOT NULL,
    payment_id uuid NOT NULL,
    stripe_object_id text NOT NULL,
    effect text NOT NULL CHECK (effect IN ('capture')),
    booked_at timestamptz NOT NULL,
    PRIMARY KEY (clinic_id, id),
    UNIQUE (clinic_id, stripe_object_id, effect),
    FOREIGN KEY (clinic_id, payment_id) REFERENCES payments
);

-- amount: debit positive, credit negative. client_credit belongs to a client, receivable to a payable.
CREATE TABLE postings (
    clinic_id uuid NOT NULL,
    entry_id uuid NOT NULL,
    position smallint NOT NULL,
    account text NOT NULL CHECK (account IN ('stripe', 'receivable', 'client_credit')),
    client_id uuid CHECK ((account = 'client_credit') = (client_id IS NOT NULL)),
    payable_id uuid CHECK ((account = 'receivable') = (payable_id IS NOT NULL)),
    amount bigint NOT NULL CHECK (amount <> 0),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    PRIMARY KEY (clinic_id, entry_id, position),
    FOREIGN KEY (clinic_id, entry_id) REFERENCES entries,
    FOREIGN KEY (clinic_id, payable_id) REFERENCES payables
);
CREATE INDEX postings_credit ON postings (clinic_id, client_id, currency) WHERE account = 'client_credit';

CREATE FUNCTION refuse_unbalanced_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM postings
        WHERE clinic_id = NEW.clinic_id AND entry_id = NEW.entry_id
        GROUP BY currency
        HAVING sum(amount) <> 0
    ) THEN
        RAISE EXCEPTION 'entry % does not balance', NEW.entry_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER balanced AFTER INSERT ON postings
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION refuse_unbalanced_entry();

-- What was said as payment.settled; id is the event's id, so that it can be said again.
CREATE TABLE movements (
    clinic_id uuid NOT NULL,
    id uuid NOT NULL,
    payment_id uuid NOT NULL,
    payable_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('payment', 'refund', 'dispute', 'reversal')),
    amount bigint NOT NULL CHECK (amount <> 0),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    method_kind text,
    method_brand text,
    method_last4 text,
    booked_at timestamptz NOT NULL,
    PRIMARY KEY (clinic_id, id),
    FOREIGN KEY (clinic_id, payment_id) REFERENCES payments,
    FOREIGN KEY (clinic_id, payable_id) REFERENCES payables
);
CREATE INDEX movements_payment ON movements (clinic_id, payment_id);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['clinics', 'accounts', 'customers', 'payables', 'payment_methods', 'payments',
                                'allocations', 'entries', 'postings', 'movements'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($policy$CREATE POLICY clinic ON %I TO app_api
            USING (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))
            WITH CHECK (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))$policy$, name);
        EXECUTE format('CREATE POLICY every_clinic ON %I TO app_worker USING (true) WITH CHECK (true)', name);
        EXECUTE format('GRANT SELECT ON %I TO app_api, app_worker', name);
    END LOOP;
END
$$;

-- The api starts and gives up payments; only the worker books money. No one updates or deletes the ledger.
GRANT INSERT, UPDATE ON accounts, customers, payment_methods, payments, allocations TO app_api;
GRANT UPDATE (due_on) ON payables TO app_api; -- FOR UPDATE asks for the right to one column; it changes none
GRANT INSERT, UPDATE ON clinics, payables, payment_methods, customers TO app_worker;
GRANT UPDATE ON payments, allocations TO app_worker;
GRANT INSERT ON entries, postings, movements TO app_worker;

-- migrate:down
