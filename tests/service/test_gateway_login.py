"""Signing in: who may, how often, and the rows that it leaves."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

import pytest

from services.chassis import retention
from services.gateway.accounts.profile.actions import keep_one_form
from services.gateway.accounts.sessions.backend import SessionStore
from services.gateway.jobs import sweep
from tests.running.databases import ServiceDb
from tests.running.gateway import PASSWORD, Site, a_login, a_portal, a_site


@pytest.fixture
async def site(db_gateway: ServiceDb) -> AsyncIterator[Site]:
    async with a_site(db_gateway) as site:
        yield site


async def test_a_login_leads_to_its_one_clinic(site: Site) -> None:
    await a_login(site.db, await a_portal(site.db))

    answer = await site.log_in(" Ann@Example.com ")
    assert (answer.status_code, answer.headers["location"]) == (303, "/clinics")
    chosen = await site.get("/clinics")
    assert (chosen.status_code, chosen.headers["location"]) == (303, "/c/oak")


@pytest.mark.parametrize("kept", ["ann@bücher.example", "ann@xn--bcher-kva.example"])
async def test_a_domain_in_another_script_is_one_address_in_both_forms(
    site: Site, db_gateway: ServiceDb, kept: str
) -> None:
    clinic = await a_portal(site.db)
    await a_login(site.db, clinic, kept)
    await a_login(site.db, clinic, "Ann@BÜCHER.example")
    found = await db_gateway.admin.fetch("SELECT email FROM logins")
    assert [row["email"] for row in found] == ["ann@xn--bcher-kva.example"]

    for typed in ("ann@bücher.example", "ANN@Bücher.example", "ann@xn--bcher-kva.example"):
        site.client.cookies.clear()
        assert (await site.log_in(typed)).status_code == 303, typed


async def test_an_address_of_an_earlier_release_gets_its_one_form(site: Site, db_gateway: ServiceDb) -> None:
    clinic = await a_portal(site.db)
    for email in ("ann@example.com", "bea@example.com", "bea@xn--bcher-kva.example"):
        await a_login(site.db, clinic, email)
    await db_gateway.admin.execute(
        "UPDATE logins SET email = replace(email, 'example.com', 'bücher.example') WHERE email LIKE '%.com'"
    )

    await keep_one_form(site.db)

    found = await db_gateway.admin.fetch("SELECT email FROM logins ORDER BY email")
    assert [row["email"] for row in found] == [
        "ann@xn--bcher-kva.example",
        "bea@bücher.example",
        "bea@xn--bcher-kva.example",
    ], "one that two logins have stays in both forms"
    assert (await site.log_in("ann@bücher.example")).status_code == 303


async def test_spaces_are_no_password(site: Site) -> None:
    """At an operation that gives one: as little as nine characters, before any service is asked."""
    clinic = await a_portal(site.db)
    for password in (" " * 12, "\u3000" * 12, "nine char"):
        body = {"email": "sam@example.com", "password": password}
        answer = await site.api("POST", f"/clinics/{clinic}/staff", json=body)
        assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid")
        assert [each["field"] for each in answer.json()["errors"]] == ["password"]


async def test_a_login_goes_on_to_where_it_was_asked_for(site: Site) -> None:
    await a_login(site.db, await a_portal(site.db))

    away = await site.get("/c/oak/billing?status=unpaid", headers={"Accept": "text/html"})
    assert away.headers["location"] == "/login?next=%2Fc%2Foak%2Fbilling%3Fstatus%3Dunpaid"
    answer = await site.log_in("ann@example.com", next="/c/oak/billing?status=unpaid")
    assert answer.headers["location"] == "/c/oak/billing?status=unpaid"


@pytest.mark.parametrize(
    "target", ["//evil.test", "/\\evil.test", "https://evil.test", "javascript:alert(1)"]
)
async def test_a_login_never_leads_to_another_site(site: Site, target: str) -> None:
    await a_login(site.db, await a_portal(site.db))

    answer = await site.log_in("ann@example.com", next=target)

    assert answer.headers["location"] == "/clinics"


async def test_an_unknown_email_costs_and_says_the_same_as_a_wrong_password(site: Site) -> None:
    await a_login(site.db, await a_portal(site.db))

    before = site.passwords.checks
    wrong = await site.log_in("ann@example.com", "not her password")
    unknown = await site.log_in("nobody@example.com", "not her password")

    assert site.passwords.checks == before + 2
    assert wrong.status_code == unknown.status_code == 401
    assert _without_email(wrong.text) == _without_email(unknown.text)
    assert site.cookie("session") is None


async def test_a_disabled_login_does_not_open(site: Site, db_gateway: ServiceDb) -> None:
    await a_login(site.db, await a_portal(site.db))
    await db_gateway.admin.execute("UPDATE logins SET disabled_at = now()")

    assert (await site.log_in("ann@example.com")).status_code == 401


async def test_disabling_a_login_ends_what_it_has_open(site: Site, db_gateway: ServiceDb) -> None:
    await a_login(site.db, await a_portal(site.db))
    await site.log_in("ann@example.com")
    await db_gateway.admin.execute("UPDATE logins SET disabled_at = now()")

    away = await site.get("/clinics")
    assert away.headers["location"].startswith("/login")
    assert (await site.get(away.headers["location"])).status_code == 200
    assert await db_gateway.admin.fetchval("SELECT count(*) FROM sessions") == 0


async def test_what_has_run_out_is_swept(site: Site, db_gateway: ServiceDb) -> None:
    await a_login(site.db, await a_portal(site.db))
    await site.log_in("nobody@example.com", "wrong")
    await site.log_in("ann@example.com")
    await sweep(site.db)
    assert await db_gateway.admin.fetchval("SELECT count(*) FROM sessions") == 1
    assert await db_gateway.admin.fetchval("SELECT count(*) FROM attempts") > 0

    await db_gateway.admin.execute("UPDATE sessions SET idle_at = now()")
    await sweep(site.db)
    assert await db_gateway.admin.fetchval("SELECT count(*) FROM sessions") == 1
    await db_gateway.admin.execute("UPDATE sessions SET idle_at = now() - interval '1 day'")
    await db_gateway.admin.execute("UPDATE attempts SET ends_at = now() - interval '1 second'")
    await sweep(site.db)
    assert await db_gateway.admin.fetchval("SELECT count(*) FROM sessions") == 0
    assert await db_gateway.admin.fetchval("SELECT count(*) FROM attempts") == 0


async def test_old_rows_of_the_gateway_go_in_small_steps(
    site: Site, db_gateway: ServiceDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    monkeypatch.setattr(retention, "MOST_A_RUN", 2)
    await db_gateway.admin.execute(
        """
        INSERT INTO attempts (key, tries, ends_at)
        SELECT sha256(n::text::bytea), 1, now() - interval '1 second' FROM generate_series(1, 5) AS n
        """
    )

    await sweep(site.db)
    assert await db_gateway.admin.fetchval("SELECT count(*) FROM attempts") == 1
    await sweep(site.db)
    assert await db_gateway.admin.fetchval("SELECT count(*) FROM attempts") == 0


async def test_the_session_is_kept_as_a_hash_and_never_fixed_by_a_cookie(
    site: Site, db_gateway: ServiceDb
) -> None:
    await a_login(site.db, await a_portal(site.db))
    preset = "f" * 64
    site.client.cookies.set("session", preset)

    answer = await site.log_in("ann@example.com")

    session = _set_cookie(answer, "session")
    assert session != preset and len(session) == 64
    kept = await db_gateway.admin.fetchval("SELECT id_hash FROM sessions")
    assert kept == hashlib.sha256(session.encode()).digest()
    cookie = next(each for each in answer.headers.get_list("set-cookie") if each.startswith("session="))
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Path=/" in cookie


async def test_signing_in_again_gives_a_new_session_and_ends_the_old_one(
    site: Site, db_gateway: ServiceDb
) -> None:
    await a_login(site.db, await a_portal(site.db))
    first = _set_cookie(await site.log_in("ann@example.com"), "session")
    await a_portal(site.db, "elm")

    csrf = site.cookie("csrf")
    assert csrf is not None
    again = await site.client.post(
        "/login",
        data={"_csrf_token": csrf, "email": "ann@example.com", "password": PASSWORD},
        follow_redirects=False,
    )

    assert _set_cookie(again, "session") != first
    assert await db_gateway.admin.fetchval("SELECT count(*) FROM sessions") == 1


async def test_signing_out_ends_the_session(site: Site, db_gateway: ServiceDb) -> None:
    await a_login(site.db, await a_portal(site.db))
    await site.log_in("ann@example.com")

    csrf = site.cookie("csrf")
    answer = await site.client.post("/logout", data={"_csrf_token": csrf}, follow_redirects=False)

    assert answer.headers["location"] == "/login?why=out"
    assert await db_gateway.admin.fetchval("SELECT count(*) FROM sessions") == 0


@pytest.mark.parametrize("column", ["idle_at", "ends_at"])
async def test_a_session_ends_by_idleness_and_for_good(
    site: Site, db_gateway: ServiceDb, column: str
) -> None:
    await a_login(site.db, await a_portal(site.db))
    await site.log_in("ann@example.com")
    await db_gateway.admin.execute(f"UPDATE sessions SET {column} = now() - interval '1 second'")

    assert (await site.get("/clinics")).headers["location"].startswith("/login")


async def test_the_session_store_is_a_litestar_store(site: Site) -> None:
    store = SessionStore(site.db)

    await store.set("a", b'{"n": 1}')
    assert await store.get("a") == b'{"n": 1}'
    assert await store.exists("a") and (await store.expires_in("a") or 0) > 60
    await store.delete("a")
    assert await store.get("a") is None and not await store.exists("a")
    await store.set("b", b"{}")
    await store.delete_all()
    assert not await store.exists("b")


async def test_five_wrong_passwords_are_enough_and_a_stranger_cannot_lock_anyone_out(
    site: Site, db_gateway: ServiceDb
) -> None:
    await a_login(site.db, await a_portal(site.db))

    codes = [(await site.log_in("ann@example.com", "wrong")).status_code for _ in range(6)]
    assert codes == [401] * 5 + [429]
    refused = await site.log_in("ann@example.com")
    assert refused.status_code == 429 and 0 < int(refused.headers["retry-after"]) <= 900
    assert "Too many tries" in refused.text
    # The stored rows reveal neither the e-mail nor the address.
    rows = await db_gateway.admin.fetch("SELECT * FROM attempts")
    assert rows and all(len(row["key"]) == 32 for row in rows)
    await db_gateway.admin.execute("UPDATE attempts SET ends_at = now()")
    assert (await site.log_in("ann@example.com")).status_code == 303


async def test_tries_at_once_are_all_counted(site: Site) -> None:
    csrf = await site.csrf()
    form = {"_csrf_token": csrf, "email": "ann@example.com", "password": "wrong"}

    answers = await asyncio.gather(*(site.client.post("/login", data=form) for _ in range(12)))

    assert sorted(answer.status_code for answer in answers) == [401] * 5 + [429] * 7


async def test_right_passwords_are_not_counted(site: Site) -> None:
    await a_login(site.db, await a_portal(site.db))
    csrf = await site.csrf()
    form = {"_csrf_token": csrf, "email": "ann@example.com", "password": PASSWORD}

    for _ in range(8):
        answer = await site.client.post("/login", data=form, follow_redirects=False)
        assert answer.status_code == 303


@pytest.mark.parametrize(
    ("email", "password"),
    [("", ""), ("a" * 400 + "@x.test", "x"), ("a@x.test\r\nBcc: b@x.test", "x"), ("\ud83d@x", "p" * 5000)],
)
async def test_odd_input_is_a_wrong_password(site: Site, email: str, password: str) -> None:
    email = email.encode("utf-8", "replace").decode()

    assert (await site.log_in(email, password)).status_code == 401


def _set_cookie(answer: object, name: str) -> str:
    headers = answer.headers.get_list("set-cookie")  # type: ignore[attr-defined]
    found = next(each for each in headers if each.startswith(f"{name}="))
    return str(found.partition("=")[2].partition(";")[0])


def _without_email(page: str) -> str:
    return page.replace("ann@example.com", "E").replace("nobody@example.com", "E")
