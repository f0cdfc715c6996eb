"""Mutants of erasures, and of what an operator hands over of a clinic."""

from tests.mutants.mutant import SERVICE, one

SWEEP = "services/payment/erasures/sweep.py"
ROWS = "services/payment/erasures/store.py"
API = "services/payment/stripe/api.py"
INVOICE = "services/invoice/erasures/actions.py"
CONTACTS = "services/notification/contacts/store.py"
GATEWAY = "services/gateway/accounts/erasures/store.py"
ENDING = "services/gateway/accounts/erasures/actions.py"
CLINICS = "deploy/ops/clinics.py"
PERSONAL = "deploy/ops/verify/personal.py"
ERASING = f"{SERVICE}test_client_erasures.py::test_"
LOGINS = f"{SERVICE}test_gateway_erasures.py::test_"
EXPORTING = f"{SERVICE}test_clinic_export.py::test_"
LEFT = f"{SERVICE}test_personal_columns.py::test_"

ERASURES = (
    one(
        "an erasure is published",
        f"{ERASING}the_event_is_published_with_the_erasure_and_has_one_id",
        INVOICE,
        "    await _publish(tx, erased)\n",
        "",
    ),
    one(
        "an erasure after a restore is published",
        f"{ERASING}an_erasure_after_a_restore_is_published_too",
        INVOICE,
        "    await _publish(tx, await store.erase_again(tx, log))\n",
        "    await store.erase_again(tx, log)\n",
    ),
    one(
        "Stripe deletes the customer of who is erased",
        f"{ERASING}cards_and_customer_go_here_and_at_stripe_and_no_money_row_changes",
        SWEEP,
        "        await stripe.delete_customer(held.account, held.customer)\n",
        "        pass\n",
    ),
    one(
        "a customer that Stripe has no more is erased",
        f"{ERASING}a_customer_that_stripe_has_no_more_is_erased_here",
        API,
        '        with suppress(StripeGone):\n            async with self._calling("customers.delete", account):',
        '        with suppress():\n            async with self._calling("customers.delete", account):',
    ),
    one(
        "a payment that has not ended keeps its customer",
        f"{ERASING}a_payment_that_has_not_ended_keeps_its_customer_until_it_has",
        SWEEP,
        "        if known.pays:\n",
        "        if False:\n",
    ),
    one(
        "who became a client again keeps cards",
        f"{ERASING}who_became_a_client_again_keeps_what_is_new",
        ROWS,
        'AS m WHERE m.created_at <= $3"',
        'AS m WHERE $3::timestamptz IS NOT NULL"',
    ),
    one(
        "who became a client again keeps no older card",
        f"{ERASING}and_keeps_nothing_that_is_older",
        SWEEP,
        "        await stripe.detach_method(held.account, method)\n",
        "        pass\n",
    ),
    one(
        "an account out of reach holds up no other",
        f"{ERASING}an_account_out_of_reach_holds_up_no_other",
        SWEEP,
        "            refused = refused or error\n",
        "            raise\n",
    ),
    one(
        "a client's cards wait for no answer of Stripe's",
        f"{ERASING}an_account_out_of_reach_holds_up_no_other",
        SWEEP,
        "        await store.blank_client(tx, erased)\n",
        "",
    ),
    one(
        "who became a client again keeps the contact",
        f"{ERASING}the_contact_goes_and_a_newer_one_stays",
        CONTACTS,
        "                AND contacts.updated_at <= erased.erased_at\n",
        "",
    ),
    one(
        "verify sees what outlives an erasure",
        f"{LEFT}what_outlives_an_erasure_is_named[card]",
        PERSONAL,
        '        "stripe_customer_id IS NOT NULL",\n',
        '        "false",\n',
    ),
    one(
        "an invoice's note is erased with the name",
        f"{SERVICE}test_invoice_erasures.py::test_what_was_written_to_the_client_is_erased_with_the_name",
        "services/invoice/erasures/store.py",
        "UPDATE invoices AS i SET note = '' FROM",
        "UPDATE invoices AS i SET note = i.note FROM",
    ),
    one(
        "a client's salt is erased with the name",
        f"{SERVICE}test_chassis_audit.py::test_names_and_addresses_cannot_be_tried_against_the_log",
        "services/invoice/erasures/store.py",
        "external_id = NULL, salt = NULL",
        "external_id = NULL",
    ),
    one(
        "a login goes with its last client",
        f"{LOGINS}the_login_goes_with_all_that_hangs_on_it",
        ENDING,
        "await store.delete_unused(tx, await store.delete_memberships(tx, clinic_id, erased))",
        "await store.delete_memberships(tx, clinic_id, erased)",
    ),
    one(
        "a login stays while another clinic waits for it",
        f"{LOGINS}a_login_stays_while_another_clinic_is_open_to_it_or_waits[waits]",
        GATEWAY,
        "m.login_id = logins.id AND m.declined_at IS NULL",
        "m.login_id = logins.id AND m.accepted_at IS NOT NULL",
    ),
    one(
        "a login that a clinic is adding is kept",
        f"{LOGINS}a_login_that_is_found_is_kept_for_the_clinic_that_it_is_given",
        "services/gateway/accounts/store.py",
        "DO UPDATE SET email = excluded.email RETURNING old.id IS NULL",
        "DO NOTHING RETURNING true",
    ),
    one(
        "an erased client who is added again is one again",
        f"{LOGINS}an_erased_client_who_is_added_again_is_one_again_in_every_service",
        "services/invoice/clients/store.py",
        "        WHERE clients.erased_at IS NOT NULL\n",
        "        WHERE false\n",
    ),
    one(
        "an export has one clinic's rows",
        f"{EXPORTING}it_has_the_rows_of_one_clinic_alone",
        CLINICS,
        "WHERE {table.owner} = $1 ",
        "WHERE $1::uuid IS NOT NULL ",
    ),
    one(
        "an export reads all databases at one moment",
        f"{EXPORTING}all_databases_are_read_at_one_moment_however_long_one_takes",
        "deploy/ops/verify/databases.py",
        '            await connection.execute("SELECT")\n',
        "",
    ),
    one(
        "an export that is killed leaves nothing",
        f"{EXPORTING}a_run_that_is_killed_leaves_nothing_of_the_clinic",
        CLINICS,
        "os.O_WRONLY | os.O_TMPFILE, 0o600",
        "os.O_NONE, 0o600",
    ),
    one(
        "an export overwrites nothing",
        f"{EXPORTING}no_file_is_overwritten",
        CLINICS,
        "    if os.path.lexists(out):\n",
        "    if False:\n",
    ),
)
