"""A login by a code that is e-mailed: once, for ten minutes, in the browser that asked, and of no help to strangers."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import Any

import httpx2
import pyotp
import pytest

from services.chassis import clock
from services.gateway.accounts.sealing import MailedCodes
from tests.running.databases import ServiceDb
from tests.running.gateway import PASSWORD, Site, create_client, create_clinic, reach
from tests.running.letters import Post, a_post, link_in, text_of

PAGE = {"Accept": "text/html"}
ANN = "ann@example.com"


@pytest.fixture
async def post(
    db_gateway: ServiceDb, db_invoice: ServiceDb, db_payment: ServiceDb, db_notification: ServiceDb
) -> AsyncIterator[Post]:
    """A clinic named oak, and ann with a login; behind a proxy, so that a browser's address is the forwarded one."""
    async with a_post(
        db_gateway, db_invoice, db_payment, db_notification, trusted_proxies="127.0.0.1"
    ) as made:
        await create_client(made.site, await create_clinic(made.site))
        yield made


@asynccontextmanager
async def a_browser(post: Post, address: str = "198.51.100.7") -> AsyncIterator[Site]:
    async with httpx2.AsyncClient(
        transport=reach(post.site.app),
        base_url=post.site.client.base_url,
        headers={"X-Forwarded-For": address},
    ) as client:
        yield Site(post.site.app, client, post.site.db, post.site.passwords)


@pytest.fixture
async def owner(post: Post) -> AsyncIterator[Site]:
    """A browser that no login knows."""
    async with a_browser(post) as browser:
        yield browser


async def ask(site: Site, email: str = ANN, next: str = "/c/oak/billing") -> Any:
    return await site.post_form("/login/code", {"email": email, "next": next}, headers=PAGE)


async def send(site: Site, code: str, next: str = "/c/oak/billing") -> Any:
    return await site.post_form("/login/code/sent", {"code": code, "next": next}, headers=PAGE)


async def press(site: Site, link: str) -> Any:
    path, _, query = link.partition("?")
    form = {"next": query.removeprefix("next=")}
    return await site.post_form(path, form, headers=PAGE)


def code_in(letter: EmailMessage) -> str:
    """The code, in both parts alike."""
    html = letter.get_body(("html",))
    [code] = (line for line in text_of(letter).splitlines() if re.fullmatch("[a-z0-9]{4}-[a-z0-9]{4}", line))
    assert html is not None and str(html.get_content()).count(code) == 1
    return code


async def is_in(site: Site) -> bool:
    return bool((await site.get("/c/oak/profile", headers=PAGE)).status_code == 200)


async def test_a_code_is_mailed_and_opens_the_login_without_a_password(post: Post, owner: Site) -> None:
    asked = await ask(owner)
    assert (asked.status_code, asked.headers["location"]) == (
        303,
        "/login/code/sent?next=%2Fc%2Foak%2Fbilling",
    )
    page = await owner.get(asked.headers["location"], headers=PAGE)
    assert page.status_code == 200 and ANN in page.text and "Oak Street Physiotherapy" in page.text
    letter = await post.one()
    assert (letter["To"], letter["Subject"]) == (ANN, "Your code to log in")
    assert code_in(letter) not in letter["Subject"] and "until" in text_of(letter)
    assert not await is_in(owner)

    done = await send(owner, code_in(letter))

    assert (done.status_code, done.headers["location"]) == (303, "/c/oak/billing")
    assert await is_in(owner) and owner.cookie("step") is None
    assert owner.cookie("device") is not None, "the login knows the browser from now on"


@pytest.mark.parametrize("written", [" {} ", "{0}", "{1}", "{2}"])
async def test_a_code_may_be_typed_without_its_hyphen_and_in_capitals(
    post: Post, owner: Site, written: str
) -> None:
    await ask(owner)
    code = code_in(await post.one())

    typed = written.format(code, code.upper(), code.replace("-", " "))

    assert (await send(owner, typed)).status_code == 303 and await is_in(owner)


