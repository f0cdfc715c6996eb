"""Who gets into the operators' console, and who does not."""

from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from deploy.ops.console.operators import actions, store
from deploy.ops.console.operators.domain import IDLE
from services.chassis.audit import verify_chain
from tests.running.apps import in_own_task
from tests.running.console import NAME, PASSWORD, Console, a_console, code
from tests.running.databases import ServiceDb


@pytest.fixture
async def console(db_gateway: ServiceDb) -> AsyncIterator[Console]:
    async with in_own_task(a_console({"gateway": db_gateway})) as one:
        yield one


async def test_an_invited_operator_logs_in_and_out(console: Console) -> None:
    secret = await console.set_up(await console.invited())

    answer = await console.log_in(secret)

    assert (answer.status_code, answer.headers["location"]) == (303, "/ops")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie
    page = await console.get("/ops")
    assert page.status_code == 200
    assert NAME in page.text
    left = await console.post("/ops/logout", "/ops")
    assert left.headers["location"] == "/ops/login?why=out"
    assert (await console.get("/ops")).headers["location"] == "/ops/login"


@pytest.mark.parametrize("path", ["/ops", "/ops/journeys", "/ops/journeys?q=2026-000001"])
async def test_a_stranger_is_led_to_the_login_and_back(console: Console, path: str) -> None:
    answer = await console.get(path)

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/ops/login")
    if path != "/ops":
        secret = await console.set_up(await console.invited())
        form = {"name": NAME, "password": PASSWORD, "code": code(secret), "next": path}
        inside = await console.post("/ops/login", answer.headers["location"], **form)
        assert inside.headers["location"] == path


async def test_a_wrong_name_password_or_code_is_told_alike(console: Console) -> None:
    secret = await console.set_up(await console.invited())
    tries = [
        {"name": "bob@example.com", "password": PASSWORD, "code": code(secret)},
        {"name": NAME, "password": "wrong horse battery", "code": code(secret)},
        {"name": NAME, "password": PASSWORD, "code": "000000"},
        {"name": "\x00\u202e", "password": PASSWORD, "code": "日本"},
    ]

    answers = [await console.post("/ops/login", "/ops/login", **each) for each in tries]

    assert {answer.status_code for answer in answers} == {401}
    said = {answer.text.partition('id="login-error">')[2].partition("<")[0] for answer in answers}
    assert len(said) == 1
    assert not console.client.cookies.get("ops")


async def test_a_code_works_once(console: Console) -> None:
    secret = await console.set_up(await console.invited())
    assert (await console.log_in(secret)).status_code == 303

    assert (await console.log_in(secret)).status_code == 401
    assert (await console.log_in(secret, step=-1)).status_code == 401
    assert (await console.log_in(secret, step=1)).status_code == 303


async def test_a_new_key_takes_over_from_the_old_one_at_the_next_login(db_gateway: ServiceDb) -> None:
    old, new = "an-old-key-of-thirty-two-characters", "a-new-key-of-thirty-two-characters"
    dbs = {"gateway": db_gateway}
    async with a_console(dbs, console_key=old) as before:
        secret = await before.set_up(await before.invited())
    async with a_console(dbs, console_key=f"{new},{old}") as both:
        assert (await both.log_in(secret)).status_code == 303

    async with a_console(dbs, console_key=new) as after:
        assert (await after.log_in(secret, step=1)).status_code == 303
    async with a_console(dbs, console_key=old) as gone:
        assert (await gone.log_in(secret, step=1)).status_code == 401


async def test_tries_are_limited_and_a_login_gives_them_back(console: Console) -> None:
    secret = await console.set_up(await console.invited())
    for _ in range(4):
        assert (await console.log_in(secret, password="wrong horse battery")).status_code == 401
    assert (await console.log_in(secret)).status_code == 303
    for _ in range(5):
        assert (await console.log_in(secret, password="wrong horse battery")).status_code == 401

    answer = await console.log_in(secret, step=1)

    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0


async def test_an_invitation_works_once_and_a_newer_one_replaces_it(console: Console) -> None:
    link = await console.invited()
    async with console.own.worker_tx() as tx:
        newer = f"/ops/welcome/{await actions.invite(tx, NAME)}"
    assert (await console.get(link)).status_code == 404

    await console.set_up(newer)

    assert (await console.get(newer)).status_code == 404


async def test_a_new_invitation_ends_password_codes_and_sessions_at_once(console: Console) -> None:
    before = await console.set_up(await console.invited())
    assert (await console.log_in(before)).status_code == 303

    async with console.own.worker_tx() as tx:
        link = f"/ops/welcome/{await actions.invite(tx, NAME)}"

    assert (await console.get("/ops")).status_code == 303
    assert (await console.log_in(before, step=1)).status_code == 401
    after = await console.set_up(link)
    assert (await console.log_in(after)).status_code == 303


async def test_an_invitation_ends_the_wait_after_too_many_tries(console: Console) -> None:
    await console.set_up(await console.invited())
    for _ in range(6):
        last = await console.log_in("A" * 32, password="wrong horse battery")
    assert last.status_code == 429
    async with console.own.worker_tx() as tx:
        link = f"/ops/welcome/{await actions.invite(tx, NAME)}"

    secret = await console.set_up(link)

    assert (await console.log_in(secret)).status_code == 303


