-- migrate:up

-- Why and when a mail server refused the newest e-mail to this address for good. Null: it did not.
ALTER TABLE contacts ADD COLUMN refused_reason text, ADD COLUMN refused_at timestamptz,
    ADD CONSTRAINT contacts_refused_check CHECK ((refused_reason IS NULL) = (refused_at IS NULL));
GRANT UPDATE (refused_reason, refused_at) ON contacts TO app_worker;

-- migrate:down
