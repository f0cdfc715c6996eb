-- migrate:up

-- The operator's choice for a clinic: an account of its own, the platform's, or neither. Live money is charged only
-- where one of the first two was chosen; test money goes to the platform's account without a choice.
ALTER TABLE accounts
    ADD COLUMN platform boolean NOT NULL DEFAULT false,
    ADD CHECK (NOT platform OR stripe_account_id IS NULL);

-- migrate:down
