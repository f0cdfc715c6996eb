"""The login says why one is here, has the clinic's look, and is never a dead end."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.gateway.accounts.sessions.store import end_sessions_of
from tests.running.apps import in_own_task
from tests.running.databases import ServiceDb
from tests.running.gateway import PASSWORD, Site, a_whole_site, create_client, create_clinic

PAGE = {"Accept": "text/html"}
FORM = {"email": "ann@example.com", "password": PASSWORD}


@pytest.fixture
async def site(
    db_gateway: ServiceDb, db_invoice: ServiceDb, db_payment: ServiceDb, db_notification: ServiceDb
) -> AsyncIterator[Site]:
    whole = a_whole_site(db_gateway, db_invoice, db_payment, db_notification)
    async with in_own_task(whole) as made:
        await create_client(made, await create_clinic(made))
        yield made


def came_from(site: Site, path: str) -> dict[str, str]:
    return PAGE | {"Referer": f"{str(site.client.base_url).rstrip('/')}{path}"}


async def follow(site: Site, answer: Any) -> Any:
    assert answer.status_code == 303, answer.text
    return await site.get(answer.headers["location"], headers=PAGE)


async def test_who_lost_the_cookies_is_shown_the_login_again_with_words_and_logs_in(site: Site) -> None:
    form = FORM | {"_csrf_token": await site.csrf(), "next": "/c/oak/billing"}
    site.client.cookies.clear()

    answer = await site.client.post(
        "/login", data=form, headers=came_from(site, "/login?next=/c/oak/billing"), follow_redirects=False
    )
    page = await follow(site, answer)

    assert page.status_code == 200
    assert "Please log in once more." in page.text and "allow cookies" in page.text
    assert 'name="next" value="/c/oak/billing"' in page.text
    again = await site.log_in("ann@example.com", next="/c/oak/billing")
    assert again.headers["location"] == "/c/oak/billing"


@pytest.mark.parametrize(
    "path", ["/c/oak/methods/01a22662-f74b-79a2-907a-e3af6dbf162e/remove", "/logout", "/clinics"]
)
async def test_a_form_of_who_lost_the_cookies_leads_to_the_login(site: Site, path: str) -> None:
    answer = await site.client.post(
        path, data={"a": "b"}, headers=came_from(site, "/c/oak/methods"), follow_redirects=False
    )
    page = await follow(site, answer)

    assert "Please log in once more." in page.text
    assert 'name="next" value="/c/oak/methods"' in page.text


@pytest.mark.parametrize(
    ("change", "why", "words"),
    [
        ("UPDATE sessions SET idle_at = now()", "idle", "nothing happened for a while"),
        ("UPDATE sessions SET ends_at = now()", "long", "you had been logged in for long"),
        ("DELETE FROM sessions", "gone", "You were logged out. Log in to go on."),
        ("UPDATE logins SET disabled_at = now()", "closed", "your login was switched off"),
    ],
)
async def test_the_login_says_the_true_reason_why_a_session_ended(
    site: Site, db_gateway: ServiceDb, change: str, why: str, words: str
) -> None:
    await site.log_in("ann@example.com")
    await db_gateway.admin.execute(change)

    answer = await site.get("/c/oak/billing", headers=PAGE)

    assert answer.headers["location"] == f"/login?next=%2Fc%2Foak%2Fbilling&why={why}"
    assert words in (await follow(site, answer)).text


async def test_a_new_password_ends_sessions_and_the_login_says_so(site: Site, db_gateway: ServiceDb) -> None:
    await site.log_in("ann@example.com")
    async with site.db.tx(None) as tx:
        await end_sessions_of(tx, await db_gateway.admin.fetchval("SELECT id FROM logins"))

    page = await follow(site, await site.get("/c/oak/billing", headers=PAGE))

    assert "You were logged out because your login has a new password." in page.text
    assert await db_gateway.admin.fetchval("SELECT data::text FROM sessions") == "{}"


async def test_who_was_logged_out_by_time_is_told_so_and_comes_back_to_where_they_were(
    site: Site, db_gateway: ServiceDb
) -> None:
    await site.log_in("ann@example.com")
    await db_gateway.admin.execute("UPDATE sessions SET idle_at = now() - interval '1 second'")

    page = await follow(site, await site.get("/c/oak/billing?status=paid", headers=PAGE))

    assert "You were logged out because nothing happened for a while." in page.text
    assert 'name="next" value="/c/oak/billing?status=paid"' in page.text
    answer = await site.log_in("ann@example.com", next="/c/oak/billing?status=paid")
    assert (await follow(site, answer)).status_code == 200


async def test_a_form_sent_after_the_session_ended_leads_back_to_its_page(
    site: Site, db_gateway: ServiceDb
) -> None:
    await site.log_in("ann@example.com")
    token = site.cookie("csrf") or ""
    await db_gateway.admin.execute("UPDATE sessions SET idle_at = now() - interval '1 second'")

    answer = await site.client.post(
        "/c/oak/methods/01a22662-f74b-79a2-907a-e3af6dbf162e/default",
        data={"_csrf_token": token},
        headers=came_from(site, "/c/oak/methods"),
        follow_redirects=False,
    )

    assert answer.headers["location"] == "/login?next=%2Fc%2Foak%2Fmethods&why=idle"


async def test_who_logged_out_is_told_so(site: Site) -> None:
    await site.log_in("ann@example.com")

    form = {"_csrf_token": site.cookie("csrf") or ""}
    answer = await site.client.post(
        "/logout", data=form, headers=came_from(site, "/c/oak/billing"), follow_redirects=False
    )
    page = await follow(site, answer)

    assert "You are logged out." in page.text
    assert "Log in to Oak Street Physiotherapy" in page.text


@pytest.mark.parametrize(
    "change", ["UPDATE login_steps SET ends_at = now()", "DELETE FROM login_steps", "SELECT"]
)
async def test_an_address_is_filled_in_for_a_while_and_by_no_cookie_of_a_strangers_choice(
    site: Site, db_gateway: ServiceDb, change: str
) -> None:
    await db_gateway.admin.execute(
        "INSERT INTO login_steps VALUES (sha256($1::bytea), 'address', 'eve@example.com', now() + '1 minute')",
        b"a" * 64,
    )
    site.client.cookies.set("step", "a" * 64)
    assert 'value="eve@example.com"' in (await site.get("/login", headers=PAGE)).text

    await db_gateway.admin.execute(change)
    if change == "SELECT":
        site.client.cookies.set("step", "a" * 63 + "'")
    page = await site.get("/login", headers=PAGE)

    assert page.status_code == 200 and "eve@example.com" not in page.text


async def test_who_is_logged_in_has_no_step_left(site: Site, db_gateway: ServiceDb) -> None:
    await db_gateway.admin.execute(
        "INSERT INTO login_steps VALUES (sha256($1::bytea), 'address', 'ann@example.com', now() + '1 minute')",
        b"a" * 64,
    )
    site.client.cookies.set("step", "a" * 64, domain="portal.test", path="/")

    await site.log_in("ann@example.com")

    assert site.cookie("step") is None
    assert await db_gateway.admin.fetchval("SELECT count(*) FROM login_steps") == 0


@pytest.mark.parametrize("next", ["/c/oak", "/c/oak/invoices/1?list=x", "/c/oak/billing"])
async def test_a_mailed_link_leads_to_the_clinics_own_login(site: Site, next: str) -> None:
    page = await site.get("/login", params={"next": next}, headers=PAGE)

    assert "Log in to Oak Street Physiotherapy" in page.text
    assert "/c/oak/theme.css?accent=" in page.text
    wrong = await site.log_in("ann@example.com", "not her password", next=next)
    assert wrong.status_code == 401
    assert "Log in to Oak Street Physiotherapy" in wrong.text


@pytest.mark.parametrize("next", ["/", "/c/nobody", "/c/OAK'--", "/c/", "//evil.test/c/oak", "/clinics"])
async def test_any_other_login_names_no_clinic(site: Site, next: str) -> None:
    page = await site.get("/login", params={"next": next}, headers=PAGE)

    assert page.status_code == 200
    assert "Log in to your Client Portal" in page.text


@pytest.mark.parametrize("referer", ["https://evil.test/c/oak", "nonsense", "//evil.test"])
async def test_another_sites_address_leads_nowhere(site: Site, referer: str) -> None:
    answer = await site.client.post(
        "/login", data=FORM, headers=PAGE | {"Referer": referer}, follow_redirects=False
    )

    assert answer.headers["location"] == "/login?why=again"
