-- migrate:up

-- How often the bank took a dispute up again after an end: each time its clinic is written to again.
ALTER TABLE disputes ADD COLUMN taken_up integer NOT NULL DEFAULT 0;

-- migrate:down
