-- migrate:up

-- Whether e-mails about documents carry them as PDF (ADR 0061).
ALTER TABLE clinics ADD COLUMN attach_documents boolean NOT NULL DEFAULT false;

-- migrate:down
