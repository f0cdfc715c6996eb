"""Mutants of what is charged, booked and said."""

from tests.mutants.mutant import SERVICE, one

PAYMENTS = "services/payment/payments/store.py"
LOOKUPS = "services/payment/payments/reads.py"
LIFECYCLE = "services/payment/payments/lifecycle.py"
CHECKOUT = "services/payment/payments/stripe_calls.py"
STRIPE_API = "services/payment/stripe/api.py"
TABS = f"{SERVICE}test_two_tabs.py::test_"
PAYING = f"{SERVICE}test_payment_checkout.py::test_"
PLANTED = "tests/service/test_verify_planted.py::test_"
TRUTH = f"{SERVICE}test_verify_truth.py::test_"
FOREIGN = f"{SERVICE}test_foreign_events.py::test_"
ASKED = f"{SERVICE}test_payment_asked.py::test_"
LOOKS = "services/payment/payments/looks.py"
HEARING = f"{SERVICE}test_payment_events.py::test_"

REVERSING = f"{SERVICE}test_movements_reverse.py::test_"

MONEY = (
    one(
        "no movement of payment's is reversed",
        f"{REVERSING}money_that_payment_has_booked_is_never_reversed",
        "deploy/ops/movements.py",
        "_refuse_genuine(movement_id, await _movements(payment",
        "(movement_id, await _movements(payment",
    ),
    one(
        "no movement that stands for one of payment's is reversed",
        f"{REVERSING}a_movement_that_may_stand_for_payments_own_is_not_reversed",
        "deploy/ops/movements.py",
        "if booked - kept:",
        "if False:",
    ),
    one(
        "two persons reverse",
        f"{REVERSING}one_person_alone_or_nobody_reverses_nothing",
        "services/invoice/invoices/corrections.py",
        "if found.reversed_by.casefold() == found.approved_by.casefold():",
        "if False:",
    ),
    one(
        "no more is settled than is open",
        f"{HEARING}what_came_above_what_is_open_becomes_credit",
        LIFECYCLE,
        "min(share.amount, receivables[share.receivable_id].open_amount)",
        "share.amount",
    ),
    one(
        "the amount that Stripe names",
        f"{TRUTH}the_amount_that_stripe_took_is_booked",
        LIFECYCLE,
        "    taken = seen.amount_received\n",
        "    taken = payment.amount\n",
    ),
    one(
        "the currency that Stripe names",
        f"{HEARING}a_signed_event_that_does_not_fit_is_parked_and_the_others_go_on",
        LIFECYCLE,
        "        and seen.currency == payment.currency\n",
        "",
    ),
    one(
        "the account that Stripe names",
        f"{FOREIGN}metadata_copied_to_another_account_is_counted",
        "services/payment/stripe/origins.py",
        '    return seen.account or "", seen.payment_intent\n',
        '    return "", seen.payment_intent\n',
    ),
    one(
        "a copied seal is nobody's",
        f"{FOREIGN}metadata_copied_to_another_intent_is_counted_and_ours_is_booked",
        "services/payment/payments/origins.py",
        '    return "copied" if is_known and',
        '    return "copied" if False and',
    ),
    one(
        "an intent that may be ours is not counted away",
        f"{FOREIGN}where_another_intent_may_be_the_one_that_we_made_nothing_is_counted_away",
        "services/payment/payments/origins.py",
        "    is_known = named.made and ",
        "    is_known = ",
    ),
    one(
        "verify asks whose a charge is",
        f"{TRUTH}verify_counts_what_others_charge_and_refund_as_consumers_do",
        "deploy/ops/verify/ownership.py",
        "            else:\n                self.others[about] += 1\n",
        "            else:\n                yield body, None\n",
    ),
    one(
        "verify names a fee that differs",
        f"{PLANTED}a_planted_difference_has_its_own_name[disputed_money_agrees]",
        "deploy/ops/verify/stripe_disputes.py",
        "    if wrong:\n",
        "    if len(wrong) > 1:\n",
    ),
    one(
        "verify finds a refund that was made at Stripe",
        f"{PLANTED}a_planted_difference_has_its_own_name[refunds_at_stripe_are_booked]",
        "deploy/ops/verify/ownership.py",
        'if reason is None or body.get("payment_intent") in intents:',
        "if reason is None:",
    ),
    one(
        "verify finds a charge on another account",
        f"{PLANTED}a_planted_difference_has_its_own_name[charges_are_on_their_account]",
        "deploy/ops/verify/stripe_checks.py",
        "        self.elsewhere |= {intent: (account, charge) for intent, charge in sorter.copied.items()}\n",
        "",
    ),
    one(
        "a debit that failed may still be paid",
        f"{TABS}a_debit_that_failed_is_ended_at_stripe_before_another_attempt_starts",
        PAYMENTS,
        "            WHERE (clinic_id, payable_id) IN (SELECT",
        "            WHERE state = 'open' AND (clinic_id, payable_id) IN (SELECT",
    ),
    one(
        "an attempt over more than is due",
        f"{TABS}an_attempt_over_more_than_is_due_by_now_is_ended_by_the_next_sweep",
        LOOKUPS,
        "            UNION SELECT clinic_id, payment_id FROM allocations WHERE state = 'open' AND overdrawn\n",
        "",
    ),
    one(
        "no start before the old attempt's end",
        f"{TABS}no_new_attempt_starts_before_stripe_has_confirmed_the_old_ones_end",
        CHECKOUT,
        "            await _leave(transaction, stripe, request, stale)\n",
        "            await asyncio.gather(cancel(transaction, stripe, stale), return_exceptions=True)\n"
        "            async with transaction() as tx:\n"
        "                await tx.execute(\"UPDATE allocations SET state = 'released'\")\n"
        "                await tx.execute(\"UPDATE payments SET status = 'canceled'\")\n",
    ),
    one(
        "presses of Pay have a limit",
        f"{SERVICE}test_payment_limits.py::test_presses_at_once_over_many_invoices_are_counted_before_they_do_anything",
        "services/payment/payments/starting.py",
        "    if starts > most:\n",
        "    if False:\n",
    ),
    one(
        "starting leaves a part of the budget",
        f"{SERVICE}test_payment_limits.py::test_starts_end_at_their_part_of_the_budget_and_leave_the_rest",
        "services/payment/stripe/budget.py",
        "budget - budget // LEFT_BY_STARTS if _starting.get() else budget",
        "budget",
    ),
    one(
        "nothing is paid on an unknown status",
        f"{SERVICE}test_newer_events.py::test_no_payment_starts_on_an_invoice_with_an_unknown_status",
        "services/payment/payments/starting.py",
        "    if receivable.status == UNKNOWN:\n",
        "    if False:\n",
    ),
    one(
        "an overtaken press yields",
        f"{TABS}a_press_that_is_overtaken_at_any_time_cancels_and_starts_nothing_more",
        "services/payment/payments/starting.py",
        "    if any(choice not in (None, request.choice) for choice in choices):\n",
        "    if False:\n",
    ),
    one(
        "key committed before the call",
        f"{PAYING}no_connection_is_held_while_stripe_is_called_and_its_key_is_committed",
        CHECKOUT,
        "newest=tried == 0\n            )\n",
        "newest=tried == 0\n            )\n"
        "            if started.payment is not None:\n"
        "                await stripe.create_intent(new_intent(started.payment), None)\n",
    ),
    one(
        "the committed key is sent",
        f"{PAYING}a_crash_around_the_call_is_healed_by_asking_again",
        STRIPE_API,
        "call_options(wanted.account, wanted.idempotency_key)",
        "call_options(wanted.account, None)",
    ),
    one(
        "the outbox of what was booked",
        f"{PAYING}a_payment_is_started_confirmed_and_booked_once",
        "services/payment/ledger/actions.py",
        "        await outbox.add(tx, booking.events)\n",
        "        pass\n",
    ),
    one(
        "money that Stripe has is on its way",
        f"{ASKED}money_that_stripe_has_is_on_its_way_and_booked_once_by_the_next_sweep",
        LOOKS,
        '        return replace(payment, status="processing", failure_code=None)\n',
        "        return payment\n",
    ),
    one(
        "the sweeper books soon what a look has seen",
        f"{ASKED}money_that_stripe_has_is_on_its_way_and_booked_once_by_the_next_sweep",
        LOOKS,
        "            await store.hurry_checks(tx, {payment.key})\n",
        "            pass\n",
    ),
    one(
        "no Pay for what payment has taken and invoice has not booked",
        "tests/unit/test_portal_current.py::test_it_is_on_its_way_and_offers_no_pay",
        "services/gateway/portal/invoices/current.py",
        "    if not found.processing and not taken:\n",
        "    if True:\n",
    ),
)
