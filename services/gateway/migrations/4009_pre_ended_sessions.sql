-- migrate:up

-- Why a session ended before its time, so that its owner is told the true reason. What it held is emptied then.
ALTER TABLE sessions ADD COLUMN ended_for text CHECK (ended_for = 'password');
-- Old rows are locked before they are deleted, in small steps.
GRANT UPDATE (created_at) ON key_uses TO app_api;

-- migrate:down
