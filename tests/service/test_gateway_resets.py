"""A new password for who forgot the old one: by a link that is e-mailed, and with words that tell strangers nothing."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from services.gateway.upstream.calls import Service
from tests.running.databases import ServiceDb
from tests.running.gateway import CLIENT, PASSWORD, Site, create_client, create_clinic
from tests.running.letters import Post, a_post, link_in, text_of

PAGE = {"Accept": "text/html"}
NEW = "a wholly new passphrase"


class Breaking(httpx2.AsyncBaseTransport):
    """The way to notification: it loses the answers to as many letters as are named, or refuses to connect."""

    def __init__(self, way: httpx2.AsyncBaseTransport) -> None:
        self.way, self.lost, self.closed, self.asked = way, 0, False, 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if not request.url.path.startswith("/letters/"):
            return await self.way.handle_async_request(request)
        self.asked += 1
        if self.closed:
            raise httpx2.ConnectError("closed by the test")
        answer = await self.way.handle_async_request(request)
        if self.lost:
            self.lost -= 1
            await answer.aread()
            raise httpx2.ReadError("lost by the test")
        return answer


@pytest.fixture
def ways() -> dict[Service, Breaking]:
    return {}


@pytest.fixture
async def post(
    db_gateway: ServiceDb,
    db_invoice: ServiceDb,
    db_payment: ServiceDb,
    db_notification: ServiceDb,
    ways: dict[Service, Breaking],
) -> AsyncIterator[Post]:
    """A clinic named oak, and ann with a login."""

    def through(service: Service, way: httpx2.AsyncBaseTransport) -> httpx2.AsyncBaseTransport:
        ways[service] = Breaking(way)
        return ways[service]

    async with a_post(db_gateway, db_invoice, db_payment, db_notification, through=through) as made:
        await create_client(made.site, await create_clinic(made.site))
        yield made


async def ask(site: Site, email: str = "ann@example.com", next: str = "/c/oak") -> Any:
    return await site.post_form("/password", {"email": email, "next": next}, headers=PAGE)


async def choose(site: Site, link: str, password: str = NEW) -> Any:
    path, _, query = link.partition("?")
    target = query.removeprefix("next=")
    return await site.post_form(path, {"password": password, "next": target}, headers=PAGE)


async def a_link(post: Post) -> str:
    await ask(post.site)
    return link_in(await post.one())


async def can_log_in(site: Site, password: str) -> bool:
    site.client.cookies.clear()
    return bool((await site.log_in("ann@example.com", password)).status_code == 303)


async def test_a_link_is_mailed_a_password_chosen_and_the_login_opens_with_it(post: Post) -> None:
    answer = await ask(post.site)
    assert (answer.status_code, answer.headers["location"]) == (303, "/password?sent=yes&next=%2Fc%2Foak")
    told = await post.site.get(answer.headers["location"], headers=PAGE)
    assert "Look at your e-mails" in told.text and "Oak Street Physiotherapy" in told.text

    letter = await post.one()
    assert (letter["To"], letter["Subject"]) == ("ann@example.com", "Choose a new password")
    assert "Oak Street Physiotherapy" in letter["From"]
    assert "The link works once, until" in text_of(letter)
    link = link_in(letter)
    page = await post.site.get(link, headers=PAGE)
    assert page.status_code == 200 and "ann@example.com" in page.text
    assert "Oak Street Physiotherapy" in page.text, "in the clinic's look"

    done = await choose(post.site, link)
    assert (done.status_code, done.headers["location"]) == (303, "/login?next=%2Fc%2Foak&why=chosen")
    login = await post.site.get(done.headers["location"], headers=PAGE)
    assert "Your password is changed. Log in with the new one." in login.text
    assert 'value="ann@example.com"' in login.text, "the address is filled in"
    post.site.client.cookies.delete("step")
    other = await post.site.get(done.headers["location"], headers=PAGE)
    assert "ann@example.com" not in other.text, "for this browser alone"
    assert not await can_log_in(post.site, PASSWORD)
    assert await can_log_in(post.site, NEW)

    notice = await post.one()
    assert (notice["To"], notice["Subject"]) == ("ann@example.com", "Your password was changed")
    assert link_in(notice) == "/password?next=/c/oak"


async def test_opening_the_link_uses_up_nothing_and_signs_in_nobody(post: Post) -> None:
    link = await a_link(post)

    for method in ("GET", "GET", "HEAD", "GET"):
        answer = await post.site.client.request(method, link, headers=PAGE, follow_redirects=False)
        assert (answer.status_code, method == "HEAD") == (200, not answer.content)
    assert post.site.cookie("session") is None
    assert (await choose(post.site, link)).status_code == 303
    assert post.site.cookie("session") is None, "and choosing a password signs in nobody either"


@pytest.mark.parametrize(
    "email",
    [
        "nobody@example.com",
        "off@example.com",
        "ann@example..com",
        "a" * 300 + "@example.com",
        "ann@example.com\r\nBcc: eve@example.com",
        "ann@example.com\x00",
        "Ann Byrne <ann@example.com>",
        "'; DROP TABLE logins; --@example.com",
        "ａｎｎ@example.com",
    ],
)
async def test_the_answer_does_not_tell_whether_there_is_a_login(
    post: Post, db_gateway: ServiceDb, email: str
) -> None:
    clinic = await db_gateway.admin.fetchval("SELECT clinic_id FROM portals")
    await create_client(post.site, {"id": clinic}, email="off@example.com")
    await db_gateway.admin.execute("UPDATE logins SET disabled_at = now() WHERE email = 'off@example.com'")
    await post.settle()

    known, other = await ask(post.site), await ask(post.site, email)

    assert (known.status_code, known.headers["location"], known.content) == (
        other.status_code,
        other.headers["location"],
        other.content,
    )
    letters = await post.settle()
    assert {letter["To"] for letter in letters} == {"ann@example.com"}


async def test_a_request_writes_one_row_and_looks_up_no_login(db_gateway: ServiceDb, post: Post) -> None:
    """So that its time tells nothing: the same statements run for every address."""
    await db_gateway.admin.execute("ALTER TABLE logins RENAME TO hidden")
    try:
        assert (await ask(post.site)).status_code == 303
        assert (await ask(post.site, "nobody@example.com")).status_code == 303
    finally:
        await db_gateway.admin.execute("ALTER TABLE hidden RENAME TO logins")
    assert len(await post.settle()) == 1


@pytest.mark.parametrize("email", ["", "   ", "ann", "@example.com", "ann@"])
async def test_what_is_no_address_at_all_is_said_and_kept(post: Post, email: str) -> None:
    answer = await ask(post.site, email)

    assert answer.status_code == 400
    assert "Type the e-mail address with which you log in" in answer.text
    assert 'name="next" value="/c/oak"' in answer.text and "Oak Street" in answer.text


async def test_a_link_works_once_also_in_two_tabs_at_once(post: Post) -> None:
    link = await a_link(post)
    path = link.partition("?")[0]
    form = {"_csrf_token": await post.site.csrf(), "next": "/c/oak"}

    answers = await asyncio.gather(
        *(
            post.site.client.post(
                path, data=form | {"password": f"{NEW} {n}"}, headers=PAGE, follow_redirects=False
            )
            for n in range(4)
        )
    )

    assert sorted(answer.status_code for answer in answers) == [303, 404, 404, 404]
    won = [answer.status_code for answer in answers].index(303)
    assert "This link does not work any more" in answers[won - 1].text
    assert [await can_log_in(post.site, f"{NEW} {n}") for n in range(4)] == [n == won for n in range(4)]
    again = await post.site.get(link, headers=PAGE)
    assert again.status_code == 404 and "This link does not work any more" in again.text


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE links SET ends_at = now()",
        "DELETE FROM links",
        "UPDATE logins SET disabled_at = now()",
        "UPDATE link_tokens SET token_hash = sha256('another')",
    ],
)
async def test_a_link_that_ended_changes_nothing(post: Post, db_gateway: ServiceDb, change: str) -> None:
    link = await a_link(post)
    await db_gateway.admin.execute(change)
    before = await db_gateway.admin.fetchval("SELECT password_hash FROM logins")

    assert (await post.site.get(link, headers=PAGE)).status_code == 404
    assert (await choose(post.site, link)).status_code == 404
    assert await db_gateway.admin.fetchval("SELECT password_hash FROM logins") == before
    assert await post.settle() == []


@pytest.mark.parametrize("token", ["x", "A" * 43, "%00", "..%2f..", "é" * 20, "a" * 3000])
async def test_made_up_tokens_open_nothing(post: Post, token: str) -> None:
    assert (await post.site.get(f"/password/{token}", headers=PAGE)).status_code == 404
    answer = await post.site.post_form(f"/password/{token}", {"password": NEW}, headers=PAGE)
    assert answer.status_code == 404


async def test_a_cut_link_opens_nothing_and_an_eager_password_keeps_the_link(post: Post) -> None:
    link = await a_link(post)
    path, _, query = link.partition("?")

    assert (await post.site.get(f"{path[:-1]}?{query}", headers=PAGE)).status_code == 404
    for short, words in (
        ("nine char", "Use at least 10 characters"),
        ("x" * 257, "Use at most 256 characters"),
        (" " * 12, "This shows nothing but spaces"),
        ("\u200b\u3000" * 6, "This shows nothing but spaces"),
    ):
        refused = await choose(post.site, link, short)
        assert refused.status_code == 400 and words in refused.text and short not in refused.text
    assert (await choose(post.site, link, "ten chars!")).status_code == 303
    assert await can_log_in(post.site, "ten chars!")


async def test_a_newer_request_ends_the_older_link(post: Post) -> None:
    first, second = await a_link(post), await a_link(post)

    assert (await choose(post.site, first)).status_code == 404
    assert (await choose(post.site, second)).status_code == 303


async def test_a_changed_password_ends_the_link(post: Post, db_gateway: ServiceDb) -> None:
    """A clinic chose the password; the operator replaces it when another clinic's membership waits."""
    link = await a_link(post)
    await db_gateway.admin.execute("UPDATE logins SET password_by = gen_random_uuid()")
    await create_client(post.site, await create_clinic(post.site, slug="elm"))

    assert (await choose(post.site, link)).status_code == 404