@pytest.mark.parametrize(
    ("password", "typed", "field"),
    [
        ("short", None, "password"),
        ("password12", None, "password"),
        (PASSWORD, "000000", "code"),
        (PASSWORD, "", "code"),
    ],
)
async def test_a_set_up_that_is_refused_keeps_the_apps_key_and_changes_nothing(
    console: Console, password: str, typed: str | None, field: str
) -> None:
    link = await console.invited()
    page = (await console.get(link)).text
    key = page.partition('class="key">')[2].partition("<")[0]
    sealed = page.partition('name="sealed" value="')[2].partition('"')[0]
    right = code(key.replace(" ", ""))

    answer = await console.post(
        link, link, password=password, code=right if typed is None else typed, sealed=sealed
    )

    assert answer.status_code == 422
    assert f'id="{field}-error"' in answer.text
    assert key in answer.text
    async with console.own.statements() as connection:
        [operator] = await store.list_operators(connection)
    assert operator.password_hash is None
    assert operator.is_invited


async def test_a_key_that_was_sealed_for_another_operator_is_refused(console: Console) -> None:
    page = (await console.get(await console.invited("bob@example.com"))).text
    key = page.partition('class="key">')[2].partition("<")[0].replace(" ", "")
    sealed = page.partition('name="sealed" value="')[2].partition('"')[0]
    link = await console.invited()

    answer = await console.post(link, link, password=PASSWORD, code=code(key), sealed=sealed)

    assert answer.status_code == 422


async def test_a_session_ends_when_nobody_uses_it(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    await console.as_operator()
    async with console.own.worker_tx() as tx:
        await tx.execute("UPDATE operator_sessions SET idle_at = app_now() + $1", timedelta(seconds=1))
    assert (await console.get("/ops")).status_code == 200
    async with console.own.statements() as connection:
        left = await connection.fetchval("SELECT idle_at - app_now() FROM operator_sessions")
    assert left > IDLE / 2
    async with console.own.worker_tx() as tx:
        await tx.execute("UPDATE operator_sessions SET idle_at = app_now()")

    assert (await console.get("/ops")).status_code == 303


async def test_an_act_after_the_sessions_end_is_said_not_to_be_done(console: Console) -> None:
    """The login leads back to the page on which its form stands."""
    await console.as_operator()
    page = "/ops/parked/invoice/7"
    form = {"_csrf_token": await console.token_of("/ops/parked"), "reason": "typed"}
    console.client.cookies.delete("ops")

    answer = await console.client.post(
        f"{page}/discard", data=form, headers={"Accept": "text/html", "Referer": f"http://console.test{page}"}
    )

    assert answer.status_code == 303
    login = await console.get(answer.headers["location"])
    assert "so nothing was done" in login.text
    assert f'name="next" value="{page}"' in login.text


async def test_a_removed_operator_is_out_at_once(console: Console) -> None:
    await console.as_operator()

    async with console.own.worker_tx() as tx:
        await actions.remove(tx, NAME)

    assert (await console.get("/ops")).status_code == 303


async def test_another_sites_form_and_one_without_a_token_are_refused(console: Console) -> None:
    await console.as_operator()

    without = await console.client.post("/ops/logout", data={})
    foreign = await console.client.post(
        "/ops/logout", data={}, headers={"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.test"}
    )

    assert (without.status_code, foreign.status_code) == (403, 403)
    assert (await console.get("/ops")).status_code == 200


@pytest.mark.parametrize("target", ["//evil.test", "https://evil.test", "/\\evil.test", "/login"])
async def test_a_login_leads_to_no_other_place(console: Console, target: str) -> None:
    secret = await console.set_up(await console.invited())
    form = {"name": NAME, "password": PASSWORD, "code": code(secret), "next": target}

    answer = await console.post("/ops/login", "/ops/login", **form)

    assert answer.headers["location"] == "/ops"


async def test_the_gateways_role_can_neither_read_nor_make_an_operator(db_gateway: ServiceDb) -> None:
    for table in ("operators", "operator_invitations", "operator_sessions", "operator_acts", "verify_runs"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with db_gateway.api.statements() as connection:
                await connection.fetch(f"SELECT * FROM {table}")


async def test_the_consoles_role_writes_nothing_of_the_services(
    db_gateway: ServiceDb, console: Console
) -> None:
    async with console.own.statements() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("UPDATE logins SET disabled_at = NULL")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("DELETE FROM operator_acts")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("UPDATE operator_acts SET reason = 'another'")


async def test_what_leads_to_a_login_is_in_the_audit_log(db_gateway: ServiceDb, console: Console) -> None:
    await console.as_operator()

    async with db_gateway.admin.acquire() as connection:
        actions_done = [
            row["action"] for row in await connection.fetch("SELECT action FROM audit ORDER BY seq")
        ]
        assert await verify_chain(connection) == []
    assert actions_done[-3:] == ["add_operator", "take_invitation", "log_in_to_console"]


async def test_a_page_tells_no_other_site_and_takes_no_script(console: Console) -> None:
    answer = await console.get("/ops/login")

    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "frame-src 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"
