-- In each of the three databases, as a superuser (managed servers: as the role that may replicate), before the
-- connector starts. PostgreSQL itself needs wal_level = logical, and a free replication slot for each database.
-- psql -v relay=invoice_relay -f enable.sql -d clinicpay_invoice
CREATE PUBLICATION outbox FOR TABLE outbox WITH (publish = 'insert');
ALTER ROLE :"relay" REPLICATION;
