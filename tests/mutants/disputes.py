"""Mutants of disputes: what keeps their money booked once, nobody overdrawn, and nothing due again by mistake."""

from tests.mutants.mutant import one

DISPUTES = "services/payment/disputes/domain.py"
DECIDING = "tests/unit/test_disputes.py::test_"

EVIDENCE = "tests/service/test_payment_evidence.py::test_"

TOLD = "tests/service/test_notification_events.py::test_"

DISPUTING = (
    one(
        "a dispute takes no credit of other money",
        f"{DECIDING}credit_of_other_money_is_not_taken_for_what_was_used_before",
        DISPUTES,
        "    credit = max(0, min(holding.came_back, holding.surplus, holding.credit))\n",
        "    credit = max(0, min(holding.surplus, holding.credit))\n",
    ),
    one(
        "credit that came back since a dispute took all",
        "tests/service/test_payment_disputes.py::test_credit_of_another_payment_is_not_taken_for_what_was_used_before",
        "services/payment/disputes/store.py",
        " (p.clinic_id, p.entry_id, d.payment_id)\n",
        " (p.clinic_id, p.entry_id, e.payment_id)\n",
    ),
    one(
        "credit that was set aside while a dispute took all",
        "tests/service/test_payment_with_credit.py::test_a_dispute_gets_the_credit_that_a_payment_had_reserved",
        "services/payment/disputes/store.py",
        "            WHERE released.booked_at > d.since AND",
        "            WHERE false AND released.booked_at > d.since AND",
    ),
    one(
        "credit that was set aside after a dispute took all",
        "tests/service/test_payment_with_credit.py::test_a_dispute_leaves_credit_that_came_after_it",
        "services/payment/disputes/store.py",
        " AND reserved.booked_at < d.taken_at\n",
        "\n",
    ),
    one(
        "a dispute takes no more credit than there is",
        f"{DECIDING}a_withdrawal_takes_the_newest_invoice_first_then_credit_then_the_rest",
        DISPUTES,
        "    credit = max(0, min(above, holding.surplus, holding.credit))\n",
        "    credit = max(0, min(above, holding.surplus))\n",
    ),
    one(
        "a dispute's balance transaction is booked once",
        f"{DECIDING}any_order_with_any_copies_ends_the_same",
        DISPUTES,
        "    new = tuple(move for move in seen.dispute.moves if move.id not in had)\n",
        "    new = seen.dispute.moves\n",
    ),
    one(
        "a dispute waits for its payment's booking",
        f"{DECIDING}a_dispute_waits_until_its_payment_is_booked",
        DISPUTES,
        '    if holding.payment.status != "succeeded":\n',
        "    if False:\n",
    ),
    one(
        "an older state of a dispute changes nothing",
        f"{DECIDING}a_version_is_of_a_change",
        DISPUTES,
        "        return created > dispute.seen_at\n",
        "        return True\n",
    ),
    one(
        "evidence is sent once to each question of the bank",
        f"{EVIDENCE}an_inquiry_that_was_answered_can_be_answered_as_a_chargeback",
        "services/payment/evidence/domain.py",
        "and phase in (None, each.phase))",
        "and each.phase)",
    ),
    one(
        "evidence is not sent beside what was submitted",
        f"{EVIDENCE}evidence_is_sent_once_or_provably_not_whatever_stripe_answers",
        "services/payment/evidence/domain.py",
        "    if waits or (phase and taken(evidence)):\n",
        "    if waits:\n",
    ),
    one(
        "evidence after the deadline is not sent",
        f"{EVIDENCE}what_the_bank_would_not_take_is_refused_before_stripe_is_asked",
        "services/payment/evidence/domain.py",
        "    if dispute.due_by <= now:\n",
        "    if False:\n",
    ),
    one(
        "evidence is what the preview showed",
        f"{EVIDENCE}nothing_but_what_was_previewed_is_sent",
        "services/payment/evidence/domain.py",
        "    if digest_of(texts) != digest:\n",
        "    if False:\n",
    ),
    one(
        "evidence that may be at Stripe is looked for",
        f"{EVIDENCE}evidence_whose_answer_was_lost_is_found_when_stripe_has_forgotten_its_key",
        "services/payment/evidence/stripe_calls.py",
        "        if not await _is_there(stripe, submission):\n            reason =",
        "        if True:\n            reason =",
    ),
    one(
        "the answer to an inquiry does not go to the chargeback",
        f"{EVIDENCE}the_answer_to_an_inquiry_never_goes_to_the_chargeback",
        "services/payment/evidence/domain.py",
        "    return status == asked[submission.phase]\n",
        "    return True\n",
    ),
    one(
        "a key under which Stripe keeps an error is used no more",
        f"{EVIDENCE}evidence_is_sent_once_or_provably_not_whatever_stripe_answers",
        "services/payment/evidence/store.py",
        "SET spent_keys = $3 + 1\n",
        "SET spent_keys = $3\n",
    ),
    one(
        "a process that dies leaves a task that sends its evidence",
        f"{EVIDENCE}what_a_process_committed_before_it_died_is_sent",
        "services/payment/evidence/actions.py",
        "    await queue.enqueue(tx, TASK, [NewTask(submission.clinic_id, submission.id, LEASE)])\n",
        "",
    ),
    one(
        "what was done is told to no bank unless staff switch it on",
        "tests/unit/test_held_evidence.py::test_without_services_the_client_the_invoice_and_the_receipt_are_named",
        "services/gateway/api/disputes/held.py",
        "    if with_services:\n",
        "    if True:\n",
    ),
    one(
        "a clinic is told once of each turn of a dispute",
        f"{TOLD}a_clinic_is_told_once_that_a_dispute_opens_and_how_it_ends",
        "services/notification/emails/messages/dispute_opened.py",
        "    occasion=opening,\n",
        "",
    ),
    one(
        "an e-mail about a dispute goes to the clinic",
        f"{TOLD}a_clinic_is_told_once_that_a_dispute_opens_and_how_it_ends",
        "services/notification/emails/messages/dispute_opened.py",
        "    to_clinic=True,\n",
        "",
    ),
)
