"""Mutants of how events are claimed, ordered, parked and weighed against older ones."""

from tests.mutants.mutant import SERVICE, Edit, Mutant, one

CONSUME = "services/chassis/kafka/consume.py"
PARK = "services/chassis/kafka/park.py"
KAFKA = "services/chassis/kafka/adapter/subscriber.py"
PAYABLES = "services/payment/receivables/store.py"
LIFECYCLE = "services/payment/payments/lifecycle.py"
INVOICES = "services/invoice/invoices/store.py"
PROJECTIONS = "services/notification/projections/store.py"
CONSUMING = f"{SERVICE}test_chassis_consume.py::test_"
LOCKS = f"{SERVICE}test_two_tabs_locks.py::test_"
TABS = f"{SERVICE}test_two_tabs.py::test_"
PAYING = f"{SERVICE}test_payment_checkout.py::test_"
SETTLING = f"{SERVICE}test_invoice_settlements.py::test_"
DECIDING = "tests/unit/test_payment_lifecycle.py::test_"

INBOX_AND_PARKING = (
    one(
        "inbox claim",
        f"{CONSUMING}a_batch_is_applied_as_one_set_and_a_redelivery_not_at_all",
        CONSUME,
        "fresh = await self._claim(tx, arrived)",
        "fresh = {each.event.id for each in arrived}",
    ),
    one(
        "the same event twice in a batch",
        f"{CONSUMING}the_same_event_twice_in_one_batch_is_applied_once",
        CONSUME,
        "[each.event for each in {a.event.id: a for a in reversed(arrived)}.values()][::-1]",
        "[each.event for each in arrived]",
    ),
    one(
        "a parked movement holds back none",
        f"{CONSUMING}a_parked_movement_holds_back_none",
        CONSUME,
        "        for each in arrived:\n            try:\n                async with tx.transaction():",
        "        for each in arrived:\n            if refused:\n"
        '                refused.append(Parked(each.record, each.event, "behind_parked"))\n                continue\n'
        "            try:\n                async with tx.transaction():",
    ),
    one(
        "garbage under a key holds back none",
        f"{CONSUMING}what_never_was_an_event_holds_back_none_of_its_key",
        CONSUME,
        "            applied, refused = await apply(tx, arrived)\n",
        "            keys = {each.record.key for each in undecodable}\n"
        "            applied, refused = await apply(tx, [a for a in arrived if a.record.key not in keys])\n",
    ),
    one(
        "of two replays one acts",
        f"{CONSUMING}a_replay_applies_that_event_alone_and_once",
        PARK,
        "WHERE id = $1 FOR UPDATE",
        "WHERE id = $1",
    ),
    one(
        "what lies in no week moves into its own",
        f"{SERVICE}test_chassis_inbox.py::test_an_event_a_month_ahead_moves_into_its_week_when_that_comes",
        "services/chassis/migrations/0030_pre_inbox_sources.sql",
        "DELETE FROM public.inbox_other WHERE event_id >= %L AND",
        "DELETE FROM public.inbox_other WHERE false AND event_id >= %L AND",
    ),
    one(
        "upkeep keeps the sources of claims",
        f"{SERVICE}test_chassis_inbox.py::test_upkeep_keeps_what_claims_say",
        "services/chassis/migrations/0030_pre_inbox_sources.sql",
        "'consumer, event_id, claimed_at, source_id, source_type, subject, received_at'",
        "'consumer, event_id, claimed_at'",
    ),
    one(
        "a late decline is an attempt too",
        f"{SERVICE}test_payment_events.py::test_each_declined_attempt_is_kept_once",
        "services/payment/payments/attempts.py",
        "if not moved and seen.charge is None:",
        "if not moved:",
    ),
    one(
        "a parked movement marks its invoice",
        f"{SERVICE}test_invoice_being_checked.py::test_the_invoice_of_a_parked_movement_is_being_checked",
        CONSUME,
        "                await self._call_parked_hook(tx, [(each.record, each.aggregate) for each in parked])\n",
        "",
    ),
    one(
        "no Pay while it is being checked",
        f"{SERVICE}test_gateway_being_checked.py"
        "::test_it_is_said_everywhere_offers_no_pay_and_is_normal_again_after_a_discard",
        "services/gateway/portal/payments/starting.py",
        "        await _refuse_while_checked(wanted, page, upstreams)\n",
        "",
    ),
    one(
        "savepoint around a refusal",
        f"{CONSUMING}one_refusal_parks_that_event_alone_and_undoes_its_half_done_work",
        CONSUME,
        "                async with tx.transaction():\n                    applied += await",
        "                if True:\n                    applied += await",
    ),
    one(
        "the database away refuses no event",
        f"{CONSUMING}a_database_error_parks_nothing_while_a_refused_batch_runs_one_by_one",
        CONSUME,
        "                if is_transient(refusal):\n                    raise\n                refused",
        "                refused",
    ),
    Mutant(
        "NACK policy",
        "tests/system/test_chassis_redelivery.py::test_a_batch_that_was_given_up_is_delivered_again",
        (
            Edit(KAFKA, "ack_policy=AckPolicy.NACK_ON_ERROR", "ack_policy=AckPolicy.ACK"),
            Edit(KAFKA, "subscriber.ack_policy is AckPolicy.NACK_ON_ERROR", "bool(subscriber.ack_policy)"),
        ),
    ),
    one(
        "start refused under another policy",
        "tests/system/test_chassis_kafka.py::test_a_subscriber_that_could_lose_events_stops_the_process_from_starting",
        KAFKA,
        "subscriber.ack_policy is AckPolicy.NACK_ON_ERROR",
        "True",
    ),
)


