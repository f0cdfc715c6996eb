-- migrate:up

-- Word of money that was sent back: one e-mail a refund, however often it is told.
ALTER TABLE deliveries DROP CONSTRAINT deliveries_template_check,
    ADD CONSTRAINT deliveries_template_check
        CHECK (template IN ('invoice_ready', 'receipt', 'payment_failed', 'refund'));
CREATE UNIQUE INDEX deliveries_once_per_refund ON deliveries (clinic_id, subject_id) WHERE template = 'refund';

-- migrate:down
