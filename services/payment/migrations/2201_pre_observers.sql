-- migrate:up

-- What booked a charge, for `clinicpay why`. Columns without a default: the tables are not rewritten.
ALTER TABLE entries ADD COLUMN observed_by text;
COMMENT ON COLUMN entries.observed_by IS 'of a capture: Stripe''s event that it was booked by, or `sweep`';

-- Stripe's events that were applied, by their id and by the object that they are about. The partial indexes are empty
-- at first, and only Stripe's events enter them.
CREATE INDEX inbox_sources ON inbox (source_id) WHERE source_id IS NOT NULL;
CREATE INDEX inbox_subjects ON inbox (subject) WHERE subject IS NOT NULL;

-- migrate:down

DROP INDEX inbox_sources;
DROP INDEX inbox_subjects;
ALTER TABLE entries DROP COLUMN observed_by;
