"""Mutants of links by e-mail: what keeps a login from strangers, and from a clinic that knows its password."""

from tests.mutants.mutant import SERVICE, one

ACCOUNTS = "services/gateway/accounts/"
RESET = f"{SERVICE}test_gateway_resets.py::test_"
INVITED = f"{SERVICE}test_gateway_invitations.py::test_"
DEVICES = f"{SERVICE}test_gateway_devices.py::test_"
CODES = f"{SERVICE}test_gateway_mailed_codes.py::test_"
PASSKEYS = f"{SERVICE}test_gateway_passkeys.py::test_"
PROFILE = f"{SERVICE}test_gateway_profile.py::test_"

LOGINS = (
    one(
        "a newer link ends the older one",
        f"{RESET}a_newer_request_ends_the_older_link",
        f"{ACCOUNTS}links/store.py",
        '"DELETE FROM links WHERE login_id = $1 AND purpose = $2 AND step_hash IS NOT DISTINCT FROM $3"',
        '"DELETE FROM links WHERE login_id = $1 AND purpose = $2 AND step_hash IS NOT DISTINCT FROM $3 AND false"',
    ),
    one(
        "a changed password ends the login's links",
        f"{PROFILE}a_new_password_ends_a_link_to_a_new_address",
        f"{ACCOUNTS}actions.py",
        "    await store.activate_memberships(tx, login_id)\n    await links.end_links_of(tx, login_id)\n",
        "    await store.activate_memberships(tx, login_id)\n",
    ),
    one(
        "a chosen password ends the login's sessions",
        f"{RESET}all_sessions_end_the_ones_of_another_login_in_this_browser_too",
        f"{ACCOUNTS}actions.py",
        "    await links.end_links_of(tx, login_id)\n    await end_everywhere(tx, login_id)\n",
        "    await links.end_links_of(tx, login_id)\n",
    ),
    one(
        "a login knows a browser again",
        f"{DEVICES}strangers_lock_no_owner_out_of_a_browser_that_the_login_knows",
        f"{ACCOUNTS}actions.py",
        "    limited = domain.known_limits(name) if name else",
        "    limited = domain.known_limits(name) if False else",
    ),
    one(
        "a new password makes the login's browsers unknown",
        f"{DEVICES}a_new_password_and_a_logout_everywhere_forget_the_browsers",
        f"{ACCOUNTS}actions.py",
        "    await devices.next_generation(tx, login_id)\n",
        "",
    ),
    one(
        "a known browser's tries are counted",
        f"{DEVICES}a_stolen_device_cookie_is_worth_five_tries_of_its_own_and_no_more",
        f"{ACCOUNTS}rate_limits/domain.py",
        '    return (Limit(_key("login", "known browser", name), 5),)\n',
        '    return (Limit(_key("login", "known browser", name), 5000),)\n',
    ),
    one(
        "a request looks up no login",
        f"{RESET}a_request_writes_one_row_and_looks_up_no_login",
        f"{ACCOUNTS}resets/actions.py",
        "    async with db.tx(None) as tx:\n        await requests.add_request(",
        "    async with db.tx(None) as tx:\n        await store.get_login(tx, typed)\n"
        "        await requests.add_request(",
    ),
    one(
        "a letter is dropped once its link has ended",
        f"{RESET}a_letter_that_was_not_sent_before_its_link_ended_is_dropped_and_forgotten",
        "services/notification/emails/domain.py",
        "    if left is not None and left <= timedelta(0):\n",
        "    if False:\n",
    ),
    one(
        "who declined is not written to again",
        f"{INVITED}who_declined_or_is_switched_off_gets_no_further_e_mail",
        f"{ACCOUNTS}invitations/actions.py",
        "    if declined or login.disabled or not within:\n",
        "    if login.disabled or not within:\n",
    ),
    one(
        "a clinic that knows the password changes nothing of the login",
        f"{PROFILE}a_clinic_that_knows_the_password_cannot_take_the_login_over",
        f"{ACCOUNTS}actions.py",
        "    if found is None or found.disabled or found.password_by is not None:\n",
        "    if found is None or found.disabled:\n",
    ),
    one(
        "a mailbox gets so many letters an hour",
        f"{RESET}a_mailbox_gets_three_such_e_mails_an_hour_and_the_last_link_stays_good",
        f"{ACCOUNTS}rate_limits/actions.py",
        "        if letters > limit.most:\n",
        "        if False:\n",
    ),
    one(
        "a code by e-mail opens the login in the browser that asked alone",
        f"{CODES}a_link_and_a_code_open_nothing_in_another_browser",
        f"{ACCOUNTS}links/store.py",
        "        WHERE step_hash = $1 AND ends_at > app_now()\n            AND id IN",
        "        WHERE $1::bytea IS NOT NULL AND ends_at > app_now()\n            AND id IN",
    ),
    one(
        "who asks for a code gets no tries at the password",
        f"{CODES}who_asks_for_a_code_is_no_browser_that_the_login_knows",
        f"{ACCOUNTS}devices/domain.py",
        ' and step.kind != "code"',
        "",
    ),
    one(
        "what ends sessions ends codes by e-mail",
        f"{CODES}what_ends_sessions_ends_codes_too",
        f"{ACCOUNTS}actions.py",
        "    await links.end_codes_of(tx, login_id)\n",
        "",
    ),
    one(
        "strangers use up no letters with codes of a known browser",
        f"{CODES}strangers_flood_no_mailbox_and_keep_out_no_browser_that_the_login_knows",
        f"{ACCOUNTS}mailed_codes/actions.py",
        "domain.known_code_limits(name) if name else",
        "domain.known_code_limits(name) if False else",
    ),
    one(
        "the second factor is asked for after a code by e-mail",
        f"{CODES}a_second_factor_is_asked_for_after_the_code",
        f"{ACCOUNTS}mailed_codes/routes.py",
        "    else:\n        return await entry.go_on(request, db, settings, devices, login.id, login.email, target)\n",
        "    else:\n        return await entry.enter(request, db, settings, devices, login.id, target)\n",
    ),
    one(
        "a challenge for a passkey works once",
        f"{PASSKEYS}a_challenge_works_once_in_its_browser_and_for_ten_minutes",
        f"{ACCOUNTS}passkeys/actions.py",
        "        is_first = await steps.delete_step(tx, step.id_hash)\n",
        "        is_first = True\n",
    ),
    one(
        "a passkey logs in whom its device keeps it for",
        f"{PASSKEYS}a_passkey_opens_its_own_login_alone",
        f"{ACCOUNTS}passkeys/actions.py",
        " or handle != login.id.bytes:\n",
        ":\n",
    ),
    one(
        "a new passkey takes the second factor, too",
        f"{PASSKEYS}a_passkey_stands_for_the_second_factor_and_takes_it_to_be_added",
        f"{ACCOUNTS}passkeys/actions.py",
        "    if await second_factors.get(db, here.login_id) is not None:\n",
        "    if False:\n",
    ),
    one(
        "a new password by a link removes passkeys",
        f"{PASSKEYS}a_new_password_by_a_link_removes_all_and_one_typed_on_the_profile_none",
        f"{ACCOUNTS}resets/actions.py",
        "        await passkeys.delete_passkeys_of(tx, login.id)\n",
        "",
    ),
    one(
        "a passkey that is removed ends other sessions",
        f"{PASSKEYS}one_that_is_removed_opens_nothing_ends_other_sessions_and_is_told",
        f"{ACCOUNTS}passkeys/actions.py",
        '        await accounts.end_everywhere(tx, login_id, "everywhere")\n',
        "",
    ),
    one(
        "a device that logs in by a passkey unlocks it",
        f"{PASSKEYS}an_answer_that_is_wrong_in_one_part_opens_nothing",
        f"{ACCOUNTS}passkeys/domain.py",
        "            credential_current_sign_count=passkey.sign_count,\n            require_user_verification=True,\n",
        "            credential_current_sign_count=passkey.sign_count,\n            require_user_verification=False,\n",
    ),
)
