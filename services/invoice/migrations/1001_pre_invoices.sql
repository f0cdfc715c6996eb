-- migrate:up
CREATE TABLE clinics (
    id uuid PRIMARY KEY,
    slug text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$'),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    -- Refuses a zone that this server does not know: what is overdue is asked of it.
    time_zone text NOT NULL CHECK (timezone(time_zone, timestamptz 'epoch') IS NOT NULL),
    locale text NOT NULL,
    billing_shown boolean NOT NULL,
    online_payment boolean NOT NULL,
    methods text[] NOT NULL CHECK (methods <@ ARRAY['card', 'redirect']),
    contact jsonb NOT NULL CHECK (jsonb_typeof(contact) = 'object'),
    accent text NOT NULL CHECK (accent ~ '^#[0-9a-f]{6}$'),
    tax_rates jsonb NOT NULL CHECK (jsonb_typeof(tax_rates) = 'array'),
    version integer NOT NULL DEFAULT 1 CHECK (version > 0),
    changed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE clients (
    clinic_id uuid NOT NULL REFERENCES clinics (id),
    id uuid NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    billing_address jsonb NOT NULL CHECK (jsonb_typeof(billing_address) = 'object'),
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (clinic_id, id)
);

-- One row per clinic and year: its lock hands the numbers out one by one, and a rollback gives its number back.
CREATE TABLE invoice_counters (
    clinic_id uuid NOT NULL REFERENCES clinics (id),
    year integer NOT NULL CHECK (year BETWEEN 1900 AND 9999),
    last_number integer NOT NULL CHECK (last_number > 0),
    PRIMARY KEY (clinic_id, year)
);

CREATE TABLE invoices (
    clinic_id uuid NOT NULL REFERENCES clinics (id),
    id uuid NOT NULL,
    client_id uuid NOT NULL,
    number text NOT NULL CHECK (number ~ '^[0-9]{4}-[0-9]{6,}$'),
    status text NOT NULL
        CHECK (status IN ('unpaid', 'part_paid', 'processing', 'paid', 'refunded', 'void')),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    subtotal_amount bigint NOT NULL CHECK (subtotal_amount >= 0),
    tax_amount bigint NOT NULL CHECK (tax_amount >= 0),
    total_amount bigint NOT NULL CHECK (total_amount BETWEEN 1 AND 9007199254740991),
    -- The sum of all movements. Movements may arrive in any order, so it may be below zero for a while.
    settled_amount bigint NOT NULL DEFAULT 0
        CHECK (settled_amount BETWEEN -9007199254740991 AND 9007199254740991),
    refunded_amount bigint NOT NULL DEFAULT 0
        CHECK (refunded_amount BETWEEN -9007199254740991 AND 9007199254740991),
    issued_on date NOT NULL,
    due_on date NOT NULL,
    summary text NOT NULL,
    note text NOT NULL DEFAULT '',
    paid_at timestamptz,
    version integer NOT NULL DEFAULT 1 CHECK (version > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (clinic_id, id),
    UNIQUE (clinic_id, number),
    FOREIGN KEY (clinic_id, client_id) REFERENCES clients (clinic_id, id),
    CONSTRAINT total_adds_up CHECK (total_amount = subtotal_amount + tax_amount),
    CONSTRAINT due_after_issue CHECK (due_on >= issued_on),
    CONSTRAINT paid_means_nothing_due CHECK ((status = 'paid') = (settled_amount >= total_amount) OR status = 'void'),
    CONSTRAINT paid_at_when_paid CHECK ((status = 'paid') = (paid_at IS NOT NULL))
);

CREATE TABLE invoice_lines (
    clinic_id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    position integer NOT NULL CHECK (position BETWEEN 1 AND 200),
    service text NOT NULL,
    practitioner text NOT NULL,
    starts_at timestamptz,
    place text,
    quantity numeric(9, 3) NOT NULL CHECK (quantity > 0),
    unit_amount bigint NOT NULL CHECK (unit_amount >= 0),
    net_amount bigint NOT NULL CHECK (net_amount = round(quantity * unit_amount)),
    tax_code text NOT NULL,
    tax_name text NOT NULL,
    tax_percent numeric(6, 3) NOT NULL CHECK (tax_percent BETWEEN 0 AND 100),
    tax_amount bigint NOT NULL CHECK (abs(tax_amount - net_amount * tax_percent / 100) < 1),
    PRIMARY KEY (clinic_id, invoice_id, position),
    FOREIGN KEY (clinic_id, invoice_id) REFERENCES invoices (clinic_id, id),
    CONSTRAINT appointment_whole CHECK ((starts_at IS NULL) = (place IS NULL))
);

-- Booked payment.settled events: never changed, never deleted, each booked once whatever is redelivered.
CREATE TABLE movements (
    clinic_id uuid NOT NULL,
    id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    payment_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('payment', 'refund', 'dispute', 'reversal')),
    amount bigint NOT NULL CHECK (amount BETWEEN -9007199254740991 AND 9007199254740991),
    currency text NOT NULL,
    method_kind text,
    method_brand text,
    method_last4 text,
    booked_at timestamptz NOT NULL,
    PRIMARY KEY (clinic_id, id),
    FOREIGN KEY (clinic_id, invoice_id) REFERENCES invoices (clinic_id, id)
);

-- How far each payment of an invoice is. Ended ones stay: a late `processing` must find that it is late.
CREATE TABLE invoice_payments (
    clinic_id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    payment_id uuid NOT NULL,
    state text NOT NULL CHECK (state IN ('processing', 'failed', 'canceled', 'settled')),
    version integer NOT NULL CHECK (version >= 0),
    PRIMARY KEY (clinic_id, invoice_id, payment_id),
    FOREIGN KEY (clinic_id, invoice_id) REFERENCES invoices (clinic_id, id)
);

-- Billing History: a client's or the clinic's, all or only what is open, newest first, read in index order.
CREATE INDEX invoices_of_client ON invoices (clinic_id, client_id, issued_on DESC, id DESC);
CREATE INDEX invoices_open_of_client ON invoices (clinic_id, client_id, issued_on DESC, id DESC)
    WHERE status IN ('unpaid', 'part_paid', 'processing');
CREATE INDEX invoices_of_clinic ON invoices (clinic_id, issued_on DESC, id DESC);
CREATE INDEX invoices_open_of_clinic ON invoices (clinic_id, issued_on DESC, id DESC)
    WHERE status IN ('unpaid', 'part_paid', 'processing');
CREATE INDEX invoices_paid_of_client ON invoices (clinic_id, client_id, paid_at DESC) WHERE status = 'paid';
CREATE INDEX movements_of_invoice ON movements (clinic_id, invoice_id, booked_at DESC, id DESC);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['clients', 'invoice_counters', 'invoices', 'invoice_lines', 'movements',
                                'invoice_payments'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($policy$
            CREATE POLICY clinic ON %I TO app_api
                USING (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))
                WITH CHECK (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))
            $policy$, name);
    END LOOP;
    -- Only these see consumers; the worker has no policy, and so no row, in the others.
    FOREACH name IN ARRAY ARRAY['invoices', 'movements', 'invoice_payments'] LOOP
        EXECUTE format('CREATE POLICY every_clinic ON %I TO app_worker USING (true) WITH CHECK (true)', name);
    END LOOP;
END
$$;

-- A clinic is its own key. Operators see and write all of them: they put clinics on.
ALTER TABLE clinics ENABLE ROW LEVEL SECURITY;
ALTER TABLE clinics FORCE ROW LEVEL SECURITY;
CREATE POLICY clinic ON clinics FOR SELECT TO app_api
    USING (id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid));
CREATE POLICY operator ON clinics TO app_api
    USING ((SELECT current_setting('app.operator', true)) = 'on')
    WITH CHECK ((SELECT current_setting('app.operator', true)) = 'on');

GRANT SELECT, INSERT, UPDATE ON clinics, clients, invoice_counters TO app_api;
GRANT SELECT, INSERT ON invoices, invoice_lines TO app_api;
GRANT SELECT ON movements, invoice_payments TO app_api;

GRANT SELECT ON invoices TO app_worker;
GRANT UPDATE (status, settled_amount, refunded_amount, paid_at, version, changed_at) ON invoices TO app_worker;
GRANT SELECT, INSERT ON movements TO app_worker;
GRANT SELECT, INSERT, UPDATE ON invoice_payments TO app_worker;

-- migrate:down