async def test_a_link_signs_in_nobody_until_the_button_is_pressed(post: Post, owner: Site) -> None:
    await ask(owner)
    link = link_in(await post.one())
    assert link.endswith("?next=/c/oak/billing")

    for method in ("GET", "GET", "HEAD", "GET"):
        page = await owner.client.request(method, link, headers=PAGE, follow_redirects=False)
        assert page.status_code == 200
    assert "You log in as" in page.text and ANN in page.text
    assert owner.cookie("session") is None and not await is_in(owner)
    done = await press(owner, link)
    assert done.headers["location"] == "/c/oak/billing" and await is_in(owner)


async def test_a_link_and_a_code_open_nothing_in_another_browser(post: Post, owner: Site) -> None:
    """Who is talked into opening a stranger's link, or reads a code to one, logs nobody in there by a press."""
    await ask(owner)
    letter = await post.one()
    async with a_browser(post) as fresh, a_browser(post) as asked:
        await ask(asked)
        for other in (fresh, asked):
            page = await other.get(link_in(letter), headers=PAGE)
            assert page.status_code == 404 and "This link does not work here" in page.text
            assert ANN not in page.text
            assert (await press(other, link_in(letter))).status_code == 404
            refused = await send(other, code_in(letter))
            assert refused.status_code in (303, 401) and not await is_in(other)
    assert (await press(owner, link_in(letter))).status_code == 303 and await is_in(owner)


@pytest.mark.parametrize("way", ["code", "link"])
async def test_a_code_works_once_also_in_two_tabs_at_once(post: Post, owner: Site, way: str) -> None:
    await ask(owner)
    letter = await post.one()
    code, link = code_in(letter), link_in(letter)
    token = await owner.csrf()
    path = "/login/code/sent" if way == "code" else link.partition("?")[0]
    form = {"_csrf_token": token, "code": code}
    cookies = dict(owner.client.cookies)

    answers = await asyncio.gather(
        *(owner.client.post(path, data=form, headers=PAGE, follow_redirects=False) for _ in range(4))
    )

    begun = [answer for answer in answers if "session=" in answer.headers.get("set-cookie", "")]
    assert len(begun) == 1
    async with a_browser(post) as thief:
        thief.client.cookies.update(cookies)
        assert "/login/code?" in (await send(thief, code)).headers["location"], "the step has ended"
        assert (await press(thief, link)).status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE links SET ends_at = app_now()",
        "DELETE FROM links",
        "UPDATE logins SET disabled_at = now()",
        "UPDATE link_tokens SET token_hash = sha256('another'), code_hash = sha256('another')",
        "UPDATE login_steps SET ends_at = app_now()",
    ],
)
async def test_a_code_that_ended_opens_nothing(
    post: Post, owner: Site, db_gateway: ServiceDb, change: str
) -> None:
    await ask(owner)
    letter = await post.one()
    await db_gateway.admin.execute(change)

    assert (await owner.get(link_in(letter), headers=PAGE)).status_code == 404
    assert (await press(owner, link_in(letter))).status_code == 404
    assert (await send(owner, code_in(letter))).status_code in (401, 303)
    assert not await is_in(owner)


async def test_a_code_lasts_ten_minutes(post: Post, owner: Site, db_gateway: ServiceDb) -> None:
    await ask(owner)
    await post.one()

    for table in ("links", "login_steps"):
        left = await db_gateway.admin.fetchval(
            f"SELECT max(ends_at) - app_now() <= '10 minutes' FROM {table}"
        )
        assert left is True


