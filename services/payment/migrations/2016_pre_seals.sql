-- migrate:up

-- What names this installation in the metadata of an intent or a refund, and signs it. Sent from the row alone.
-- NULL: made by an earlier release, and sent without.
ALTER TABLE payments ADD COLUMN installation text, ADD COLUMN signature text CHECK (signature ~ '^[0-9a-f]{64}$'),
    ADD CONSTRAINT payments_seal CHECK ((installation IS NULL) = (signature IS NULL));
ALTER TABLE refunds ADD COLUMN installation text, ADD COLUMN signature text CHECK (signature ~ '^[0-9a-f]{64}$'),
    ADD CONSTRAINT refunds_seal CHECK ((installation IS NULL) = (signature IS NULL));

-- migrate:down
