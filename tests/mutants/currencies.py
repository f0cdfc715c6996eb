"""Mutants of the table of currencies, and of what goes by it."""

from tests.mutants.mutant import SERVICE, Edit, Mutant, one

UNIT = "tests/unit/"
TABLE = "contracts/currencies.py"
STARTING = "services/payment/payments/starting.py"
WISHES = f"{UNIT}test_payment_starting.py::test_"
CODES = f"{UNIT}test_currencies.py::test_"

CURRENCIES = (
    one(
        "Stripe's decimals",
        f"{CODES}both_tables_have_the_same_rules",
        TABLE,
        '{"ISK": 2, "UGX": 2, "MGA": 0}',
        '{"ISK": 2, "UGX": 2}',
    ),
    Mutant(
        "a dead currency",
        f"{CODES}the_table_is_what_stripe_accepts_without_what_is_dead",
        (Edit(TABLE, "BDT BMD", "BDT BGN BMD"), Edit(TABLE, "BHD 0.4", "BGN 2  BHD 0.4")),
    ),
    one(
        "the currencies of a clinic",
        f"{UNIT}test_invoice_clinics.py",
        "services/chassis/currencies.py",
        "    if code not in CURRENCIES:\n",
        "    if False:\n",
    ),
    one(
        "totals that can be charged",
        f"{UNIT}test_invoice_totals.py::test_a_total_is_a_whole_number_of_the_currencys_steps",
        "services/invoice/invoices/totals.py",
        "half_up(self.subtotal + self.tax, self.step) * self.step",
        "self.subtotal + self.tax",
    ),
    one(
        "the step of what is issued",
        f"{SERVICE}test_invoice_issue.py::test_a_total_is_rounded_to_what_can_be_charged",
        "services/invoice/invoices/drafts.py",
        "step_of(currency), prices",
        "1, prices",
    ),
    one(
        "the sign of a half",
        f"{UNIT}test_invoice_totals.py::test_the_same_lines_negated_have_the_same_totals_negated",
        "services/invoice/invoices/totals.py",
        "return size if numerator >= 0 else -size",
        "return (2 * numerator + denominator) // (2 * denominator)",
    ),
    one(
        "a discount within each tax's base",
        f"{UNIT}test_invoice_totals.py::test_a_discount_makes_each_taxs_base_less_by_its_part",
        "services/invoice/invoices/totals.py",
        "taxed = [amount - share for",
        "taxed = [amount for",
    ),
    one(
        "nothing asked for a total of zero",
        f"{SERVICE}test_invoice_prices.py::test_a_total_of_zero_is_issued_as_paid",
        "services/invoice/invoices/domain.py",
        'return "unpaid" if total_amount else "paid"',
        'return "unpaid"',
    ),
    one(
        "a year's count that goes on",
        f"{SERVICE}test_invoice_numbers.py::test_a_count_that_was_begun_elsewhere_goes_on",
        "services/invoice/invoices/issuing_store.py",
        "excluded.last_number - excluded.first_number + 1",
        "excluded.last_number",
    ),
    one(
        "both tax numbers where the buyer owes the tax",
        f"{SERVICE}test_invoice_references.py::test_a_tax_that_the_buyer_owes_needs_both_tax_numbers",
        "services/invoice/invoices/issuing.py",
        "if draft.buyer_owes_tax and not",
        "if False and not",
    ),
    one(
        "ways that can take the amount",
        f"{SERVICE}test_invoice_issue.py::test_an_invoice_says_whether_its_amount_can_be_charged_and_how",
        "services/invoice/invoices/views.py",
        ' for way in row["methods"] if takes(way, due, currency)',
        ' for way in row["methods"]',
    ),
    one(
        "the smallest charge",
        f"{WISHES}amounts_that_no_payment_has",
        STARTING,
        "    if request.charged < known.minimum:\n",
        "    if False:\n",
    ),
    one(
        "the largest charge",
        f"{WISHES}amounts_that_no_payment_has",
        STARTING,
        "    if 0 < most < request.charged:\n",
        "    if False:\n",
    ),
    one(
        "the clinic's smallest part",
        f"{SERVICE}test_payment_checkout.py::test_a_part_is_taken_where_the_clinic_takes_parts",
        "services/payment/payments/actions.py",
        "        starting.check_parts(clinic, request, owed)\n",
        "",
    ),
    one(
        "the consent to a debit",
        f"{SERVICE}test_payment_debits.py::test_a_debit_that_cannot_be_reserves_nothing",
        STARTING,
        '    if request.kind == "debit" and (request.consent is None or request.consent.kind != "debit"):\n',
        "    if False:\n",
    ),
    one(
        "the debit of the currency",
        f"{SERVICE}test_payment_debits.py::test_a_debit_needs_the_clinics_will_and_the_accounts_capability",
        "services/payment/accounts/domain.py",
        '        return way in self.ways and (way != "debit" or DEBIT_TYPES.get(currency) in self.ways)\n',
        "        return way in self.ways\n",
    ),
    one(
        "the clinic's will to take deposits",
        f"{SERVICE}test_payment_deposits.py::test_a_deposit_that_cannot_be_starts_nothing",
        STARTING,
        "    if not clinic.deposits:\n",
        "    if False:\n",
    ),
    one(
        "the lock of a client's deposits",
        f"{SERVICE}test_payment_deposits.py::test_pressing_twice_makes_one_deposit_and_another_amount_ends_the_first",
        "services/payment/payments/store.py",
        "        ON CONFLICT (clinic_id, client_id) DO UPDATE SET tries = s.tries\n",
        "        ON CONFLICT (clinic_id, client_id) DO NOTHING\n",
    ),
    one(
        "the rest of a part",
        f"{WISHES}no_part_leaves_a_rest_that_could_never_be_paid",
        STARTING,
        "    _check_rest(receivable, share)\n",
        "",
    ),
    one(
        "what a saved card's network takes",
        f"{SERVICE}test_payment_methods.py::test_a_saved_card_pays_no_more_than_its_network_takes",
        "services/payment/payments/actions.py",
        "        starting.check_largest(request, saved.brand if saved else None)\n",
        "        pass\n",
    ),
    one(
        "steps of a refund",
        f"{UNIT}test_payment_refunds.py::test_a_refund_goes_in_the_currencys_steps",
        "services/payment/refunds/domain.py",
        "    if wanted % step_of(request.currency):\n",
        "    if False:\n",
    ),
    one(
        "no e-mail asks for what cannot be charged",
        f"{UNIT}test_notification_letters.py::test_an_amount_that_cannot_be_charged_is_not_asked_for_online",
        "services/notification/emails/messages/parts.py",
        " and is_payable(invoice.status) and possible",
        " and is_payable(invoice.status)",
    ),
)
