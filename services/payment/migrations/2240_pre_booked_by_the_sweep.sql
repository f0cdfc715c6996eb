-- migrate:up

-- Captures that were booked before a webhook came are few: the console counts the newest.
CREATE INDEX entries_by_the_sweep ON entries (booked_at) WHERE observed_by = 'sweep';

-- migrate:down

DROP INDEX entries_by_the_sweep;
