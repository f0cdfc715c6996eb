"""Mutants of what a clinic's `undo_hours` hold: documents in invoice, refunds in payment."""

from tests.mutants.mutant import SERVICE, Mutant, one

DOCUMENTS = "services/invoice/documents/actions.py"
HELD_DOCUMENTS = "services/invoice/documents/held.py"
HELD_REFUNDS = "services/payment/refunds/held.py"
CHANGES = "services/payment/refunds/changes.py"
OF_INVOICE = f"{SERVICE}test_invoice_held.py::test_"
OF_PAYMENT = f"{SERVICE}test_payment_held.py::test_"

HOLDING_ACTS: tuple[Mutant, ...] = (
    one(
        "no document while an act is held",
        f"{OF_INVOICE}no_document_is_made_of_an_invoice_while_an_act_is_held",
        DOCUMENTS,
        "        if held.id != act_id:\n",
        "        if False:\n",
    ),
    one(
        "the invoice is locked while an act is held for it",
        f"{OF_INVOICE}presses_at_once_hold_one",
        HELD_DOCUMENTS,
        "        await actions.reserve_invoice(tx, wanted.clinic_id, wanted.subject_id)\n",
        "        await actions.get_clinic(tx, wanted.clinic_id)\n",
    ),
    one(
        "a clinic's hours hold documents",
        f"{OF_INVOICE}a_held_act_changes_nothing_until_it_is_due",
        HELD_DOCUMENTS,
        "    if not clinic.undo_hours:\n",
        "    if True:\n",
    ),
    one(
        "limits count a changed refund that is done after all",
        f"{OF_PAYMENT}a_changed_refund_that_is_done_after_all_counts_as_one_more",
        HELD_REFUNDS,
        "        await _check_limits(tx, wanted)\n",
        "        pass\n",
    ),
    one(
        "a held refund counts once",
        f"{OF_PAYMENT}a_held_refund_counts_from_when_it_was_asked_for",
        "services/payment/refunds/store.py",
        "            AND coalesce(asked_at, created_at) > app_now() - interval '24 hours' AND",
        "            AND",
    ),
    one(
        "a held act is kept for its exception",
        f"{OF_PAYMENT}an_old_exception_can_still_be_done",
        "services/chassis/retention.py",
        "SELECT FROM exceptions AS e WHERE e.settled_at IS NULL",
        "SELECT FROM exceptions AS e WHERE false",
    ),
    one(
        "other refunds of the payment change no held one",
        f"{OF_PAYMENT}the_right_refund_is_done_when_the_wrong_one_before_it_is_undone",
        HELD_REFUNDS,
        '        if wanted.request.get("taken") == taken:\n',
        "        if False:\n",
    ),
    one(
        "a refund of other money is not done",
        f"{OF_PAYMENT}a_refund_that_would_be_of_other_money_is_an_exception_that_a_person_does",
        HELD_REFUNDS,
        '        if wanted.request.get("taken") == taken:\n',
        "        if True:\n",
    ),
    one(
        "what a preview posts is compared, lines too",
        f"{OF_INVOICE}a_preview_is_what_is_posted_then",
        HELD_DOCUMENTS,
        "            for line in plan.lines\n",
        "            for line in plan.lines[1:]\n",
    ),
    one(
        "what a preview posts is compared, the new invoice too",
        f"{OF_INVOICE}a_replacement_at_other_taxes_by_now_is_an_exception_that_a_person_does",
        "services/chassis/holding.py",
        '_POSTS = ("document", "new_invoice", "refunds")',
        '_POSTS = ("document", "refunds")',
    ),
    one(
        "the external id of a replacement is looked for before",
        f"{OF_INVOICE}a_preview_of_a_replacement_is_what_is_posted_then",
        "services/invoice/invoices/issuing.py",
        "        _take(draft.external_id, await store.list_external_ids(tx, clinic_id, {draft.external_id}))\n",
        "        pass\n",
    ),
    one(
        "a replacement can be issued on the day when it is due",
        f"{OF_INVOICE}a_replacement_that_would_be_due_before_it_is_issued_is_refused_at_once",
        DOCUMENTS,
        "    if clinic.undo_hours and isinstance(request, ReplaceRequest):\n",
        "    if False:\n",
    ),
    one(
        "a clinic's hours hold refunds",
        f"{OF_PAYMENT}a_held_refund_sets_its_money_aside_and_nobody_hears_of_it",
        "services/payment/refunds/actions.py",
        '    if status == "created" and hours:\n',
        "    if False:\n",
    ),
    one(
        "clients hear nothing of a held refund",
        f"{OF_PAYMENT}a_held_refund_sets_its_money_aside_and_nobody_hears_of_it",
        "services/payment/refunds/store.py",
        "            r.status IN {literals(UNBEGUN_REFUNDS)} OR coalesce",
        "            coalesce",
    ),
    one(
        "clients hear nothing of an undone refund",
        f"{OF_PAYMENT}undone_the_money_is_what_it_was",
        "services/payment/refunds/store.py",
        " OR coalesce(r.failure_reason = ANY ($5), false)\n",
        " OR coalesce(r.failure_reason = ANY ($5), false) IS NULL\n",
    ),
    one(
        "an undone refund gives its money back",
        f"{OF_PAYMENT}undone_the_money_is_what_it_was",
        HELD_REFUNDS,
        "    if refund is not None and not await changes.end_waiting(tx, refund.key):\n",
        "    if False:\n",
    ),
    one(
        "the worker gives back what is too much on an invoice",
        f"{OF_PAYMENT}what_comes_back_by_undo_where_less_is_due_becomes_credit",
        HELD_REFUNDS,
        "        await queue.enqueue(tx, END_UNBEGUN, [NewTask(refund.clinic_id, refund.id)])\n",
        "        pass\n",
    ),
    one(
        "a refund's own money is free for it",
        f"{OF_PAYMENT}a_refund_that_is_planned_again_has_its_own_money_for_it",
        HELD_REFUNDS,
        "    refundable = freed(refundable, reserved)",
        "    refundable = freed(refundable, None)",
    ),
    one(
        "a dispute cancels held refunds",
        f"{OF_PAYMENT}a_dispute_cancels_what_is_held",
        "services/payment/consumers.py",
        "    canceled = await held.cancel_disputed(tx, about_disputes.refusing)\n",
        "    canceled = await held.cancel_disputed(tx, [])\n",
    ),
    one(
        "the money of a canceled refund is back before the bank takes it",
        f"{OF_PAYMENT}a_dispute_cancels_what_is_held",
        CHANGES,
        "        if reason is not None:\n",
        "        if False:\n",
    ),
    one(
        "a refund at Stripe cancels the held ones of its money",
        f"{OF_PAYMENT}a_refund_at_stripe_of_the_same_money_cancels_what_is_held",
        "services/payment/refunds/made_at_stripe.py",
        "        canceled = await held.cancel_held(tx, {payment.key}, RefundedAtStripe.code)\n",
        "        canceled = await held.cancel_held(tx, (), RefundedAtStripe.code)\n",
    ),
    one(
        "a refund at Stripe cancels the ones of its money that wait for approval",
        f"{OF_PAYMENT}a_refund_at_stripe_cancels_what_waits_for_approval",
        "services/payment/refunds/made_at_stripe.py",
        "        canceled |= await store.lock_waiting(tx, payment.key)\n",
        "",
    ),
    one(
        "a refund at Stripe that leaves enough cancels none",
        f"{OF_PAYMENT}a_refund_at_stripe_that_leaves_enough_cancels_nothing",
        "services/payment/refunds/made_at_stripe.py",
        "        _planned(payment, seen, left)\n    except (NothingToRefund",
        "        raise NothingToRefund('')\n    except (NothingToRefund",
    ),
    one(
        "an inquiry cancels no refund",
        f"{OF_PAYMENT}an_inquiry_cancels_nothing",
        "services/payment/disputes/changes.py",
        " for event, known in self.ours if event.status in UNREFUNDABLE_DISPUTES}",
        " for event, known in self.ours}",
    ),
    one(
        "a done refund is sent",
        f"{OF_PAYMENT}a_held_refund_sets_its_money_aside_and_nobody_hears_of_it",
        HELD_REFUNDS,
        '    if refund.destination == "method":\n',
        "    if False:\n",
    ),
    one(
        "an approved refund is held",
        f"{OF_PAYMENT}a_refund_is_approved_first_and_then_held",
        "services/payment/refunds/approvals.py",
        "        if hours:\n",
        "        if False:\n",
    ),
)
