"""Mutants of the queue and of what is held in it."""

from tests.mutants.mutant import SERVICE, one

QUEUE = "services/chassis/queue/queue.py"
WORKING = "services/chassis/queue/working.py"
EMAILS_QUEUED = "services/notification/migrations/3060_pre_deliveries_by_the_queue.sql"
SENDING = f"{SERVICE}test_notification_sending.py::test_"
HELD = "services/chassis/held/actions.py"
QUEUEING = f"{SERVICE}test_chassis_queue.py::test_"
HOLDING = f"{SERVICE}test_chassis_held.py::test_"

QUEUED = (
    one(
        "a task is added once",
        f"{QUEUEING}a_task_is_added_once_however_it_ended",
        "services/chassis/migrations/0021_pre_tasks.sql",
        "    PRIMARY KEY (clinic_id, kind, key),\n",
        "",
    ),
    one(
        "claimed tasks are no one else's",
        f"{QUEUEING}what_is_due_is_claimed_oldest_first_and_the_rest_waits",
        QUEUE,
        "state = 'due' AND (claimed_until IS NULL OR claimed_until <= app_now())",
        "state = 'due'",
    ),
    one(
        "a lost claim records no outcome",
        f"{QUEUEING}a_claim_that_ran_out_is_anothers_and_its_late_outcome_is_lost",
        QUEUE,
        " AND claimed_until IS NOT DISTINCT FROM $4\n",
        " AND $4::timestamptz IS NOT DISTINCT FROM $4\n",
    ),
    one(
        "a task is not due before its time",
        f"{QUEUEING}a_failed_try_comes_again_and_waiting_is_no_try",
        QUEUE,
        "WHERE {_FREE} AND due_at <= app_now() AND kind = ANY ($3)",
        "WHERE {_FREE} AND kind = ANY ($3)",
    ),
    one(
        "claims skip what others hold",
        f"{QUEUEING}claims_that_overlap_share_the_work_and_wait_for_nobody",
        QUEUE,
        "            ORDER BY due_at LIMIT $1\n            FOR UPDATE SKIP LOCKED\n",
        "            ORDER BY due_at LIMIT $1\n            FOR UPDATE\n",
    ),
    one(
        "taken tasks are locked",
        f"{QUEUEING}several_workers_do_each_task_once",
        QUEUE,
        "        ORDER BY due_at LIMIT 1\n        FOR UPDATE SKIP LOCKED\n",
        "        ORDER BY due_at LIMIT 1\n",
    ),
    one(
        "a cancel loses to a claim",
        f"{QUEUEING}a_cancel_wins_before_a_claim_and_loses_to_it",
        QUEUE,
        "IN (SELECT * FROM unnest($1::uuid[], $2::uuid[])) AND {_FREE}\n",
        "IN (SELECT * FROM unnest($1::uuid[], $2::uuid[])) AND state = 'due'\n",
    ),
    one(
        "a hastened task does not wait",
        f"{QUEUEING}a_task_that_is_hastened_while_claimed_does_not_wait",
        QUEUE,
        "$5 <> 'due' OR due_at <> $9 THEN",
        "$5 <> 'due' THEN",
    ),
    one(
        "a refused task holds back no other",
        f"{QUEUEING}a_refused_task_leaves_nothing_behind_and_holds_back_no_other",
        WORKING,
        "            if task is None:\n                raise\n",
        "            raise\n",
    ),
    one(
        "a call has a time limit",
        f"{QUEUEING}a_call_that_takes_too_long_is_a_failed_try",
        WORKING,
        "asyncio.timeout(CALL_SECONDS)",
        "asyncio.timeout(None)",
    ),
    one(
        "a queue that falls behind is an incident",
        f"{QUEUEING}a_queue_that_falls_behind_is_an_incident",
        WORKING,
        "if depth is None or depth.oldest <= self._behind:",
        "if depth is None or depth.kind:",
    ),
    one(
        "an act that would post something else is not done",
        f"{HOLDING}an_act_that_would_post_something_else_is_an_exception_instead",
        HELD,
        "if preview.hash == held.preview_hash:",
        "if preview.hash:",
    ),
    one(
        "a refused act leaves nothing half done",
        f"{HOLDING}an_act_that_is_refused_when_due_is_an_exception_and_leaves_nothing_half_done",
        HELD,
        "    await attempt.rollback()\n",
        "    await attempt.commit()\n",
    ),
    one(
        "an act that is done is not undone",
        f"{HOLDING}an_act_that_is_done_is_not_undone",
        HELD,
        'if held.state == "done":',
        'if held.state == "never":',
    ),
    one(
        "an undo releases what was reserved",
        f"{HOLDING}an_act_is_undone_once_and_what_it_reserved_is_free",
        HELD,
        "    await act.release(tx, held.wanted)\n    undone",
        "    undone",
    ),
    one(
        "an exception releases what was reserved",
        f"{HOLDING}an_act_that_would_post_something_else_is_an_exception_instead",
        HELD,
        '    await act.release(tx, held.wanted)\n    await store.end(tx, held, "changed"',
        '    await store.end(tx, held, "changed"',
    ),
    one(
        "what is void is released",
        f"{HOLDING}what_makes_an_act_void_cancels_it",
        HELD,
        "            await act.release(tx, held.wanted)\n            canceled",
        "            canceled",
    ),
    one(
        "an act that fails for now is tried again",
        f"{HOLDING}an_act_that_fails_for_now_is_tried_again_and_given_up_as_an_exception",
        HELD,
        "    except Unavailable:\n        raise\n",
        "",
    ),
    one(
        "an act that is given up is an exception",
        f"{HOLDING}an_act_that_fails_for_now_is_tried_again_and_given_up_as_an_exception",
        HELD,
        "partial(_when_due, act), _BACK_OFF, partial(_given_up, act))",
        "partial(_when_due, act), _BACK_OFF)",
    ),
    one(
        "an exception is settled once",
        f"{HOLDING}an_exception_is_settled_once_in_a_way_of_its_kind",
        "services/chassis/exceptions.py",
        "if found.settled_at is not None:",
        "if found.settled_at is not None and not how:",
    ),
    one(
        "one exception of a kind is open",
        f"{HOLDING}one_exception_of_a_kind_is_open_for_a_subject",
        "services/chassis/migrations/0022_pre_held_acts.sql",
        "CREATE UNIQUE INDEX exceptions_open",
        "CREATE INDEX exceptions_open",
    ),
    one(
        "a contact that comes while its e-mail is looked at",
        f"{SERVICE}test_notification_events.py::test_a_contact_that_is_put_while_its_email_is_looked_at_is_not_forgotten",
        "services/notification/emails/actions.py",
        "            if recorded.hastened:\n                return\n",
        "",
    ),
    one(
        "an e-mail that a restore knows as sent",
        f"{SENDING}an_email_that_was_sent_before_a_restore_is_not_sent_again",
        "services/notification/emails/store.py",
        'if values.pop("state") in UNSENT_DELIVERIES:',
        'if values.pop("state"):',
    ),
    one(
        "e-mails of the release before are queued",
        f"{SENDING}an_email_that_the_release_before_adds_is_sent_and_it_sends_none_of_ours",
        EMAILS_QUEUED,
        "NEW.next_attempt_at < 'infinity'",
        "NEW.next_attempt_at IS NULL",
    ),
    one(
        "the release before sends none of ours",
        f"{SENDING}an_email_that_the_release_before_adds_is_sent_and_it_sends_none_of_ours",
        EMAILS_QUEUED,
        "ALTER COLUMN next_attempt_at SET DEFAULT 'infinity'",
        "ALTER COLUMN next_attempt_at SET DEFAULT app_now()",
    ),
    one(
        "an e-mail's outcome needs its claim",
        f"{SENDING}who_lost_the_lease_records_nothing",
        "services/notification/emails/actions.py",
        "    if recorded is None:\n        return\n",
        "    assert recorded or True\n    recorded = recorded or queue.Recorded(delivery.task.due_at, False)\n",
    ),
    one(
        "an exception is settled where it is",
        f"{SERVICE}test_gateway_exceptions.py::test_exceptions_of_both_services_are_one_list_and_each_is_settled_once",
        "services/gateway/upstream/services.py",
        "if error.code != unknown and not error.temporary:",
        "if not error.temporary:",
    ),
)
