-- migrate:up

-- How long corrections and refunds are held before they are done, and can be undone (ADR 0037). 0: done at once.
ALTER TABLE clinics ADD COLUMN undo_hours integer NOT NULL DEFAULT 0 CHECK (undo_hours BETWEEN 0 AND 24);

-- migrate:down
