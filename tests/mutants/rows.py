"""Mutants of locks, keys, policies and grants."""

from tests.mutants.mutant import SERVICE, Edit, Mutant, one

PAYABLES = "services/payment/receivables/store.py"
PAYMENTS = "services/payment/payments/store.py"
PAYMENT_TABLES = "services/payment/migrations/2001_pre_payments.sql"
INVOICES = "services/invoice/invoices/store.py"
INVOICE_TABLES = "services/invoice/migrations/1001_pre_invoices.sql"
INVOICE_OBJECTS = "services/invoice/migrations/1004_pre_movements_of_stripes_objects.sql"
NOTICES = "services/notification/migrations/3001_pre_notification.sql"
SERVING = f"{SERVICE}test_chassis_http.py::test_"
LOCKS = f"{SERVICE}test_two_tabs_locks.py::test_"
TABS = f"{SERVICE}test_two_tabs.py::test_"
HEARING = f"{SERVICE}test_payment_events.py::test_"
SETTLING = f"{SERVICE}test_invoice_settlements.py::test_"
KEYS_IN = "WHERE (clinic_id, id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))\n        ORDER BY clinic_id, id\n"
IDS_IN = "WHERE id = ANY ($2::uuid[]) AND $1::uuid[] IS NOT NULL\n        ORDER BY clinic_id, id\n"

PAYABLE_LOCK = Edit(
    PAYABLES,
    f"FROM payables\n        {KEYS_IN}        FOR UPDATE\n",
    f"FROM payables\n        {KEYS_IN}",
)
PAYMENT_LOCK = Edit(
    PAYMENTS,
    f"SELECT {{PAYMENT}} FROM payments\n        {KEYS_IN}        FOR NO KEY UPDATE\n",
    f"SELECT {{PAYMENT}} FROM payments\n        {KEYS_IN}",
)

LOCKING = (
    Mutant(
        "row lock of payables", f"{LOCKS}two_successes_at_once_settle_no_more_than_is_open", (PAYABLE_LOCK,)
    ),
    Mutant(
        "row locks of payables and payments",
        f"{LOCKS}two_workers_with_one_success_say_it_once_without_being_refused",
        (PAYABLE_LOCK, PAYMENT_LOCK),
    ),
    Mutant(
        "row lock of payments",
        f"{LOCKS}a_lock_of_a_payable_or_a_payment_is_of_its_clinic_alone",
        (PAYMENT_LOCK,),
    ),
    Mutant(
        "row lock of invoices",
        f"{SETTLING}parallel_workers_book_every_movement_once",
        (Edit(INVOICES, f"{KEYS_IN}        FOR UPDATE\n", KEYS_IN),),
    ),
    one(
        "the clinic in the lock of payables",
        f"{LOCKS}a_lock_of_a_payable_or_a_payment_is_of_its_clinic_alone",
        PAYABLES,
        KEYS_IN,
        IDS_IN,
    ),
    one(
        "the clinic in the lock of invoices",
        f"{LOCKS}a_movement_changes_its_own_clinics_invoice_alone",
        INVOICES,
        f"FROM invoices\n        {KEYS_IN}",
        f"FROM invoices\n        {IDS_IN}",
    ),
    one(
        "the clinic in the change of payables",
        f"{LOCKS}a_success_settles_its_own_clinics_payable_alone",
        PAYABLES,
        "WHERE payables.clinic_id = new.clinic_id AND payables.id = new.id",
        "WHERE payables.id = new.id",
    ),
    one(
        "the clinic in the change of invoices",
        f"{LOCKS}a_movement_changes_its_own_clinics_invoice_alone",
        INVOICES,
        "WHERE (invoices.clinic_id, invoices.id) = (new.clinic_id, new.id)",
        "WHERE invoices.id = new.id",
    ),
)


TABLES = (
    Mutant(
        "composite foreign key",
        f"{LOCKS}a_payment_cannot_be_of_another_clinics_payable",
        (
            Edit(
                PAYMENT_TABLES,
                "    FOREIGN KEY (clinic_id, payable_id) REFERENCES payables\n);\nCREATE UNIQUE INDEX allocations_one",
                "    FOREIGN KEY (payable_id) REFERENCES payables (id)\n);\nCREATE UNIQUE INDEX allocations_one",
            ),
            Edit(
                PAYMENT_TABLES,
                "    due_on date NOT NULL,\n    PRIMARY KEY (clinic_id, id)\n",
                "    due_on date NOT NULL,\n    PRIMARY KEY (clinic_id, id), UNIQUE (id)\n",
            ),
        ),
    ),
    one(
        "one reservation of a payable",
        f"{TABS}the_database_itself_has_one_reservation_of_an_invoice_at_most",
        PAYMENT_TABLES,
        "CREATE UNIQUE INDEX allocations_one_open",
        "CREATE INDEX allocations_one_open",
    ),
    one(
        "the ledger's unique key",
        f"{LOCKS}an_effect_of_a_stripe_object_is_booked_once_for_ever",
        PAYMENT_TABLES,
        "    UNIQUE (clinic_id, stripe_object_id, effect),\n",
        "",
    ),
    one(
        "entries balance",
        f"{HEARING}the_books_cannot_be_changed_and_must_balance",
        PAYMENT_TABLES,
        "HAVING sum(amount) <> 0",
        "HAVING false",
    ),
    Mutant(
        "the movement's unique key",
        f"{SETTLING}a_settlement_books_once_even_when_the_inbox_has_forgotten_it",
        (
            Edit(
                INVOICE_TABLES,
                "    booked_at timestamptz NOT NULL,\n    PRIMARY KEY (clinic_id, id),\n",
                "    booked_at timestamptz NOT NULL,\n",
            ),
            Edit(INVOICE_OBJECTS, "CREATE UNIQUE INDEX", "CREATE INDEX"),
        ),
    ),
    one(
        "one receipt a payment",
        f"{SERVICE}test_notification_events.py::test_a_payment_over_two_invoices_has_one_receipt_however_often_it_is_told",
        NOTICES,
        "CREATE UNIQUE INDEX deliveries_once_per_subject",
        "CREATE INDEX deliveries_once_per_subject",
    ),
    one(
        "row-level security is forced",
        f"{SERVING}every_table_with_a_clinic_forces_row_level_security",
        PAYMENT_TABLES,
        "        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);\n",
        "",
    ),
    one(
        "the policy of a clinic",
        f"{HEARING}the_api_role_sees_one_clinic_and_books_nothing_of_stripes",
        PAYMENT_TABLES,
        "            USING (clinic_id = (SELECT nullif(current_setting('app.clinic', true), '')::uuid))\n",
        "            USING (true)\n",
    ),
)
