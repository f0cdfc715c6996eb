-- migrate:up

-- The days, counted from the due date, on which clients are reminded of an unpaid invoice (ADR 0054). Empty: never.
ALTER TABLE clinics ADD COLUMN reminders smallint[] NOT NULL DEFAULT '{}' CHECK (cardinality(reminders) <= 5);

-- migrate:down
