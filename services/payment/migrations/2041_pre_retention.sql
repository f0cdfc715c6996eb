-- migrate:up

-- A canceled payment took no money: its row goes after a while. No other row of the books does.
CREATE INDEX payments_canceled ON payments (updated_at) WHERE status = 'canceled';
GRANT DELETE ON payments, allocations TO app_worker;
CREATE POLICY canceled ON payments AS RESTRICTIVE FOR DELETE TO app_worker USING (status = 'canceled');
CREATE POLICY released ON allocations AS RESTRICTIVE FOR DELETE TO app_worker USING (state = 'released');

-- migrate:down
