-- migrate:up

-- A client's own name for a saved method, on every row of the same card; it goes when the method is removed.
-- A table of any size: a column with a constant default is added without rewriting it.
ALTER TABLE payment_methods ADD COLUMN nickname text NOT NULL DEFAULT '' CHECK (char_length(nickname) <= 40);

-- migrate:down

ALTER TABLE payment_methods DROP COLUMN nickname;
