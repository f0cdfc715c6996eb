-- migrate:up

-- A copy of the clinic's setting: how long refunds are held before they are done (ADR 0037).
ALTER TABLE clinics ADD COLUMN undo_hours integer NOT NULL DEFAULT 0;

-- migrate:down
