-- migrate:up

ALTER TABLE clinics DROP CONSTRAINT clinics_methods_check,
    ADD CONSTRAINT clinics_methods_check CHECK (methods <@ ARRAY['card', 'redirect', 'debit']);

-- migrate:down