@pytest.mark.parametrize("end", ["everywhere", "password"])
async def test_what_ends_sessions_ends_codes_too(post: Post, owner: Site, end: str) -> None:
    await ask(owner)
    letter = await post.one()
    async with a_browser(post, "203.0.113.5") as inside:
        await inside.log_in(ANN)
        page = await inside.get("/c/oak/profile", headers=PAGE)
        token = re.search(r'name="_csrf_token" value="([^"]+)"', page.text)
        assert token is not None
        form = {"_csrf_token": token[1], "present": PASSWORD, "password": "a wholly new passphrase"}
        path = "password" if end == "password" else "sessions/end"
        done = await inside.client.post(f"/c/oak/profile/{path}", data=form, follow_redirects=False)
        assert done.status_code == 303

    assert (await send(owner, code_in(letter))).status_code == 401
    assert not await is_in(owner)


async def test_a_second_factor_is_asked_for_after_the_code(
    post: Post, owner: Site, db_gateway: ServiceDb
) -> None:
    """The mailbox alone does not open such a login."""
    async with a_browser(post, "203.0.113.5") as inside:
        await inside.log_in(ANN)
        secret = await switch_on(inside)
    await post.settle()
    await ask(owner)
    letter = await post.one()

    done = await send(owner, code_in(letter))

    assert done.headers["location"] == "/login/second?next=%2Fc%2Foak%2Fbilling"
    assert owner.cookie("session") is None and not await is_in(owner)
    await db_gateway.admin.execute("UPDATE second_factors SET used_step = 0")
    form = {
        "_csrf_token": owner.cookie("csrf") or "",
        "code": pyotp.TOTP(secret).at(int(clock.now().timestamp())),
    }
    await owner.client.post("/login/second", data=form, headers=PAGE, follow_redirects=False)
    assert await is_in(owner)


async def switch_on(site: Site) -> str:
    """Codes of an app, switched on in the browser of who is logged in; the app's secret."""

    async def profile(end: str, **form: str) -> Any:
        page = await site.get("/c/oak/profile", headers=PAGE)
        token = re.search(r'name="_csrf_token" value="([^"]+)"', page.text)
        assert token is not None
        data = {"_csrf_token": token[1], **form}
        return await site.client.post(f"/c/oak/profile/{end}", data=data, headers=PAGE, follow_redirects=True)

    page = await profile("second-factor", present=PASSWORD)
    found = re.search(r'href="(otpauth://[^"]+)"', page.text)
    assert found is not None
    secret = str(pyotp.parse_uri(found[1].replace("&amp;", "&")).secret)
    now = int(clock.now().timestamp())
    done = await profile("second-factor/confirm", code=pyotp.TOTP(secret).at(now))
    assert done.status_code == 200
    return secret


@pytest.mark.parametrize(
    "email",
    [
        "nobody@example.com",
        "off@example.com",
        "a" * 300 + "@example.com",
        "ann@example.com\r\nBcc: eve@example.com",
        "ann@example.com\x00",
        "Ann Byrne <ann@example.com>",
        "'; DROP TABLE logins; --@example.com",
    ],
)
async def test_no_answer_tells_whether_there_is_a_login(
    post: Post, db_gateway: ServiceDb, email: str
) -> None:
    clinic = await db_gateway.admin.fetchval("SELECT clinic_id FROM portals")
    await create_client(post.site, {"id": clinic}, email="off@example.com")
    await db_gateway.admin.execute("UPDATE logins SET disabled_at = now() WHERE email = 'off@example.com'")
    await post.settle()

    async with a_browser(post) as one, a_browser(post) as two:
        shown = []
        for site, address in ((one, ANN), (two, email)):
            asked = await ask(site, address)
            await post.settle()
            page = await site.get(asked.headers["location"], headers=PAGE)
            tries = [await send(site, "aaaa-aaaa") for _ in range(6)]
            shown.append(
                [asked.status_code, asked.headers["location"], page.status_code]
                + [(each.status_code, _without_its_own(each.text)) for each in tries]
            )

    assert shown[0] == shown[1]
    assert {letter["To"] for letter in post.mail.inbox} == {ANN}


