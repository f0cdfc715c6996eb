-- migrate:up

ALTER TABLE deliveries DROP CONSTRAINT deliveries_template_check,
    ADD CONSTRAINT deliveries_template_check CHECK (
        template IN ('invoice_ready', 'receipt', 'payment_failed', 'refund', 'credit_note', 'invoice_voided',
            'dispute_opened', 'dispute_ended', 'reminder', 'payment_reversed')
    ) NOT VALID;
ALTER TABLE deliveries VALIDATE CONSTRAINT deliveries_template_check;

-- migrate:down
