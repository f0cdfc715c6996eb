-- migrate:up

-- Published notices of the expiry of saved cards (ADR 0060): one for each card and month of expiry. `card` is Stripe's
-- fingerprint, or its id of a card without one.
CREATE TABLE expiry_notices (
    clinic_id uuid NOT NULL,
    client_id uuid NOT NULL,
    account text NOT NULL,
    card text NOT NULL,
    expires_on date NOT NULL,
    method_id uuid NOT NULL,
    brand text,
    last4 text,
    published_at timestamptz NOT NULL,
    PRIMARY KEY (clinic_id, client_id, account, card, expires_on),
    FOREIGN KEY (clinic_id, client_id, account) REFERENCES customers
);
CREATE INDEX expiry_notices_published ON expiry_notices (published_at);
ALTER TABLE expiry_notices ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY every_clinic ON expiry_notices TO app_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON expiry_notices TO app_worker;

CREATE INDEX payment_methods_expiring ON payment_methods (exp_year, exp_month, clinic_id, id)
    WHERE kind = 'card' AND removed_at IS NULL AND last4 IS NOT NULL;

-- migrate:down

DROP INDEX payment_methods_expiring;
DROP TABLE expiry_notices;
