-- migrate:up

-- A contact is written before its client. When the client is refused after that, the contact goes again.
GRANT DELETE ON contacts TO app_api;

-- migrate:down
