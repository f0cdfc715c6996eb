-- migrate:up

-- E-mails that the topics report as sent and that a restore lost: they are not sent again. Kept for 30 days: as long as
-- an event may be consumed again.
CREATE TABLE sent_before (
    clinic_id uuid NOT NULL,
    id uuid NOT NULL,
    attempts integer NOT NULL,
    sent_at timestamptz NOT NULL,
    PRIMARY KEY (clinic_id, id)
);
CREATE INDEX sent_before_by_age ON sent_before (sent_at);
ALTER TABLE sent_before ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY every_clinic ON sent_before TO app_worker USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE (sent_at), DELETE ON sent_before TO app_worker;

-- migrate:down