async def test_a_mailbox_gets_three_such_e_mails_an_hour_and_the_last_link_stays_good(
    post: Post, db_gateway: ServiceDb
) -> None:
    letters = []
    for _ in range(5):
        answer = await ask(post.site)
        assert (answer.status_code, answer.headers["location"]) == (303, "/password?sent=yes&next=%2Fc%2Foak")
        letters += await post.settle()
    works = [(await post.site.get(link_in(letter), headers=PAGE)).status_code for letter in letters]
    assert works == [404, 404, 200], "three, of which the newest works"

    await db_gateway.admin.execute("UPDATE attempts SET ends_at = now()")
    await ask(post.site)
    assert len(await post.settle()) == 1


async def ask_from(post: Post, monkeypatch: pytest.MonkeyPatch, address: str) -> list[Any]:
    monkeypatch.setattr("services.gateway.accounts.resets.routes.address_of", lambda _: address)
    answer = await ask(post.site)
    assert (answer.status_code, answer.headers["location"]) == (303, "/password?sent=yes&next=%2Fc%2Foak")
    return await post.settle()


async def test_a_stranger_uses_up_no_letters_of_the_owner(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        await ask_from(post, monkeypatch, "203.0.113.1")

    [letter] = await ask_from(post, monkeypatch, "192.0.2.7")

    assert (await choose(post.site, link_in(letter))).status_code == 303


async def test_many_strangers_flood_no_mailbox_and_its_owner_finds_a_link_in_it_or_gets_one(
    post: Post, db_gateway: ServiceDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = []
    for each in range(9):
        letters += await ask_from(post, monkeypatch, f"203.0.113.{each}")
    assert len(letters) == 6
    assert (await post.site.get(link_in(letters[-1]), headers=PAGE)).status_code == 200
    assert await ask_from(post, monkeypatch, "192.0.2.7") == [], "its link is in the mailbox"

    await db_gateway.admin.execute("UPDATE links SET ends_at = now() + interval '9 minutes'")
    [letter] = await ask_from(post, monkeypatch, "192.0.2.7")
    assert await ask_from(post, monkeypatch, "192.0.2.7") == []
    assert (await choose(post.site, link_in(letter))).status_code == 303


async def test_one_address_asks_twenty_times_and_others_still_can(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = [(await ask(post.site, f"nobody{n}@example.com")).status_code for n in range(21)]
    assert codes == [303] * 20 + [429]
    refused = await ask(post.site)
    assert refused.status_code == 429 and "Too many tries. Please wait" in refused.text
    assert 0 < int(refused.headers["retry-after"]) <= 900

    monkeypatch.setattr("services.gateway.accounts.resets.routes.address_of", lambda _: "192.0.2.7")
    assert (await ask(post.site)).status_code == 303
    assert await can_log_in(post.site, PASSWORD), "and the owner logs in as ever"


async def test_all_sessions_end_the_ones_of_another_login_in_this_browser_too(post: Post) -> None:
    link = await a_link(post)
    clinic = await post.gateway.admin.fetchval("SELECT clinic_id FROM portals")
    await create_client(post.site, {"id": clinic}, email="bob@example.com")
    await post.site.log_in("ann@example.com")
    hers = post.site.cookie("session") or ""
    post.site.client.cookies.clear()
    await post.site.log_in("bob@example.com")

    # Signed in, the login page leads on: the token is on any page.
    page = await post.site.get(link, headers=PAGE)
    token = re.search(r'name="_csrf_token" value="([^"]+)"', page.text)
    assert token is not None
    form = {"_csrf_token": token[1], "password": NEW}
    answer = await post.site.client.post(link.partition("?")[0], data=form, follow_redirects=False)

    assert answer.status_code == 303
    assert post.site.cookie("session") is None
    post.site.client.cookies.set("session", hers)
    away = await post.site.get("/c/oak", headers=PAGE)
    assert away.headers["location"] == "/login?next=%2Fc%2Foak&why=password"


async def test_a_password_of_ones_own_opens_clinics_that_waited_once_they_are_accepted(
    post: Post, db_gateway: ServiceDb
) -> None:
    """A clinic chose the first password, so a second clinic's membership waits for one that no clinic knows."""
    oak = await db_gateway.admin.fetchval("SELECT clinic_id FROM portals")
    await db_gateway.admin.execute("UPDATE logins SET password_by = $1", oak)
    elm = await create_clinic(post.site, slug="elm", name="Elm Clinic")
    key = await post.site.api("POST", f"/clinics/{elm['id']}/api-keys", json={"name": "elm's"})
    made = await post.site.api(
        "POST", f"/clinics/{elm['id']}/clients", key=key.json()["api_key"], json=CLIENT
    )
    assert made.status_code == 201
    await post.site.log_in("ann@example.com")
    assert "Elm Clinic" not in (await post.site.get("/clinics", headers=PAGE)).text
    post.site.client.cookies.clear()

    await choose(post.site, await a_link(post))

    assert await db_gateway.admin.fetchval("SELECT password_by FROM logins") is None
    await post.site.log_in("ann@example.com", NEW)
    page = (await post.site.get("/clinics", headers=PAGE)).text
    assert "Is this for you?" in page and "Elm Clinic" in page
    assert (await post.site.get("/c/elm", headers=PAGE)).status_code == 303, "not before it is accepted"


@pytest.mark.parametrize("lost", [1, 9])
async def test_a_lost_answer_leads_to_one_e_mail_whose_link_works(
    post: Post, ways: dict[Service, Breaking], lost: int
) -> None:
    ways["notification"].lost = lost

    link = await a_link(post)

    assert ways["notification"].asked > 1
    assert (await choose(post.site, link)).status_code == 303


async def test_a_letter_waits_for_notification(
    post: Post, db_gateway: ServiceDb, ways: dict[Service, Breaking]
) -> None:
    ways["notification"].closed = True
    await ask(post.site)
    async with asyncio.timeout(20):
        while not ways["notification"].asked:
            await asyncio.sleep(0.01)
    assert post.mail.inbox == []
    ways["notification"].closed = False
    async with asyncio.timeout(20):
        while await db_gateway.admin.fetchval("SELECT count(*) FROM letters"):
            await db_gateway.admin.execute("UPDATE letters SET next_at = now()")
            await asyncio.sleep(0.05)

    assert (await choose(post.site, link_in(await post.one()))).status_code == 303


async def test_a_letter_that_was_not_sent_before_its_link_ended_is_dropped_and_forgotten(
    post: Post, db_notification: ServiceDb
) -> None:
    post.mail.answers = ["451 4.3.0 later"]
    await ask(post.site)
    assert await post.settle() == []
    [row] = await db_notification.admin.fetch("SELECT * FROM letters")
    assert (row["state"], row["attempts"], row["email"]) == ("due", 1, "ann@example.com")

    await db_notification.admin.execute("UPDATE letters SET ends_at = now()")
    assert await post.settle() == []

    [row] = await db_notification.admin.fetch("SELECT * FROM letters")
    assert (row["state"], row["last_error"]) == ("dropped", "link_ended")
    assert (row["email"], row["path"]) == (None, None)


async def test_the_next_look_comes_no_later_than_the_end_of_the_link(
    post: Post, db_notification: ServiceDb
) -> None:
    await ask(post.site)
    await post.settle()
    await db_notification.admin.execute("DELETE FROM letters; DELETE FROM tasks")
    post.mail.answers = ["451 4.3.0 later"]
    await ask(post.site)
    await post.settle()
    await db_notification.admin.execute(
        "UPDATE tasks SET attempts = 15, due_at = now(); UPDATE letters SET attempts = 15"
    )
    await db_notification.admin.execute("UPDATE letters SET ends_at = now() + interval '5 minutes'")
    post.mail.answers = ["451 4.3.0 later"]

    await post.sender.send_due()

    soon = "SELECT due_at <= now() + interval '5 minutes' FROM tasks WHERE state = 'due'"
    assert await db_notification.admin.fetchval(soon)


@pytest.mark.parametrize("answer", ["250 OK", "550 5.1.1 nobody here"])
async def test_address_and_link_go_once_a_letter_is_sent_or_given_up(
    post: Post, db_notification: ServiceDb, db_gateway: ServiceDb, answer: str
) -> None:
    post.mail.recipient_answer = answer
    await ask(post.site)
    await post.settle()

    [row] = await db_notification.admin.fetch("SELECT * FROM letters")
    assert row["state"] == ("sent" if answer.startswith("250") else "failed")
    assert "ann@example.com" not in str(dict(row)) and "/password" not in str(dict(row))
    assert await db_notification.admin.fetchval("SELECT count(*) FROM outbox") == 0, "no event"
    assert await db_gateway.admin.fetchval("SELECT count(*) FROM letters") == 0


async def test_the_gateway_keeps_the_hash_of_a_token_and_no_token(post: Post, db_gateway: ServiceDb) -> None:
    link = await a_link(post)
    token = link.split("/")[2].partition("?")[0]
    assert len(token) == 43

    for db in (db_gateway, post.notification):
        tables = await db.admin.fetch(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
        )
        for (table,) in tables:
            rows = await db.admin.fetchval(f"SELECT string_agg(t::text, '') FROM {table} AS t")
            assert token not in (rows or ""), table


async def test_a_form_without_its_cookies_leads_to_its_own_page_again(post: Post) -> None:
    link = await a_link(post)
    path = link.partition("?")[0]
    for form in (path, "/password"):
        post.site.client.cookies.clear()
        referer = f"{str(post.site.client.base_url).rstrip('/')}{form}?next=/c/oak"
        answer = await post.site.client.post(
            form, data={"password": NEW}, headers=PAGE | {"Referer": referer}, follow_redirects=False
        )

        assert answer.headers["location"] == f"{form}?next=%2Fc%2Foak&why=again"
        page = await post.site.get(answer.headers["location"], headers=PAGE)
        assert page.status_code == 200 and "allow cookies" in page.text


async def test_another_sites_form_changes_nothing(post: Post) -> None:
    link = await a_link(post)
    form = {"_csrf_token": await post.site.csrf(), "password": NEW}
    headers = PAGE | {"Sec-Fetch-Site": "cross-site"}

    answer = await post.site.client.post(link, data=form, headers=headers, follow_redirects=False)

    assert answer.status_code == 403
    assert (await choose(post.site, link)).status_code == 303


@pytest.mark.parametrize(
    "next", ["//evil.test", "https://evil.test", "/c/nobody", "/", "/c/oak/invoices/" + "x" * 480]
)
async def test_a_link_leads_on_to_a_page_of_ours_alone(post: Post, next: str) -> None:
    await ask(post.site, next=next)
    link = link_in(await post.one())

    assert link.partition("?")[2] in ("", "next=/c/oak")
    assert (await choose(post.site, link)).headers["location"].startswith("/login?")
