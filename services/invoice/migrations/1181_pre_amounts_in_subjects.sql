-- migrate:up

-- Whether the subjects of e-mails to clients say sums (ADR 0057).
ALTER TABLE clinics ADD COLUMN amounts_in_subjects boolean NOT NULL DEFAULT false;

-- migrate:down
