"""The profile page: password, e-mail address and sessions of a login, changed by its owner alone."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from tests.running.databases import ServiceDb
from tests.running.gateway import PASSWORD, Site, a_login, create_client, create_clinic, reach
from tests.running.letters import Post, a_post, link_in, text_of

PAGE = {"Accept": "text/html"}
NEW = "a wholly new passphrase"


@pytest.fixture
async def post(
    db_gateway: ServiceDb, db_invoice: ServiceDb, db_payment: ServiceDb, db_notification: ServiceDb
) -> AsyncIterator[Post]:
    """A clinic named oak, and ann, who is logged in."""
    async with a_post(db_gateway, db_invoice, db_payment, db_notification) as made:
        await create_client(made.site, await create_clinic(made.site))
        await made.site.log_in("ann@example.com")
        yield made


@asynccontextmanager
async def another_browser(site: Site, password: str = PASSWORD, device: str = "") -> AsyncIterator[Site]:
    headers = {"User-Agent": device}
    async with httpx2.AsyncClient(
        transport=reach(site.app), base_url=site.client.base_url, headers=headers
    ) as client:
        other = Site(site.app, client, site.db, site.passwords)
        assert (await other.log_in("ann@example.com", password)).status_code == 303
        yield other


async def profile(site: Site) -> Any:
    return await site.get("/c/oak/profile", headers=PAGE)


async def send(site: Site, end: str, **form: str) -> Any:
    page = await profile(site)
    token = re.search(r'name="_csrf_token" value="([^"]+)"', page.text)
    data = {"_csrf_token": token[1] if token else "", **form}
    return await site.client.post(f"/c/oak/profile/{end}", data=data, headers=PAGE, follow_redirects=False)


async def confirm(site: Site, link: str) -> Any:
    form = {"_csrf_token": site.cookie("csrf") or "", "next": "/c/oak"}
    return await site.client.post(link.partition("?")[0], data=form, headers=PAGE, follow_redirects=False)


async def opens(site: Site, email: str, password: str) -> bool:
    async with httpx2.AsyncClient(transport=reach(site.app), base_url=site.client.base_url) as client:
        other = Site(site.app, client, site.db, site.passwords)
        return bool((await other.log_in(email, password)).status_code == 303)


async def test_the_page_says_who_is_logged_in_and_where(post: Post) -> None:
    async with another_browser(post.site):
        page = await profile(post.site)

    assert page.status_code == 200
    assert "Ann Byrne" in page.text and "ann@example.com" in page.text
    assert page.text.count("This device") == 1
    assert page.text.count("<strong>Another device or browser</strong>") == 1
    assert page.text.index("This device") < page.text.index("Another device or browser")


async def test_a_new_password_ends_all_other_sessions_and_is_told_to_the_address(post: Post) -> None:
    before = post.site.cookie("session")
    async with another_browser(post.site) as other:
        answer = await send(post.site, "password", present=PASSWORD, password=NEW)

        assert answer.headers["location"] == "/c/oak/profile?done=password"
        assert (
            "Your password is changed."
            in (await post.site.get(answer.headers["location"], headers=PAGE)).text
        )
        assert post.site.cookie("session") not in (None, before), "a new id"
        away = await other.get("/c/oak", headers=PAGE)
        assert away.headers["location"] == "/login?next=%2Fc%2Foak&why=password"
    assert not await opens(post.site, "ann@example.com", PASSWORD)
    assert await opens(post.site, "ann@example.com", NEW)
    notice = await post.one()
    assert (notice["To"], notice["Subject"]) == ("ann@example.com", "Your password was changed")


async def test_the_old_cookie_opens_nothing_after_a_new_password(post: Post) -> None:
    old = post.site.cookie("session") or ""
    await send(post.site, "password", present=PASSWORD, password=NEW)

    post.site.client.cookies.delete("session")
    post.site.client.cookies.set("session", old)
    assert (await profile(post.site)).status_code == 303


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"present": "not it", "password": NEW}, "The present password is not right."),
        ({"present": "", "password": NEW}, "The present password is not right."),
        ({"present": PASSWORD, "password": "short"}, "Use at least 10 characters"),
        ({"present": PASSWORD, "password": "x" * 257}, "Use at most 256 characters"),
        ({}, "Use at least 10 characters"),
    ],
)
async def test_a_wrong_form_changes_nothing(post: Post, form: dict[str, str], words: str) -> None:
    answer = await send(post.site, "password", **form)

    assert answer.status_code == 400 and words in answer.text
    assert await opens(post.site, "ann@example.com", PASSWORD)
    assert await post.settle() == []


async def test_a_thief_of_the_session_has_five_tries_at_the_password(post: Post) -> None:
    answers = [await send(post.site, "password", present=f"guess {n}", password=NEW) for n in range(6)]

    assert [answer.status_code for answer in answers] == [400] * 5 + [429]
    assert "Too many tries. Please wait" in answers[-1].text


async def test_a_new_address_is_the_logins_once_its_link_is_used(post: Post) -> None:
    answer = await send(post.site, "email", present=PASSWORD, email=" New@Example.com ")
    assert answer.headers["location"] == "/c/oak/profile?done=email"
    letter = await post.one()
    assert (letter["To"], letter["Subject"]) == ("new@example.com", "Confirm your new e-mail address")
    assert await opens(post.site, "ann@example.com", PASSWORD), "not yet"

    link = link_in(letter)
    for _ in range(2):
        page = await post.site.get(link, headers=PAGE)
        assert page.status_code == 200 and "new@example.com" in page.text
    confirmed = await confirm(post.site, link)

    assert confirmed.headers["location"] == "/login?next=%2Fc%2Foak&why=email"
    async with httpx2.AsyncClient(transport=reach(post.site.app), base_url="http://portal.test") as client:
        client.cookies.set("step", post.site.cookie("step") or "")
        login = await client.get(confirmed.headers["location"], headers=PAGE)
        assert 'value="new@example.com"' in login.text, "the address is filled in"
    assert await opens(post.site, "new@example.com", PASSWORD)
    assert not await opens(post.site, "ann@example.com", PASSWORD)
    assert "new@example.com" in (await profile(post.site)).text, "this session goes on"
    notice = await post.one()
    assert (notice["To"], notice["Subject"]) == (
        "ann@example.com",
        "You log in with another e-mail address now",
    )
    assert "new@example.com" not in text_of(notice)
    assert (await post.site.get(link, headers=PAGE)).status_code == 404, "it worked once"


async def test_an_address_that_has_a_login_is_told_to_nobody_and_taken_by_nobody(post: Post) -> None:
    clinic = await post.gateway.admin.fetchval("SELECT clinic_id FROM portals")
    await create_client(post.site, {"id": clinic}, email="bob@example.com")

    answers = [
        await send(post.site, "email", present=PASSWORD, email=email)
        for email in ("bob@example.com", "nobody@example.com")
    ]
    assert answers[0].status_code == answers[1].status_code == 303
    assert answers[0].headers["location"] == answers[1].headers["location"]
    await post.settle()

    await send(post.site, "email", present=PASSWORD, email="bob@example.com")
    link = link_in(await post.one())
    taken = await confirm(post.site, link)
    assert taken.status_code == 404 and "another login has" in taken.text
    assert await opens(post.site, "ann@example.com", PASSWORD)
    assert await post.settle() == []


@pytest.mark.parametrize("email", ["", "nonsense", "a@b\r\nBcc: eve@example.com", "x" * 400 + "@example.com"])
async def test_what_is_no_address_is_said_and_nothing_sent(post: Post, email: str) -> None:
    answer = await send(post.site, "email", present=PASSWORD, email=email)

    assert answer.status_code == 400 and "Type the new e-mail address" in answer.text
    assert await post.settle() == []


async def test_a_new_address_needs_the_present_password(post: Post) -> None:
    answer = await send(post.site, "email", present="not it", email="new@example.com")

    assert answer.status_code == 400 and "The present password is not right." in answer.text
    assert 'value="new@example.com"' in answer.text, "what was typed stays"
    assert await post.settle() == []


async def test_a_new_password_ends_a_link_to_a_new_address(post: Post) -> None:
    await send(post.site, "email", present=PASSWORD, email="thief@example.com")
    link = link_in(await post.one())
    await send(post.site, "password", present=PASSWORD, password=NEW)

    assert (await confirm(post.site, link)).status_code == 404


@pytest.mark.parametrize("page", ["password", "invitation"])
async def test_a_link_to_a_new_address_opens_no_other_page(post: Post, page: str) -> None:
    await send(post.site, "email", present=PASSWORD, email="ann.new@example.com")
    token = link_in(await post.one()).split("/")[2].partition("?")[0]

    opened = await post.site.get(f"/{page}/{token}", headers=PAGE)
    form = {"_csrf_token": post.site.cookie("csrf") or "", "password": NEW}
    used = await post.site.client.post(f"/{page}/{token}", data=form, headers=PAGE, follow_redirects=False)

    assert (opened.status_code, used.status_code) == (404, 404)
    assert not await opens(post.site, "ann@example.com", NEW)
    assert await opens(post.site, "ann@example.com", PASSWORD)


async def test_one_other_session_is_ended_by_its_device_and_told_why(post: Post) -> None:
    windows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
    async with another_browser(post.site, device=windows) as other, another_browser(post.site) as third:
        page = await profile(post.site)
        assert "Firefox on Windows" in page.text and "Another device or browser" in page.text
        [handle] = re.findall(r'sessions/([0-9a-f]{64})/end">[^>]*>[^>]*Log out Firefox', page.text)

        answer = await send(post.site, f"sessions/{handle}/end")

        assert answer.headers["location"] == "/c/oak/profile?done=session"
        page = await post.site.get(answer.headers["location"], headers=PAGE)
        assert "That device is logged out." in page.text and "Firefox on Windows" not in page.text
        away = await other.get("/c/oak", headers=PAGE)
        assert away.headers["location"] == "/login?next=%2Fc%2Foak&why=elsewhere"
        assert (await third.get("/c/oak/profile", headers=PAGE)).status_code == 200
        again = await send(post.site, f"sessions/{handle}/end")
        assert again.status_code == 303, "a second press does no harm"


@pytest.mark.parametrize("handle", ["bob", "0" * 64, "zz", "%00", "0" * 63 + "G"])
async def test_a_session_of_another_login_is_ended_by_nobody_else(
    post: Post, db_gateway: ServiceDb, handle: str
) -> None:
    clinic = await db_gateway.admin.fetchval("SELECT clinic_id FROM portals")
    await create_client(post.site, {"id": clinic}, email="bob@example.com")
    async with httpx2.AsyncClient(
        transport=reach(post.site.app), base_url=post.site.client.base_url
    ) as client:
        bob = Site(post.site.app, client, post.site.db, post.site.passwords)
        await bob.log_in("bob@example.com")
        ids = "SELECT encode(id_hash, 'hex') FROM sessions JOIN logins ON id = login_id WHERE email = 'bob@example.com'"
        named = await db_gateway.admin.fetchval(ids) if handle == "bob" else handle

        answer = await send(post.site, f"sessions/{named}/end")

        assert answer.status_code in (303, 400, 404)
        assert (await bob.get("/c/oak/profile", headers=PAGE)).status_code == 200


async def test_log_out_everywhere_ends_every_session_and_says_so(post: Post) -> None:
    async with another_browser(post.site) as other:
        answer = await send(post.site, "sessions/end")

        assert answer.headers["location"] == "/login?next=/c/oak&why=everywhere"
        assert post.site.cookie("session") is None
        page = await post.site.get(answer.headers["location"], headers=PAGE)
        assert "You are logged out everywhere." in page.text
        away = await other.get("/c/oak", headers=PAGE)
        assert away.headers["location"] == "/login?next=%2Fc%2Foak&why=everywhere"
    assert await opens(post.site, "ann@example.com", PASSWORD)


@pytest.mark.parametrize(
    ("end", "form"),
    [
        ("password", {"present": PASSWORD, "password": NEW}),
        ("email", {"present": PASSWORD, "email": "staff@oak.example"}),
    ],
)
async def test_a_clinic_that_knows_the_password_cannot_take_the_login_over(
    post: Post, db_gateway: ServiceDb, end: str, form: dict[str, str]
) -> None:
    """Otherwise its staff could open the membership of another clinic that waits for the person."""
    await db_gateway.admin.execute("UPDATE logins SET password_by = (SELECT clinic_id FROM portals)")
    page = await profile(post.site)
    assert "Choose a password of your own" in page.text and 'name="present"' not in page.text

    answer = await send(post.site, end, **form)

    assert answer.status_code == 409 and "Nothing was changed." in answer.text
    assert await post.settle() == []
    assert await opens(post.site, "ann@example.com", PASSWORD)


async def test_a_link_to_a_new_address_ends_when_a_clinic_gets_to_know_the_password(
    post: Post, db_gateway: ServiceDb
) -> None:
    await send(post.site, "email", present=PASSWORD, email="new@example.com")
    link = link_in(await post.one())
    await db_gateway.admin.execute("UPDATE logins SET password_by = (SELECT clinic_id FROM portals)")

    assert (await confirm(post.site, link)).status_code == 404


async def test_staff_have_the_page_too(post: Post, db_gateway: ServiceDb) -> None:
    clinic = await db_gateway.admin.fetchval("SELECT clinic_id FROM portals")
    await a_login(post.site.db, clinic, "staff@example.com", role="staff")
    post.site.client.cookies.clear()
    await post.site.log_in("staff@example.com")

    page = await profile(post.site)
    assert page.status_code == 200 and "Staff of Oak Street Physiotherapy" in page.text
    answer = await send(post.site, "password", present=PASSWORD, password=NEW)
    assert answer.headers["location"] == "/c/oak/profile?done=password"
    rows = await db_gateway.admin.fetch("SELECT role FROM audit WHERE action = 'change_password'")
    assert [row["role"] for row in rows] == ["staff"], "what staff did is audited"
