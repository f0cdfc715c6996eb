"""Mutants of credit that pays: what keeps it from being used twice, lost, or taken below zero."""

from tests.mutants.mutant import SERVICE, one

STARTING = "services/payment/payments/starting.py"
LIFECYCLE = "services/payment/payments/lifecycle.py"
ACTIONS = "services/payment/payments/actions.py"
WITH = f"{SERVICE}test_payment_with_credit.py::test_"
UNIT = "tests/unit/test_credit_uses.py::test_"
STARTS = "tests/unit/test_payment_starting.py::test_"

PAYING_WITH_CREDIT = (
    one(
        "credit is reserved with the start",
        f"{WITH}credit_is_reserved_with_the_start_and_used_with_the_charge",
        ACTIONS,
        "        if request.credit is not None:\n            await ledger.book",
        "        if False:\n            await ledger.book",
    ),
    one(
        "credit that went with another payment is no payment of this invoice",
        f"{WITH}credit_of_a_payment_that_has_gone_through_is_used_and_no_other_invoice_is_on_its_way",
        "services/payment/payments/stripe_calls.py",
        "        if request.is_of(stale):\n",
        "        if True:\n",
    ),
    one(
        "no more credit than is free",
        f"{WITH}credit_that_cannot_be_used_starts_nothing",
        STARTING,
        "    if request.credit is not None and request.credit.minor > free:\n",
        "    if False:\n",
    ),
    one(
        "what is left beside credit can be charged",
        f"{UNIT}credit_that_leaves_no_charge_is_refused",
        STARTING,
        "    if 0 < request.charged < least:\n",
        "    if False:\n",
    ),
    one(
        "credit beside a charge goes in its steps",
        f"{STARTS}credit_beside_a_charge_goes_in_its_steps",
        STARTING,
        "    if request.charged and credit.minor % known.step:\n",
        "    if False:\n",
    ),
    one(
        "a part by credit leaves a rest that can be charged",
        f"{STARTS}a_part_by_credit_leaves_a_rest_that_can_be_charged",
        STARTING,
        "        if share.minor % known.step:  # the rest could not be charged\n",
        "        if False:\n",
    ),
    one(
        "a payment that ends releases its credit",
        f"{WITH}another_choice_releases_the_credit_of_the_one_before",
        LIFECYCLE,
        "    released = credit_uses.release(payment, 0, now) if ends else None\n",
        "    released = None\n",
    ),
    one(
        "a payment that is given up releases its credit",
        f"{UNIT}giving_up_releases_once",
        LIFECYCLE,
        "released=credit_uses.release(payment, 0, now), fact=",
        "released=None, fact=",
    ),
    one(
        "credit that is not needed is released",
        f"{UNIT}a_charge_comes_before_credit_where_less_is_due_by_then",
        LIFECYCLE,
        "        released=credit_uses.release(payment, sum(credit.values()), now),\n",
        "",
    ),
    one(
        "released credit is not used",
        f"{UNIT}a_success_after_a_late_failure_uses_no_credit",
        LIFECYCLE,
        '        if share.state == "open"\n    }\n',
        "    }\n",
    ),
    one(
        "credit settles no more than is open",
        f"{UNIT}whatever_comes_reserved_credit_is_used_or_released_once",
        LIFECYCLE,
        "            receivables[share.receivable_id].open_amount - settled[share.receivable_id],\n",
        "            receivables[share.receivable_id].open_amount,\n",
    ),
    one(
        "another credit is another choice",
        f"{WITH}the_same_key_is_the_same_payment_and_another_credit_is_not",
        STARTING,
        '            and payment.agreed == (self.amount if self.kind == "credit" else self.charged)\n',
        "",
    ),
    one(
        "a reservation with credit is over more than is due",
        f"{WITH}the_sweep_ends_a_payment_whose_credit_and_charge_are_above_the_due",
        "services/payment/receivables/store.py",
        "a.amount + a.credit_amount >",
        "a.amount >",
    ),
    one(
        "a canceled payment that reserved credit is kept",
        f"{SERVICE}test_retention.py::test_a_canceled_payment_that_reserved_credit_is_kept",
        "services/payment/retention.py",
        "AND a.credit_amount > 0\n",
        "AND false\n",
    ),
    one(
        "a press again pays by credit once",
        f"{SERVICE}test_portal_scripts.py::test_a_press_again_pays_by_credit_once",
        "services/gateway/portal/payments/starting.py",
        "upstreams.start_payment(page.caller, agreed, key)",
        "upstreams.start_payment(page.caller, agreed)",
    ),
)
