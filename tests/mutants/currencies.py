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
        "services/invoice/checks.py",
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
        "step_of(currency))",
        "1)",
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
        "    if request.amount < known.minimum:\n",
        "    if False:\n",
    ),
    one(
        "the largest charge",
        f"{WISHES}amounts_that_no_payment_has",
        STARTING,
        "    if 0 < most < request.amount:\n",
        "    if False:\n",
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
