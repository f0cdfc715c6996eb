-- migrate:up

-- A client is erased (ADR 0067): the contact and what the client chose go with the event.
GRANT DELETE ON contacts, unwanted_mail TO app_worker;

-- migrate:down

REVOKE DELETE ON contacts, unwanted_mail FROM app_worker;
