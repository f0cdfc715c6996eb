-- migrate:up

-- `code`, to log in with, is there only until the letter is sent or given up, as `email` and `path` are.
ALTER TABLE letters
    ADD COLUMN code text CHECK (length(code) <= 20),
    ADD CONSTRAINT letters_code_gone CHECK (ended_at IS NULL OR code IS NULL),
    DROP CONSTRAINT letters_template_check,
    ADD CONSTRAINT letters_template_check CHECK (
        template IN ('password_reset', 'password_changed', 'invitation', 'membership_waits', 'membership_locked',
            'new_email', 'email_changed', 'second_factor_on', 'second_factor_off', 'recovery_code_used',
            'recovery_codes_renewed', 'wrong_codes', 'login_code')
    );

-- migrate:down
