"""Mutants of the operators' console: who gets in, and what is done without a word why."""

from tests.mutants.mutant import SERVICE, one

ACTIONS = "deploy/ops/console/operators/actions.py"
STORE = "deploy/ops/console/operators/store.py"
MASKING = "deploy/ops/console/masking.py"
JOURNEYS = "deploy/ops/console/journeys_page.py"
APP = "deploy/ops/console/app.py"
LOGIN = f"{SERVICE}test_console_login.py::test_"
PAGES = f"{SERVICE}test_console_pages.py::test_"

CONSOLE = (
    one(
        "a code of the app works once",
        f"{LOGIN}a_code_works_once",
        STORE,
        "WHERE id = $1 AND used_step < $2",
        "WHERE id = $1",
    ),
    one(
        "a session that nobody uses ends",
        f"{LOGIN}a_session_ends_when_nobody_uses_it",
        STORE,
        "WHERE id_hash = $1 AND app_now() < least(idle_at, ends_at)",
        "WHERE id_hash = $1",
    ),
    one(
        "an invitation ends the sessions of before",
        f"{LOGIN}a_new_invitation_ends_password_codes_and_sessions_at_once",
        ACTIONS,
        "    await store.delete_sessions_of(tx, operator.id)\n",
        "",
    ),
    one(
        "the pages stand behind the login",
        f"{LOGIN}a_stranger_is_led_to_the_login_and_back",
        APP,
        "                guards=[logged_in],\n",
        "",
    ),
    one(
        "no act without a reason",
        f"{PAGES}nothing_is_done_without_a_reason",
        ACTIONS,
        'return texts.text(typed, "reason", least=1, most=LONGEST_REASON)',
        "return typed or '-'",
    ),
    one(
        "texts that may be personal are hidden",
        f"{PAGES}personal_texts_are_hidden_until_somebody_says_why",
        MASKING,
        "return value if _SHOWN.fullmatch(value) or (form and form.fullmatch(value)) else HIDDEN",
        "return value",
    ),
    one(
        "a clinic's key asks nothing of the console",
        f"{PAGES}programs_ask_with_an_operators_key",
        JOURNEYS,
        'if found is not None and found.role == "operator":',
        "if found is not None:",
    ),
    one(
        "a late job of a process that is away is no fault of its own",
        "tests/unit/test_console_faults.py::test_late_jobs_of_a_process_that_is_away_follow_from_that",
        "deploy/ops/console/faults.py",
        " and process not in down:",
        ":",
    ),
    one(
        "webhooks that do not come are named while they are recent",
        f"{PAGES}a_payment_that_no_webhook_announced_is_named_for_an_hour",
        "deploy/ops/console/health.py",
        "return self.count > 0 and self.age < self.recent_within",
        "return self.count > 0",
    ),
)