def _without_its_own(page: str) -> str:
    """A page without what the browser typed itself, and its tokens."""
    page = re.sub(r'<span class="address">[^<]*</span>', "", page)
    return re.sub(r'(value|content)="[0-9a-f]{64,}"', "", page)


async def test_a_request_looks_up_no_login_whatever_was_typed(
    post: Post, owner: Site, db_gateway: ServiceDb
) -> None:
    """So that its time tells nothing: the same statements run for every address."""
    await db_gateway.admin.execute("ALTER TABLE logins RENAME TO hidden")
    try:
        assert (await ask(owner)).status_code == 303
        async with a_browser(post) as other:
            assert (await ask(other, "nobody@example.com")).status_code == 303
    finally:
        await db_gateway.admin.execute("ALTER TABLE hidden RENAME TO logins")
    assert len(await post.settle()) == 1


@pytest.mark.parametrize("email", ["", "   ", "ann", "@example.com", "ann@"])
async def test_what_is_no_address_at_all_is_said_and_kept(post: Post, owner: Site, email: str) -> None:
    answer = await ask(owner, email)

    assert answer.status_code == 400 and "No code was sent" in answer.text
    assert 'name="next" value="/c/oak/billing"' in answer.text and "Oak Street" in answer.text
    assert owner.cookie("step") is None


@pytest.mark.parametrize("token", ["x", "A" * 43, "%00", "..%2f..", "é" * 20, "a" * 3000])
async def test_made_up_links_open_nothing(post: Post, owner: Site, token: str) -> None:
    await ask(owner)

    assert (await owner.get(f"/login/link/{token}", headers=PAGE)).status_code == 404
    assert (await owner.post_form(f"/login/link/{token}", {}, headers=PAGE)).status_code == 404


@pytest.mark.parametrize("code", ["", "x", "0" * 3000, "\x00", "é" * 64, "aaaa-aaaa", "'; --"])
async def test_made_up_codes_open_nothing(post: Post, owner: Site, code: str) -> None:
    await ask(owner)
    letter = await post.one()

    assert (await send(owner, code)).status_code == 401
    assert not await is_in(owner)
    assert (await send(owner, code_in(letter))).status_code == 303


async def test_who_has_not_asked_is_led_to_the_page_that_asks(post: Post, owner: Site) -> None:
    for answer in (await owner.get("/login/code/sent?next=/c/oak"), await send(owner, "aaaa-aaaa", "/c/oak")):
        assert answer.headers["location"] == "/login/code?next=%2Fc%2Foak&why=late"
    page = await owner.get("/login/code?next=/c/oak&why=late", headers=PAGE)
    assert "That took too long. Ask for a new code." in page.text
    assert (await ask(owner, next="//evil.example")).headers["location"] == "/login/code/sent"


async def test_five_tries_then_a_new_code_and_nobody_elses_tries_count(post: Post, owner: Site) -> None:
    async with a_browser(post, "203.0.113.5") as stranger:
        await ask(owner)
        await ask(stranger)
        letters = await post.settle()
        assert len(letters) == 2
        assert [(await send(stranger, "aaaa-aaaa")).status_code for _ in range(6)] == [401] * 5 + [429]
        assert [(await send(owner, "aaaa-aaaa")).status_code for _ in range(5)] == [401] * 5
        refused = await send(owner, code_in(letters[0]))
        assert refused.status_code == 429 and "Ask for a new code" in refused.text
        await ask(owner)
        assert (await send(owner, code_in(await post.one()))).status_code == 303


async def test_a_newer_code_ends_the_older_one_of_this_browser_alone(post: Post, owner: Site) -> None:
    async with a_browser(post, "203.0.113.5") as other:
        await ask(other)
        theirs = await post.one()
        await ask(owner)
        first = await post.one()
        await ask(owner)
        second = await post.one()

        assert (await send(owner, code_in(first))).status_code == 401
        assert (await send(owner, code_in(second))).status_code == 303
        assert (await send(other, code_in(theirs))).status_code == 303


