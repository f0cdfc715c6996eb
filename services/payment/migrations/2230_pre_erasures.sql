-- migrate:up

-- A client is erased (ADR 0067): removed methods of one client are found too. No role deletes one, since payments
-- refer to them.
CREATE INDEX payment_methods_removed ON payment_methods (clinic_id, client_id) WHERE removed_at IS NOT NULL;

-- migrate:down

DROP INDEX payment_methods_removed;
