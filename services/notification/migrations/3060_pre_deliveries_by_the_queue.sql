-- migrate:up

-- When an e-mail is sent is a task of the queue (ADR 0036), named by `email.` and its template; its row here is the
-- document. New code leaves next_attempt_at at its default, so that a sender of the release before never claims an e-mail
-- of this one; that column, claimed_until, traceparent and their index go with the next release.
ALTER TABLE deliveries ADD COLUMN failed_at timestamptz;
ALTER TABLE deliveries ALTER COLUMN next_attempt_at SET DEFAULT 'infinity';

-- Unsent e-mails, also the ones that the release before adds until it is stopped.
CREATE FUNCTION queue_delivery() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tasks (clinic_id, kind, key, traceparent, attempts, due_at)
        VALUES (NEW.clinic_id, 'email.' || NEW.template, NEW.id, NEW.traceparent, NEW.attempts, NEW.next_attempt_at)
        ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER queued AFTER INSERT ON deliveries FOR EACH ROW
    WHEN (NEW.state = 'due' AND NEW.next_attempt_at < 'infinity') EXECUTE FUNCTION queue_delivery();
-- The owner has no policy of its own.
ALTER TABLE deliveries NO FORCE ROW LEVEL SECURITY;
ALTER TABLE tasks NO FORCE ROW LEVEL SECURITY;
INSERT INTO tasks (clinic_id, kind, key, traceparent, attempts, due_at, reason, created_at)
    SELECT clinic_id, 'email.' || template, id, traceparent, attempts,
        greatest(next_attempt_at, claimed_until), last_error, created_at
    FROM deliveries WHERE state IN ('waiting', 'due');
ALTER TABLE deliveries FORCE ROW LEVEL SECURITY;
ALTER TABLE tasks FORCE ROW LEVEL SECURITY;

-- migrate:down
