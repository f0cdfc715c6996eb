-- migrate:up

-- A client is erased (ADR 0068): the membership ends, and with the last one the login with all that hangs on it.
GRANT DELETE ON memberships, logins TO app_api;
-- No request of a clinic deletes one.
CREATE POLICY erased ON memberships AS RESTRICTIVE FOR DELETE TO app_api
    USING ((SELECT current_setting('app.operator', true)) = 'on');
CREATE INDEX memberships_of_client ON memberships (clinic_id, client_id);

-- migrate:down
