"""Mutants of corrections of issued invoices: what may be taken off, how it divides, and what it does to payments."""

from tests.mutants.mutant import SERVICE, Mutant, one

DOMAIN = "services/invoice/documents/domain.py"
TABLES = "services/invoice/migrations/1051_pre_documents.sql"
MAKING = f"{SERVICE}test_invoice_documents.py::test_"
ADDING_UP = "tests/unit/test_invoice_documents.py::test_"

CORRECTING: tuple[Mutant, ...] = (
    one(
        "a void of what was paid",
        f"{MAKING}what_was_paid_is_credited_not_voided",
        DOMAIN,
        "    if invoice.settled_amount or invoice.refunded_amount or invoice.disputed_amount:\n",
        "    if False:\n",
    ),
    one(
        "a void of what is credited in part",
        f"{MAKING}what_was_paid_is_credited_not_voided",
        DOMAIN,
        "    if invoice.credited_amount or invoice.written_off_amount:\n",
        "    if False:\n",
    ),
    one(
        "what is left of a line",
        f"{MAKING}no_credit_is_above_what_is_left",
        DOMAIN,
        "    if quantity > line.left or quantity == 0:\n",
        "    if quantity == 0:\n",
    ),
    one(
        "what is left of a tax, by lines",
        f"{ADDING_UP}lines_with_two_taxes_and_lines_that_take_off",
        DOMAIN,
        "        if not left[part.codes].holds(part):\n",
        "        if False:\n",
    ),
    one(
        "what is left of a tax, by a sum",
        f"{ADDING_UP}lines_with_two_taxes_and_lines_that_take_off",
        DOMAIN,
        "    if amount > min(part.gross, issued.total_left):\n",
        "    if False:\n",
    ),
    one(
        "what is due, of a write-off",
        f"{MAKING}a_write_off_takes_what_is_due_and_no_more",
        DOMAIN,
        "    if amount > due:\n",
        "    if False:\n",
    ),
    one(
        "shares rounded as sums from the first on",
        f"{ADDING_UP}shares_are_within_their_parts",
        DOMAIN,
        "        upto = nearest(amount * seen, whole)\n",
        "        upto = given + nearest(amount * part, whole)\n",
    ),
    one(
        "the rounding of what is left",
        f"{ADDING_UP}line_by_line_no_more_and_no_less_is_credited_than_the_rounded_total",
        DOMAIN,
        "    total = issued.total_left - nearest(before - gross, step) * step\n",
        "    total = nearest(gross, step) * step\n",
    ),
    one(
        "what is left of the invoice, by lines",
        f"{ADDING_UP}lines_above_the_whole_rest_are_refused_where_others_take_off",
        DOMAIN,
        "    if gross > before:\n",
        "    if False:\n",
    ),
    one(
        "what is left of a tax that lines bear with others and alone",
        f"{ADDING_UP}no_more_of_a_tax_is_credited_than_all_lines_that_bear_it_charged",
        DOMAIN,
        "        if not left[code].holds(part):\n",
        "        if False:\n",
    ),
    one(
        "a credited line at its gross price",
        f"{MAKING}one_of_two_is_credited_at_its_price_to_the_cent",
        DOMAIN,
        'share(line.part.net) if prices == "net" else share(line.part.gross) - sum(taxes)',
        "share(line.part.net)",
    ),
    one(
        "external ids within a set",
        f"{SERVICE}test_invoice_bulk.py::test_an_external_id_that_is_taken_is_named_with_its_invoice",
        "services/invoice/invoices/issuing.py",
        "                _take(draft.external_id, taken)\n",
        "                pass\n",
    ),
    one(
        "the invoice in a correction's key",
        f"{MAKING}the_same_key_has_the_first_answer_and_is_for_one_invoice",
        "services/invoice/documents/actions.py",
        "    return idempotency.named(act, invoice_id, body)\n",
        "    return idempotency.named(act, None, body)\n",
    ),
    one(
        "the trigger on an invoice's sums",
        f"{MAKING}no_sum_changes_without_its_document",
        TABLES,
        "CREATE CONSTRAINT TRIGGER documents_make_the_sums AFTER UPDATE ON invoices\n"
        "    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW\n"
        "    WHEN (\n",
        "CREATE CONSTRAINT TRIGGER documents_make_the_sums AFTER UPDATE ON invoices\n"
        "    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW\n"
        "    WHEN (false AND ",
    ),
    one(
        "overdue once",
        f"{MAKING}an_invoice_becomes_overdue_once_by_the_clinics_calendar",
        "services/invoice/invoices/store.py",
        "        WHERE overdue_at IS NULL AND NOT being_checked",
        "        WHERE NOT being_checked",
    ),
    one(
        "documents in payment",
        f"{SERVICE}test_payment_credit.py::test_documents_are_kept_once_and_lower_what_is_due",
        "services/payment/receivables/actions.py",
        "        await store.add_documents(tx, documents)\n",
        "        pass\n",
    ),
)
