-- migrate:up

-- Projection of clinic.updated: what an e-mail says about its sender, and whether it may link to billing.
CREATE TABLE clinics (
    clinic_id uuid PRIMARY KEY,
    slug text NOT NULL,
    name text NOT NULL,
    locale text NOT NULL,
    time_zone text NOT NULL,
    accent text NOT NULL,
    billing_shown boolean NOT NULL,
    online_payment boolean NOT NULL,
    phone text NOT NULL,
    email text NOT NULL,
    address text NOT NULL,
    hours text NOT NULL,
    version integer NOT NULL
);

-- The only place in the system that holds a client's e-mail address for notices.
CREATE TABLE contacts (
    clinic_id uuid NOT NULL,
    client_id uuid NOT NULL,
    email text NOT NULL CHECK (length(email) <= 254 AND email !~ '[[:cntrl:][:space:]]'),
    name text NOT NULL,
    language text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (clinic_id, client_id)
);

-- Projection of invoice.*, as far as an e-mail needs it.
CREATE TABLE invoices (
    clinic_id uuid NOT NULL,
    id uuid NOT NULL,
    client_id uuid NOT NULL,
    number text NOT NULL,
    status text NOT NULL,
    due_amount bigint NOT NULL,
    currency text NOT NULL,
    due_on date NOT NULL,
    version integer NOT NULL,
    PRIMARY KEY (clinic_id, id)
);

-- One row per e-mail. `facts` holds ids, amounts, codes and times: no name, no address, no text.
-- due: to be sent at next_attempt_at. waiting: a contact or the clinic is not known yet; looked at again then.
-- dropped: not needed any more when its turn came (last_error says why).
CREATE TABLE deliveries (
    clinic_id uuid NOT NULL,
    id uuid NOT NULL,
    client_id uuid NOT NULL,
    template text NOT NULL CHECK (template IN ('invoice_ready', 'receipt', 'payment_failed')),
    event_id uuid NOT NULL,
    subject_id uuid NOT NULL,
    facts jsonb NOT NULL,
    traceparent text,
    state text NOT NULL DEFAULT 'due' CHECK (state IN ('waiting', 'due', 'sent', 'failed', 'dropped')),
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    claimed_until timestamptz,
    message_id text,
    last_error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz,
    PRIMARY KEY (clinic_id, id),
    UNIQUE (clinic_id, client_id, event_id, template),
    CHECK ((state = 'sent') = (sent_at IS NOT NULL))
);

-- Lasting guards, for when a fact is announced again under another event id: one receipt a payment, one
-- notice an invoice. A payment may fail more than once, so there the claim is by event alone.
CREATE UNIQUE INDEX deliveries_once_per_subject ON deliveries (clinic_id, template, subject_id)
    WHERE template IN ('receipt', 'invoice_ready');
CREATE INDEX deliveries_by_subject ON deliveries (clinic_id, subject_id);
CREATE INDEX deliveries_next ON deliveries (next_attempt_at) WHERE state IN ('waiting', 'due');
CREATE INDEX deliveries_by_client ON deliveries (clinic_id, client_id, id);

ALTER TABLE clinics ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE contacts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE invoices ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE deliveries ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY clinic ON contacts TO app_api
    USING (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))
    WITH CHECK (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid));
CREATE POLICY clinic ON deliveries TO app_api
    USING (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))
    WITH CHECK (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid));

CREATE POLICY every_clinic ON clinics TO app_worker USING (true) WITH CHECK (true);
CREATE POLICY every_clinic ON contacts TO app_worker USING (true) WITH CHECK (true);
CREATE POLICY every_clinic ON invoices TO app_worker USING (true) WITH CHECK (true);
CREATE POLICY every_clinic ON deliveries TO app_worker USING (true) WITH CHECK (true);

-- Requests put contacts, wake what waits for them, and list deliveries. The worker only reads contacts.
GRANT SELECT, INSERT, UPDATE ON contacts TO app_api;
GRANT SELECT, UPDATE (state, next_attempt_at) ON deliveries TO app_api;
GRANT SELECT, INSERT, UPDATE ON clinics, invoices, deliveries TO app_worker;
GRANT SELECT ON contacts TO app_worker;

-- migrate:down
