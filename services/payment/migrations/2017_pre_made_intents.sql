-- migrate:up

-- Whether the intent's id is Stripe's answer to our own call: then no other intent of the same metadata is ours.
-- Without it the id was found by its metadata, came with an event, or was kept by an earlier release.
ALTER TABLE payments ADD COLUMN intent_made boolean NOT NULL DEFAULT false;

-- migrate:down
