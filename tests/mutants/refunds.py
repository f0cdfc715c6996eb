"""Mutants of refunds: what keeps credit from going back twice, or more of it than there is."""

from tests.mutants.mutant import SERVICE, one

REFUNDS = "services/payment/refunds/domain.py"
PLANS = "services/payment/refunds/planning.py"
READS = "services/payment/refunds/reads.py"
REFUND_TABLES = "services/payment/migrations/2120_pre_reserved_credit.sql"
PAID = f"{SERVICE}test_payment_refunds_paid.py::test_"
PRESSING = f"{SERVICE}test_payment_refunds.py::test_"
LATE = f"{SERVICE}test_payment_refunds_late.py::test_"

REFUNDING = (
    one(
        "money that waits for a new invoice",
        f"{SERVICE}test_paid_at_once.py::test_cash_for_a_new_invoice_waits_until_payment_knows_it",
        "services/payment/outside/actions.py",
        "    missing = await receivables.list_unknown(tx, clinic_id, issued)\n",
        "    missing: list[UUID] = []\n",
    ),
    one(
        "no e-mail asks for another sum than it says is due",
        "tests/unit/test_notification_letters.py::test_no_button_asks_for_another_sum_than_the_email_says_is_due",
        "services/notification/emails/messages/payment_reversed.py",
        "invoice.due == due[0].amount and ",
        "",
    ),
    one(
        "a card is asked about at Stripe before its client is told that it expires",
        f"{SERVICE}test_expiring_cards.py::test_of_a_card_that_is_gone_or_renewed_at_stripe_none_is_told",
        "services/payment/methods/sweep.py",
        "            return\n    await _refresh(db, stripe, method)\n",
        "            return\n",
    ),
    one(
        "no e-mail about a card that has expired",
        f"{SERVICE}test_expiring_cards.py::test_an_e_mail_that_helps_nobody_is_dropped",
        "services/notification/emails/messages/method_expiring.py",
        "    if expires_on is None or Formats.of(clinic).local(now).date() > expires_on:\n",
        "    if expires_on is None:\n",
    ),
    one(
        "a preview that counts disputes as refunded",
        f"{SERVICE}test_payment_held.py::test_a_preview_does_not_count_what_the_bank_has_as_refunded",
        "services/payment/receivables/store.py",
        "each.returned_amount - disputed.get(each.id, 0)",
        "each.returned_amount",
    ),
    one(
        "all that is left, in steps",
        "tests/unit/test_refund_plans.py::test_all_that_is_left_goes_back_in_the_currencys_steps_and_to_credit_whole",
        PLANS,
        "    most -= most % step\n",
        "",
    ),
    one(
        "a time that no reader can show",
        f"{SERVICE}test_outside.py::test_what_cannot_be_recorded_changes_nothing",
        "services/payment/outside/domain.py",
        "    if taken.received_at < EARLIEST:\n",
        "    if False:\n",
    ),
    one(
        "an invoice of a moment ago",
        f"{SERVICE}test_outside.py::test_an_invoice_that_was_issued_a_moment_ago_is_paid_by_the_same_request_again",
        "services/payment/outside/actions.py",
        "    if any((clinic_id, each) not in locked and may_still_come(each, clock.now()) for each in ids):\n",
        "    if False:\n",
    ),
    one(
        "credit that waits for approval",
        f"{SERVICE}test_refund_rules.py::test_credit_that_waits_for_approval_is_no_credit_yet",
        READS,
        "destination = 'credit' AND status = 'succeeded') AS to_credit",
        "destination = 'credit') AS to_credit",
    ),
    one(
        "credit that waits for approval, of a dispute",
        f"{SERVICE}test_refund_rules.py::test_credit_that_waits_for_approval_is_no_credit_yet",
        "services/payment/disputes/store.py",
        " AND (r.destination = 'method' OR r.status = 'succeeded')",
        "",
    ),
    one(
        "no credit for what the bank has taken",
        f"{SERVICE}test_refund_rules.py::test_what_the_bank_has_taken_meanwhile_does_not_become_credit_too",
        "services/payment/refunds/approvals.py",
        "            await held.check_undisputed(tx, refund.clinic_id, refund.payment_id)\n",
        "            pass\n",
    ),
    one(
        "no credit of a part that the bank left while it decides",
        f"{SERVICE}test_payment_held.py::test_to_credit_is_refused_alike_held_or_not_and_by_its_preview",
        "services/payment/refunds/actions.py",
        "        await held.check_undisputed(tx, payment.clinic_id, payment.id)\n",
        "        pass\n",
    ),
    one(
        "no credit of what Stripe gave back and nobody could book",
        f"{SERVICE}test_refunds_made_at_stripe.py::test_what_stripe_refunded_and_we_could_not_book_becomes_no_credit",
        "services/payment/refunds/actions.py",
        "        await held.check_unbooked(tx, payment, refundable, plan.amount)\n",
        "        pass\n",
    ),
    one(
        "a key is for one payment",
        f"{SERVICE}test_outside.py::test_a_key_is_for_one_act_on_one_payment",
        "services/chassis/idempotency.py",
        "*([str(subject).encode()] if subject else []), body))",
        "body))",
    ),
    one(
        "a key is for one act",
        f"{SERVICE}test_outside.py::test_a_key_that_refunded_credit_uses_none",
        "services/chassis/idempotency.py",
        'b" ".join((act.encode(), ',
        'b" ".join((',
    ),
    one(
        "row lock of credit",
        f"{PRESSING}twenty_presses_at_once_make_one_refund",
        "services/payment/credit/store.py",
        "        FOR UPDATE\n",
        "",
    ),
    one(
        "no more goes back than is refundable",
        f"{PRESSING}no_more_goes_back_than_a_payment_left",
        REFUNDS,
        "    if wanted > most:\n",
        "    if False:\n",
    ),
    one(
        "what was refunded before counts",
        f"{PRESSING}no_more_goes_back_than_a_payment_left",
        READS,
        " - coalesce(r.of_credit, 0)\n",
        "\n",
    ),
    one(
        "a late success does not undo a failure",
        f"{LATE}a_late_success_does_not_undo_a_failure",
        REFUNDS,
        "        return _STEP[status] > _STEP[refund.status]\n",
        "        return True\n",
    ),
    one(
        "a search that is refused proves nothing",
        f"{SERVICE}test_stripe_calls.py::test_a_refund_ends_once_with_its_money_sent_or_its_credit_back",
        "services/payment/refunds/stripe_calls.py",
        "    except (StripeRefused, StripeMisconfigured) as refused:\n",
        "    except StripeMisconfigured as refused:\n",
    ),
    one(
        "only the worker books what Stripe gave",
        f"{SERVICE}test_payment_events.py::test_the_api_role_sees_one_clinic_and_books_nothing_of_stripes",
        REFUND_TABLES,
        "WITH CHECK (effect IN ('refund', 'refund_credited', 'refund_returned', 'record', 'record_reversed', "
        "'credit_used',\n        'credit_reserved', 'credit_released', 'cash_closed'))",
        "WITH CHECK (true)",
    ),
    one(
        "no more goes back of a payment than is left",
        f"{PAID}twenty_presses_at_once_give_back_no_more_than_was_paid",
        PLANS,
        "    if wanted > most:\n",
        "    if False:\n",
    ),
    one(
        "no more goes back of an invoice than is left",
        f"{PAID}a_split_says_what_goes_back_of_which_invoice",
        PLANS,
        "        if part > most:\n",
        "        if False:\n",
    ),
    one(
        "what was refunded of a share counts",
        f"{PAID}twenty_presses_at_once_give_back_no_more_than_was_paid",
        READS,
        "reversed_amount - refunded_amount - disputed_amount AS kept",
        "reversed_amount - disputed_amount AS kept",
    ),
    one(
        "what comes back is too much where less is due",
        f"{PAID}what_comes_back_to_an_invoice_that_is_due_less_by_then_is_credit",
        "services/payment/refunds/changes.py",
        "            for each in too_much:\n",
        "            too_much = []\n            for each in too_much:\n",
    ),
    one(
        "the api moves nothing off an invoice",
        f"{PAID}the_worker_ends_a_refund_whose_money_is_too_much_by_now",
        "services/payment/refunds/changes.py",
        "    if moved and not await store.may_move(tx):\n",
        "    if False:\n",
    ),
    one(
        "a refund at Stripe is booked once",
        f"{SERVICE}test_refunds_made_at_stripe.py::test_two_who_compare_at_once_book_it_once_and_neither_fails",
        "services/payment/refunds/made_at_stripe.py",
        "    if key in await store.find_refunds(tx, {key}):\n        return  # Another process was faster.\n",
        "",
    ),
    one(
        "a refund at Stripe above what is left is not booked",
        f"{SERVICE}test_refunds_made_at_stripe.py::test_what_is_more_than_is_left_is_an_exception_once",
        "services/payment/refunds/made_at_stripe.py",
        "    if await store.is_reported(tx, key, EXCEPTION):\n",
        "    if True:\n",
    ),
    one(
        "rules of refunds are locked",
        f"{SERVICE}test_refund_rules.py::test_a_refund_is_counted_after_one_of_any_other_payment_that_began_before",
        "services/payment/refunds/store.py",
        "FROM refund_rules WHERE clinic_id = $1 FOR UPDATE",
        "FROM refund_rules WHERE clinic_id = $1",
    ),
    one(
        "nobody approves a refund of its own",
        f"{SERVICE}test_refund_rules.py::test_a_refund_above_the_sum_waits_for_another_one",
        "services/payment/refunds/rules.py",
        "    if refund.made_by == by:\n",
        "    if False:\n",
    ),
    one(
        "what waits for approval is not sent",
        f"{SERVICE}test_refund_rules.py::test_a_refund_above_the_sum_waits_for_another_one",
        "services/payment/refunds/store.py",
        "_PENDING = literals(PENDING_REFUNDS)\n",
        "_PENDING = literals((*PENDING_REFUNDS, 'awaiting_approval'))\n",
    ),
)
