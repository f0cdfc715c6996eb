-- migrate:up

ALTER TABLE letters DROP CONSTRAINT letters_template_check,
    ADD CONSTRAINT letters_template_check CHECK (
        template IN ('password_reset', 'password_changed', 'invitation', 'membership_waits', 'membership_locked',
            'new_email', 'email_changed', 'second_factor_on', 'second_factor_off', 'recovery_code_used',
            'recovery_codes_renewed', 'wrong_codes', 'login_code', 'passkey_added', 'passkey_removed')
    );

-- migrate:down