VERSIONS = (
    one(
        "version check of payables",
        f"{LOCKS}an_older_state_of_an_invoice_changes_nothing",
        PAYABLES,
        "        WHERE payables.version < excluded.version\n",
        "",
    ),
    one(
        "version check of payment's clinics",
        f"{PAYING}a_clinic_that_switched_online_payment_off",
        PAYABLES,
        "        WHERE clinics.version < excluded.version\n",
        "",
    ),
    one(
        "version check of a payment's progress",
        f"{SETTLING}a_late_processing_does_not_undo_what_came_after_it",
        INVOICES,
        "WHERE known.state <> 'settled' AND known.version < excluded.version",
        "WHERE true",
    ),
    Mutant(
        "version checks of notification",
        f"{SERVICE}test_notification_events.py::test_an_older_version_overwrites_neither_invoice_nor_clinic",
        (
            Edit(
                PROJECTIONS,
                "held.time_zone))\n        WHERE held.version < excluded.version\n",
                "held.time_zone))\n",
            ),
        ),
    ),
    one(
        "a success is final",
        f"{TABS}a_late_failure_never_undoes_a_success",
        LIFECYCLE,
        '    if payment.status == "succeeded":\n        return False\n',
        "",
    ),
    one(
        "how it was paid is said when it is known later",
        f"{SERVICE}test_payment_events.py::test_a_success_that_comes_before_its_charge_is_told_as_by_card",
        LIFECYCLE,
        "update=None if method == published else update_about(payment)",
        "update=None",
    ),
    one(
        "a method that comes before its movement",
        f"{SETTLING}how_it_was_paid_is_shown_whatever_comes_first",
        "services/invoice/invoices/actions.py",
        "    if stored := await store.mark_payments_settled(tx, settled):\n"
        "        await store.update_movement_methods(tx, stored)\n",
        "    await store.mark_payments_settled(tx, settled)\n",
    ),
    one(
        "a late decline's card",
        f"{DECIDING}however_late_its_charge_comes_it_is_told_what_was_paid_with_and_at_most_once",
        LIFECYCLE,
        '    late = payment.status == "succeeded" or (payment.seen_at and seen.created < payment.seen_at)\n',
        "    late = False\n",
    ),
    one(
        "charges after earlier attempts",
        f"{SERVICE}test_payment_events.py::test_a_declined_card_is_not_what_a_payment_was_made_with",
        "services/payment/payments/changes.py",
        'return {"charge.succeeded": 1, "payment_intent.succeeded": 2}',
        'return {"payment_intent.payment_failed": 2, "charge.succeeded": 1, "payment_intent.succeeded": 2}',
    ),
    one(
        "of two states the newer",
        f"{DECIDING}a_late_failure_of_an_earlier_attempt_is_no_news",
        LIFECYCLE,
        "payment.seen_at is None or created > payment.seen_at",
        "True",
    ),
)
