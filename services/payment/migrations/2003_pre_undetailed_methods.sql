-- migrate:up

-- The sweeper asks for these every fifteen seconds; nearly always there is none.
CREATE INDEX payment_methods_undetailed ON payment_methods (created_at)
    WHERE kind = 'card' AND last4 IS NULL AND removed_at IS NULL;

-- migrate:down
