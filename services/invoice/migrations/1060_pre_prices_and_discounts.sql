-- migrate:up

-- Prices with or without tax, discounts, negative lines, two taxes on one line, exemptions, totals of zero (ADR 0037).
-- Constants as defaults: an earlier version that issues while this one starts writes none of them.
ALTER TABLE clinics
    ADD COLUMN prices text NOT NULL DEFAULT 'net' CHECK (prices IN ('net', 'gross'));

ALTER TABLE invoices
    ADD COLUMN prices text NOT NULL DEFAULT 'net' CHECK (prices IN ('net', 'gross')),
    -- What the invoice's discount took off, in its prices; NULL without one.
    ADD COLUMN discount_amount bigint,
    ADD COLUMN discount_percent numeric(6, 3) CHECK (discount_percent BETWEEN 0 AND 100),
    ADD COLUMN discount_reason text,
    DROP CONSTRAINT invoices_subtotal_amount_check,
    DROP CONSTRAINT invoices_tax_amount_check,
    DROP CONSTRAINT invoices_total_amount_check,
    ADD CONSTRAINT invoices_subtotal_amount_check
        CHECK (subtotal_amount BETWEEN -9007199254740991 AND 9007199254740991) NOT VALID,
    ADD CONSTRAINT invoices_tax_amount_check
        CHECK (tax_amount BETWEEN -9007199254740991 AND 9007199254740991) NOT VALID,
    ADD CONSTRAINT invoices_total_amount_check CHECK (total_amount BETWEEN 0 AND 9007199254740991) NOT VALID,
    ADD CONSTRAINT discount_whole CHECK ((discount_amount IS NULL) = (discount_reason IS NULL)) NOT VALID;
ALTER TABLE invoices VALIDATE CONSTRAINT invoices_subtotal_amount_check;
ALTER TABLE invoices VALIDATE CONSTRAINT invoices_tax_amount_check;
ALTER TABLE invoices VALIDATE CONSTRAINT invoices_total_amount_check;
ALTER TABLE invoices VALIDATE CONSTRAINT discount_whole;

ALTER TABLE invoice_lines
    -- What the line's own discount took off, with the sign of its quantity; its reason is NULL without one.
    ADD COLUMN discount_amount bigint NOT NULL DEFAULT 0,
    ADD COLUMN discount_percent numeric(6, 3) CHECK (discount_percent BETWEEN 0 AND 100),
    ADD COLUMN discount_reason text,
    -- The line's share of the invoice's discount.
    ADD COLUMN invoice_discount_amount bigint NOT NULL DEFAULT 0,
    -- NULL: issued before categories were kept.
    ADD COLUMN tax_category text CHECK (tax_category IN ('S', 'Z', 'E', 'AE', 'O')),
    ADD COLUMN exemption_code text NOT NULL DEFAULT '',
    ADD COLUMN exemption_text text NOT NULL DEFAULT '',
    ADD COLUMN second_tax_code text,
    ADD COLUMN second_tax_name text,
    ADD COLUMN second_tax_percent numeric(6, 3) CHECK (second_tax_percent BETWEEN 0 AND 100),
    ADD COLUMN second_tax_amount bigint,
    DROP CONSTRAINT invoice_lines_position_check,
    DROP CONSTRAINT invoice_lines_quantity_check,
    DROP CONSTRAINT invoice_lines_check,
    DROP CONSTRAINT invoice_lines_check1,
    ADD CONSTRAINT invoice_lines_position_check CHECK (position BETWEEN 1 AND 500) NOT VALID,
    ADD CONSTRAINT invoice_lines_quantity_check CHECK (quantity <> 0) NOT VALID,
    -- Discounts make the line's amount smaller, and never change its sign.
    ADD CONSTRAINT discounts_within_amount CHECK (
        discount_amount * sign(quantity) >= 0 AND invoice_discount_amount * sign(quantity) >= 0
        AND abs(discount_amount + invoice_discount_amount) <= abs(round(quantity * unit_amount))
    ) NOT VALID,
    -- What is left of the amount is the net amount where prices are net, the gross one where they are gross.
    ADD CONSTRAINT amount_is_net_or_gross CHECK (
        round(quantity * unit_amount) - discount_amount - invoice_discount_amount
            IN (net_amount, net_amount + tax_amount + coalesce(second_tax_amount, 0))
    ) NOT VALID,
    ADD CONSTRAINT second_tax_whole CHECK (
        num_nulls(second_tax_code, second_tax_name, second_tax_percent, second_tax_amount) IN (0, 4)
    ) NOT VALID,
    -- A tax is its percent of the net amount, or its part of the gross amount, less than one unit off.
    ADD CONSTRAINT tax_is_of_its_percent CHECK (
        abs(tax_amount - net_amount * tax_percent / 100) < 1
        OR abs(tax_amount - (net_amount + tax_amount + coalesce(second_tax_amount, 0)) * tax_percent
            / (100 + tax_percent + coalesce(second_tax_percent, 0))) < 1
    ) NOT VALID,
    ADD CONSTRAINT second_tax_is_of_its_percent CHECK (
        abs(second_tax_amount - net_amount * second_tax_percent / 100) < 1
        OR abs(second_tax_amount - (net_amount + tax_amount + second_tax_amount) * second_tax_percent
            / (100 + tax_percent + second_tax_percent)) < 1
    ) NOT VALID;
ALTER TABLE invoice_lines VALIDATE CONSTRAINT invoice_lines_position_check;
ALTER TABLE invoice_lines VALIDATE CONSTRAINT invoice_lines_quantity_check;
ALTER TABLE invoice_lines VALIDATE CONSTRAINT discounts_within_amount;
ALTER TABLE invoice_lines VALIDATE CONSTRAINT amount_is_net_or_gross;
ALTER TABLE invoice_lines VALIDATE CONSTRAINT second_tax_whole;
ALTER TABLE invoice_lines VALIDATE CONSTRAINT tax_is_of_its_percent;
ALTER TABLE invoice_lines VALIDATE CONSTRAINT second_tax_is_of_its_percent;

-- migrate:down
