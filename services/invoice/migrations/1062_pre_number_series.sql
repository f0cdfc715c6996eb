-- migrate:up

-- A clinic's numbers: a text before each, and the number with which the clinic's first year here begins. Every year has
-- one count whatever the prefix is, so that no number repeats and none is left out.
ALTER TABLE clinics
    ADD COLUMN number_prefix text NOT NULL DEFAULT ''
        CHECK (number_prefix = '' OR number_prefix ~ '^[A-Z][A-Z0-9/-]{0,9}$'),
    ADD COLUMN number_start jsonb NOT NULL DEFAULT 'null' CHECK (number_start = 'null' OR jsonb_typeof(number_start) = 'object');
ALTER TABLE invoice_counters
    ADD COLUMN first_number integer NOT NULL DEFAULT 1 CHECK (first_number > 0),
    ADD CONSTRAINT counts_from_the_first CHECK (last_number >= first_number) NOT VALID;
ALTER TABLE invoice_counters VALIDATE CONSTRAINT counts_from_the_first;
ALTER TABLE invoices
    DROP CONSTRAINT invoices_number_check,
    ADD CONSTRAINT invoices_number_check
        CHECK (number ~ '^([A-Z][A-Z0-9/-]{0,9})?[0-9]{4}-[0-9]{6,}$') NOT VALID;
ALTER TABLE invoices VALIDATE CONSTRAINT invoices_number_check;

-- migrate:down
