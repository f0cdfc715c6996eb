-- migrate:up

-- Old rows are locked before they are deleted, in small steps.
GRANT UPDATE (ends_at) ON starts TO app_worker;

-- migrate:down
