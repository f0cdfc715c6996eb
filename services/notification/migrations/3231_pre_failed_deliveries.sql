-- migrate:up

-- E-mails that were given up, newest first: what operators look at.
CREATE INDEX deliveries_failed ON deliveries (failed_at) WHERE state = 'failed';

-- migrate:down
