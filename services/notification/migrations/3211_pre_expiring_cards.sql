-- migrate:up

ALTER TABLE deliveries DROP CONSTRAINT deliveries_template_check,
    ADD CONSTRAINT deliveries_template_check CHECK (
        template IN ('invoice_ready', 'receipt', 'payment_failed', 'refund', 'credit_note', 'invoice_voided',
            'dispute_opened', 'dispute_ended', 'reminder', 'payment_reversed', 'method_expiring')
    ) NOT VALID;
ALTER TABLE deliveries VALIDATE CONSTRAINT deliveries_template_check;
ALTER TABLE unwanted_mail DROP CONSTRAINT unwanted_mail_template_check,
    ADD CONSTRAINT unwanted_mail_template_check CHECK (
        template IN ('invoice_ready', 'reminder', 'method_expiring')
    ) NOT VALID;
ALTER TABLE unwanted_mail VALIDATE CONSTRAINT unwanted_mail_template_check;

-- migrate:down
