"""Mutants of a restore: what must prove whose a charge is before its lost payment is booked."""

from tests.mutants.mutant import SERVICE, one

DOMAIN = "services/payment/adoption/domain.py"
ACTIONS = "services/payment/adoption/actions.py"
CALLS = "services/payment/adoption/stripe_calls.py"
LOST = f"{SERVICE}test_lost_rows.py::test_"

RESTORING = (
    one(
        "Stripe's payments are not lost without Stripe",
        "tests/unit/test_restore_lost_acts.py::test_what_stripe_knows_comes_back_from_stripe",
        "deploy/ops/restore/lost_acts.py",
        'method.kind in (*OUTSIDE_KINDS, "credit")',
        "True",
    ),
    one(
        "a refund to credit is lost",
        "tests/unit/test_restore_lost_acts.py::test_acts_on_a_payment_that_is_here_are_lost_alone",
        "deploy/ops/restore/lost_acts.py",
        " or _is_to_credit(move)",
        "",
    ),
    one(
        "a lost payment needs our seal",
        f"{LOST}changed_metadata_is_not_adopted",
        DOMAIN,
        '    if seal is None or seal.origin(metadata) != "ours":\n',
        "    if False:\n",
    ),
    one(
        "a lost payment needs the account of then",
        f"{LOST}an_account_that_the_clinic_did_not_have_is_an_exception",
        DOMAIN,
        "    if payment.account != account_then:\n",
        "    if False:\n",
    ),
    one(
        "a lost payment needs its client's invoices",
        f"{LOST}an_invoice_that_is_not_here_or_anothers_is_an_exception",
        DOMAIN,
        "        if (receivable.client_id, receivable.currency) != (payment.client_id, payment.currency):\n",
        "        if False:\n",
    ),
    one(
        "a lost payment needs an invoice that is not lost",
        f"{LOST}an_invoice_that_is_not_here_or_anothers_is_an_exception",
        ACTIONS,
        "    if await store.list_lost_invoices(tx, keys):\n",
        "    if False:\n",
    ),
    one(
        "a lost payment needs the only intent of its metadata",
        f"{LOST}copied_metadata_is_an_exception_and_books_neither",
        CALLS,
        "        if names == payment.id and other.id != intent.id:\n",
        "        if False:\n",
    ),
    one(
        "a lost payment reserves nothing that another reserves",
        f"{LOST}a_payment_that_another_reserves_by_now_is_booked_too",
        ACTIONS,
        "    if any(share.receivable_id in reserved for share in payment.allocations):\n",
        "    if False:\n",
    ),
    one(
        "a lost payment's versions continue above what was published",
        f"{LOST}its_next_version_is_above_what_was_published",
        ACTIONS,
        "    await store.resume_version(tx, payment)\n",
        "",
    ),
)
