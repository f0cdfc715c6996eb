-- migrate:up

-- What the clinic owes a client in a currency: the sum of the postings to client_credit. The row is what refunds of
-- the client's credit lock, and the constraint refuses to take more than there is, whoever forgets the lock.
CREATE TABLE credit_balances (
    clinic_id uuid NOT NULL,
    client_id uuid NOT NULL,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    amount bigint NOT NULL CONSTRAINT credit_is_not_overdrawn CHECK (amount >= 0),
    PRIMARY KEY (clinic_id, client_id, currency)
);

ALTER TABLE credit_balances ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY clinic ON credit_balances TO app_api
    USING (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))
    WITH CHECK (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid));
CREATE POLICY every_clinic ON credit_balances TO app_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE (amount) ON credit_balances TO app_api, app_worker;

-- A balance begins at zero, to be locked, and changes by a posting alone: by the trigger below.
CREATE POLICY begins_at_zero ON credit_balances AS RESTRICTIVE FOR INSERT TO app_api, app_worker
    WITH CHECK (amount = 0);
CREATE POLICY changed_by_postings ON credit_balances AS RESTRICTIVE FOR UPDATE TO app_api, app_worker
    USING (true) WITH CHECK (pg_trigger_depth() > 0);

CREATE FUNCTION keep_credit_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO credit_balances (clinic_id, client_id, currency, amount)
        VALUES (NEW.clinic_id, NEW.client_id, NEW.currency, 0)
        ON CONFLICT DO NOTHING;
    -- A credit posting is negative, a balance of credit is not.
    UPDATE credit_balances SET amount = amount - NEW.amount
    WHERE (clinic_id, client_id, currency) = (NEW.clinic_id, NEW.client_id, NEW.currency);
    RETURN NULL;
END
$$;
-- Postings to other accounts, nearly all of them, start nothing.
CREATE TRIGGER credit_balance AFTER INSERT ON postings
    FOR EACH ROW WHEN (NEW.account = 'client_credit') EXECUTE FUNCTION keep_credit_balance();

-- The balances of what was booked before. The trigger's lock keeps others from booking until this is committed; the
-- owner, who migrates, sees no clinic's rows otherwise. Credit that was overdrawn before begins at zero: `verify` names
-- it, by the postings, until a person has looked at it.
ALTER TABLE postings NO FORCE ROW LEVEL SECURITY;
ALTER TABLE credit_balances NO FORCE ROW LEVEL SECURITY;
INSERT INTO credit_balances (clinic_id, client_id, currency, amount)
    SELECT clinic_id, client_id, currency, greatest(-sum(amount), 0) FROM postings
    WHERE account = 'client_credit'
    GROUP BY clinic_id, client_id, currency;
ALTER TABLE postings FORCE ROW LEVEL SECURITY;
ALTER TABLE credit_balances FORCE ROW LEVEL SECURITY;

-- migrate:down