async def test_a_request_too_many_leaves_the_last_code_as_it_is(post: Post, owner: Site) -> None:
    for _ in range(3):
        await ask(owner)
        letter = await post.one()

    await ask(owner)

    assert await post.settle() == []
    assert (await send(owner, code_in(letter))).status_code == 303


async def test_strangers_flood_no_mailbox_and_keep_out_no_browser_that_the_login_knows(
    post: Post, owner: Site
) -> None:
    await owner.log_in(ANN)
    owner.client.cookies.delete("session")
    for number in range(10):
        async with a_browser(post, f"203.0.113.{number}") as stranger:
            await ask(stranger)
    assert len(await post.settle()) == 6
    async with a_browser(post, "203.0.113.99") as unknown:
        await ask(unknown)
        assert await post.settle() == []

    letters = []
    for _ in range(7):
        await ask(owner)
        letters += await post.settle()

    assert len(letters) == 5, "its own letters have a limit too"
    assert (await send(owner, code_in(letters[-1]))).status_code == 303
    assert (await post.site.log_in(ANN)).status_code == 303, "and the password opens the login all the same"


async def test_an_address_of_the_network_asks_twenty_times(post: Post) -> None:
    async with a_browser(post) as stranger:
        answers = [(await ask(stranger, f"{n}@example.com")).status_code for n in range(21)]
        refused = await ask(stranger)

    assert answers == [303] * 20 + [429]
    assert refused.status_code == 429 and "Please wait" in refused.text and refused.headers["Retry-After"]


async def test_who_asks_for_a_code_is_no_browser_that_the_login_knows(post: Post) -> None:
    """Otherwise a stranger would get five tries at the password with each request for a code."""
    async with a_browser(post) as stranger:
        await ask(stranger)
        tries = [(await stranger.log_in(ANN, "wrong")).status_code for _ in range(5)]
        await ask(stranger)
        assert tries == [401] * 5
        assert (await stranger.log_in(ANN, "wrong")).status_code == 429


async def test_the_database_has_neither_code_nor_token_and_notification_forgets_them(
    post: Post, owner: Site, db_gateway: ServiceDb, db_notification: ServiceDb
) -> None:
    await ask(owner)
    letter = await post.one()

    code, link = code_in(letter), link_in(letter)
    token = link.removeprefix("/login/link/").partition("?")[0]
    for db in (db_gateway, db_notification):
        rows = await db.admin.fetchval(
            """
            SELECT string_agg(query_to_xml(format('SELECT * FROM %I', tablename), true, false, '')::text, '')
            FROM pg_tables WHERE schemaname = 'public'
            """
        )
        assert code not in rows and code.replace("-", "") not in rows and token not in rows
    kept = await db_gateway.admin.fetchval("SELECT code_hash FROM link_tokens")
    assert kept not in MailedCodes((b"another-key-of-thirty-two-characters",)).hashes(code)


def test_a_code_that_an_earlier_key_hashed_works_while_keys_are_replaced() -> None:
    old, new = b"an-older-key-of-thirty-two-characters", b"a-newer-key-of-thirty-two-characters"
    code, kept = MailedCodes((old,)).new()

    assert kept in MailedCodes((new, old)).hashes(code)
    assert kept not in MailedCodes((new,)).hashes(code)


async def test_a_form_of_a_browser_that_lost_its_cookies_begins_again(post: Post, owner: Site) -> None:
    answer = await owner.client.post(
        "/login/code/sent", data={"code": "x"}, headers=PAGE, follow_redirects=False
    )

    assert answer.headers["location"] == "/login/code/sent?why=again"
    assert (
        (await owner.get("/login/code/sent?why=again", headers=PAGE))
        .headers["location"]
        .startswith("/login/code")
    )
