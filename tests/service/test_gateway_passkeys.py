"""Passkeys: added by the owner alone, and a login by one; answers that are wrong in any part open nothing."""

import asyncio
import html
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pyotp
import pytest

from services.chassis import clock
from tests.running.authenticator import Authenticator
from tests.running.databases import ServiceDb
from tests.running.gateway import PASSWORD, Site, a_site, create_client, create_clinic, reach
from tests.running.letters import Post, a_post, link_in, text_of

PAGE = {"Accept": "text/html"}
ANN, BOB = "ann@example.com", "bob@example.com"
NEW = "a wholly new passphrase"


@pytest.fixture
async def post(
    db_gateway: ServiceDb, db_invoice: ServiceDb, db_payment: ServiceDb, db_notification: ServiceDb
) -> AsyncIterator[Post]:
    """A clinic named oak; ann and bob have logins."""
    async with a_post(db_gateway, db_invoice, db_payment, db_notification) as made:
        clinic = await create_clinic(made.site)
        await create_client(made.site, clinic)
        await create_client(made.site, clinic, name="Bob Byrne", email=BOB)
        yield made


@asynccontextmanager
async def a_browser(post: Post) -> AsyncIterator[Site]:
    async with httpx2.AsyncClient(
        transport=reach(post.site.app), base_url=post.site.client.base_url
    ) as client:
        yield Site(post.site.app, client, post.site.db, post.site.passwords)


@pytest.fixture
async def ann(post: Post) -> Site:
    """Her browser, in which she is logged in."""
    await post.site.log_in(ANN)
    return post.site


async def profile(site: Site, end: str, **form: str) -> Any:
    page = await site.get("/c/oak/profile", headers=PAGE)
    token = re.search(r'name="_csrf_token" value="([^"]+)"', page.text)
    data = {"_csrf_token": token[1] if token else "", **form}
    return await site.client.post(f"/c/oak/profile/{end}", data=data, headers=PAGE, follow_redirects=False)


async def prepared(site: Site, **form: str) -> dict[str, Any]:
    """The options of the page that makes a passkey."""
    started = await profile(site, "passkeys", **{"present": PASSWORD, **form})
    assert started.headers.get("location") == "/c/oak/profile/passkeys", started.text
    page = await site.get("/c/oak/profile/passkeys", headers=PAGE)
    found = re.search(r'data-options="([^"]+)"', page.text)
    assert found is not None
    options: dict[str, Any] = json.loads(html.unescape(found[1]))
    return options


async def added(site: Site, name: str = "My phone", **device: Any) -> Authenticator:
    made = Authenticator(**device)
    answer = made.make(await prepared(site))
    done = await profile(site, "passkeys/made", name=name, credential=answer)
    assert done.headers.get("location") == "/c/oak/profile?done=passkey", done.text
    return made


async def challenge(site: Site) -> dict[str, Any]:
    token = await site.csrf()
    answer = await site.client.post("/login/passkey/options", headers={"x-csrftoken": token})
    assert answer.status_code == 200, answer.text
    options: dict[str, Any] = answer.json()
    return options


async def send(site: Site, credential: str, next: str = "/c/oak/billing") -> Any:
    form = {"_csrf_token": site.cookie("csrf") or "", "credential": credential, "next": next}
    return await site.client.post("/login/passkey", data=form, headers=PAGE, follow_redirects=False)


async def is_in(site: Site, email: str = ANN) -> bool:
    page = await site.get("/c/oak/profile", headers=PAGE)
    return page.status_code == 200 and email in page.text


def is_refused(answer: Any) -> bool:
    return bool(answer.headers.get("location") == "/login?next=%2Fc%2Foak%2Fbilling&why=passkey")


async def test_a_passkey_is_added_named_told_and_opens_the_login(post: Post, ann: Site) -> None:
    device = await added(ann, " My\n phone ")
    page = await ann.get("/c/oak/profile", headers=PAGE)
    assert "My phone" in page.text and "Not used yet" in page.text
    notice = await post.one()
    assert (notice["To"], notice["Subject"]) == (ANN, "A passkey was added to your login")
    assert link_in(notice) == "/password?next=/c/oak"

    async with a_browser(post) as other:
        options = await challenge(other)
        assert (options["rpId"], options["userVerification"]) == ("portal.test", "required")
        assert options["allowCredentials"] == [], "no login is named"
        done = await send(other, device.use(options))
        assert (done.status_code, done.headers["location"]) == (303, "/c/oak/billing")
        assert await is_in(other) and other.cookie("step") is None
        assert "Last used" in (await other.get("/c/oak/profile", headers=PAGE)).text


async def test_the_options_ask_for_a_passkey_that_unlocks_and_is_found_without_a_name(ann: Site) -> None:
    first = await added(ann)
    options = await prepared(ann)

    chosen = options["authenticatorSelection"]
    assert (chosen["residentKey"], chosen["userVerification"]) == ("required", "required")
    assert options["attestation"] == "none" and options["rp"]["id"] == "portal.test"
    assert len(options["excludeCredentials"]) == 1
    assert ANN not in json.dumps(options["user"]["id"]) and first.user != b""


async def test_a_passkey_stands_for_the_second_factor_and_takes_it_to_be_added(ann: Site, post: Post) -> None:
    codes = await switch_on(ann)
    refused = await profile(ann, "passkeys", present=PASSWORD)
    assert refused.status_code == 400 and "The code is not right." in refused.text
    device = Authenticator()
    answer = device.make(await prepared(ann, code=codes[0]))
    assert (await profile(ann, "passkeys/made", credential=answer)).status_code == 303

    async with a_browser(post) as other:
        done = await send(other, device.use(await challenge(other)))
        assert done.headers["location"] == "/c/oak/billing" and await is_in(other)


async def switch_on(site: Site) -> list[str]:
    """Codes of an app, switched on in the browser of who is logged in; the recovery codes."""
    await profile(site, "second-factor", present=PASSWORD)
    page = await site.get("/c/oak/profile/second-factor", headers=PAGE)
    found = re.search(r'href="(otpauth://[^"]+)"', page.text)
    assert found is not None
    secret = str(pyotp.parse_uri(found[1].replace("&amp;", "&")).secret)
    code = pyotp.TOTP(secret).at(int(clock.now().timestamp()))
    shown = await profile(site, "second-factor/confirm", code=code)
    return re.findall(r"<li>([a-z0-9-]{19})</li>", shown.text)


@pytest.mark.parametrize(
    "wrong",
    [
        {"origin": "http://evil.test"},
        {"origin": "https://portal.test"},
        {"origin": "http://portal.test:8080"},
        {"host": "evil.test"},
        {"verified": False},
        {"kind": "webauthn.create"},
        {"user": b""},
        {"user": b"another login 16"},
    ],
)
async def test_an_answer_that_is_wrong_in_one_part_opens_nothing(
    ann: Site, post: Post, wrong: dict[str, Any]
) -> None:
    device = await added(ann)
    async with a_browser(post) as other:
        assert is_refused(await send(other, device.use(await challenge(other), **wrong)))
        assert not await is_in(other)
        page = await other.get("/login?why=passkey", headers=PAGE)
        assert "The passkey was not accepted." in page.text
        done = await send(other, device.use(await challenge(other)))
        assert done.headers["location"] == "/c/oak/billing", "and the passkey works as before"


@pytest.mark.parametrize(
    "wrong", [{"origin": "http://evil.test"}, {"host": "evil.test"}, {"verified": False}]
)
async def test_a_new_passkey_that_is_wrong_in_one_part_is_not_added(
    ann: Site, db_gateway: ServiceDb, wrong: dict[str, Any]
) -> None:
    device = Authenticator()
    answer = device.make(await prepared(ann), **wrong)

    refused = await profile(ann, "passkeys/made", credential=answer)

    assert refused.status_code == 401 and "The passkey was not accepted." in refused.text
    assert await db_gateway.admin.fetchval("SELECT count(*) FROM passkeys") == 0


async def test_hosts_that_requests_name_count_for_nothing(ann: Site, post: Post) -> None:
    device = await added(ann)
    async with a_browser(post) as other:
        token = await other.csrf()
        answer = await other.client.post(
            "/login/passkey/options", headers={"x-csrftoken": token, "X-Forwarded-Host": "evil.test"}
        )
        assert answer.json()["rpId"] == "portal.test"
        forged = device.use(answer.json(), origin="http://evil.test", host="evil.test")
        form = {"_csrf_token": other.cookie("csrf") or "", "credential": forged}
        headers = {**PAGE, "X-Forwarded-Host": "evil.test", "Sec-Fetch-Site": "same-origin"}
        refused = await other.client.post(
            "/login/passkey", data=form, headers=headers, follow_redirects=False
        )
        assert refused.headers["location"] == "/login?why=passkey"


async def test_a_challenge_works_once_in_its_browser_and_for_ten_minutes(
    ann: Site, post: Post, db_gateway: ServiceDb
) -> None:
    device = await added(ann)
    async with a_browser(post) as one, a_browser(post) as two:
        given, other = await challenge(one), await challenge(two)
        assert given["challenge"] != other["challenge"]
        assert is_refused(await send(two, device.use(given))), "of another browser"
        assert is_refused(await send(two, device.use(other))), "the wrong answer used the challenge up"
        stolen = dict(one.client.cookies)
        answer = device.use(given)
        assert not is_refused(await send(one, answer)) and await is_in(one)
        two.client.cookies.update({"step": stolen["step"]})
        assert is_refused(await send(two, answer)), "a second time"
        late = await challenge(two)
        left = await db_gateway.admin.fetchval(
            "SELECT max(ends_at) - app_now() <= '10 minutes' FROM login_steps"
        )
        assert left is True
        await db_gateway.admin.execute("UPDATE login_steps SET ends_at = app_now()")
        assert is_refused(await send(two, device.use(late))) and not await is_in(two)


async def test_of_two_answers_at_once_one_opens(ann: Site, post: Post) -> None:
    device = await added(ann)
    async with a_browser(post) as other:
        answer = device.use(await challenge(other))
        form = {"_csrf_token": other.cookie("csrf") or "", "credential": answer}
        answers = await asyncio.gather(
            *(other.client.post("/login/passkey", data=form, follow_redirects=False) for _ in range(4))
        )
    assert sorted(each.headers["location"] for each in answers) == ["/clinics"] + ["/login?why=passkey"] * 3


async def test_a_passkey_opens_its_own_login_alone(ann: Site, post: Post) -> None:
    async with a_browser(post) as bob:
        await bob.log_in(BOB)
        his, hers = await added(bob), await added(ann)
        async with a_browser(post) as other:
            swapped = json.loads(his.use(await challenge(other), user=hers.user))
            assert is_refused(await send(other, json.dumps(swapped)))
            named = json.loads(his.use(await challenge(other), user=hers.user))
            named["id"] = named["rawId"] = json.loads(hers.use(await challenge(other)))["id"]
            await challenge(other)
            assert is_refused(await send(other, json.dumps(named))), "his signature under her passkey's name"
            assert not await is_in(other)
            await send(other, his.use(await challenge(other)))
            assert await is_in(other, BOB) and not await is_in(other, ANN)


async def test_nobody_adds_a_passkey_that_is_another_logins(ann: Site, post: Post) -> None:
    device = await added(ann)
    async with a_browser(post) as bob:
        await bob.log_in(BOB)
        refused = await profile(bob, "passkeys/made", credential=device.make(await prepared(bob)))
        assert refused.status_code == 401
        assert "My phone" not in (await bob.get("/c/oak/profile", headers=PAGE)).text


async def test_a_count_that_goes_back_or_stands_still_opens_nothing(ann: Site, post: Post) -> None:
    device = await added(ann)
    async with a_browser(post) as other:
        device.count = 6
        await send(other, device.use(await challenge(other)))
        assert await is_in(other)
    async with a_browser(post) as copied:
        for count in (6, 2, -1):
            device.count = count
            assert is_refused(await send(copied, device.use(await challenge(copied))))
        device.count = 7
        assert not is_refused(await send(copied, device.use(await challenge(copied))))


async def test_a_device_that_does_not_count_opens_again_and_again(ann: Site, post: Post) -> None:
    device = await added(ann, counts=False)
    for _ in range(3):
        async with a_browser(post) as other:
            assert not is_refused(await send(other, device.use(await challenge(other))))


@pytest.mark.parametrize(
    "credential",
    [
        "",
        "x",
        "null",
        "[]",
        "{}",
        '{"id": 1}',
        '{"id": "AAAA", "rawId": "AAAA", "type": "public-key", "response": {}}',
        '{"id": "AAAA", "rawId": "AAAA", "type": "public-key", "response": {"clientDataJSON": "AAAA", '
        '"authenticatorData": "AAAA", "signature": "AAAA", "userHandle": "AAAA"}}',
        '{"id": "\\ud800", "rawId": "\\ud800", "type": "public-key", "response": {"clientDataJSON": "e30", '
        '"authenticatorData": "", "signature": "", "userHandle": null}}',
        "[" * 5000,
        "\x00",
        '{"id": "' + "A" * 9000 + '"}',
    ],
)
async def test_what_is_no_answer_is_refused(ann: Site, post: Post, credential: str) -> None:
    await prepared(ann)
    assert (await profile(ann, "passkeys/made", credential=credential)).status_code == 401
    async with a_browser(post) as other:
        await challenge(other)
        assert is_refused(await send(other, credential))
        assert not await is_in(other)


async def test_an_answer_with_any_byte_changed_is_refused(ann: Site, post: Post) -> None:
    device = await added(ann)
    async with a_browser(post) as other:
        for part in ("clientDataJSON", "authenticatorData", "signature", "userHandle"):
            for place in (0, 20, -2):
                answer = json.loads(device.use(await challenge(other)))
                text = answer["response"][part]
                at = place % len(text)
                changed = text[:at] + ("B" if text[at] == "A" else "A") + text[at + 1 :]
                answer["response"][part] = changed
                assert is_refused(await send(other, json.dumps(answer))), (part, place)
        assert not await is_in(other)


async def test_who_finds_an_open_session_adds_and_removes_nothing(ann: Site, db_gateway: ServiceDb) -> None:
    await added(ann)
    passkey = await db_gateway.admin.fetchval("SELECT id FROM passkeys")

    for end in ("passkeys", f"passkeys/{passkey}/remove"):
        refused = await profile(ann, end, present="wrong")
        assert refused.status_code == 400 and "The present password is not right." in refused.text
    made = await profile(ann, "passkeys/made", credential=Authenticator().make(FAKE))
    assert made.status_code == 409 and "Please begin again." in made.text
    assert await db_gateway.admin.fetchval("SELECT count(*) FROM passkeys") == 1
    assert (await ann.get("/c/oak/profile/passkeys")).headers["location"] == "/c/oak/profile"


FAKE = {"user": {"id": "AAAA"}, "challenge": "A" * 43}


async def test_a_set_up_is_of_the_session_that_gave_the_password(ann: Site, post: Post) -> None:
    options = await prepared(ann)
    async with a_browser(post) as other:
        await other.log_in(ANN)
        answer = Authenticator().make(options)
        assert (await profile(other, "passkeys/made", credential=answer)).status_code == 409
    assert (await profile(ann, "passkeys/made", credential=answer)).status_code == 303


async def test_the_challenge_of_a_new_passkey_works_once(ann: Site, db_gateway: ServiceDb) -> None:
    options = await prepared(ann)
    await profile(ann, "passkeys/made", credential=Authenticator().make(options))
    again = await profile(ann, "passkeys/made", credential=Authenticator().make(options))

    assert again.status_code == 409
    late = await prepared(ann)
    await db_gateway.admin.execute("UPDATE passkey_setups SET ends_at = app_now()")
    assert (await profile(ann, "passkeys/made", credential=Authenticator().make(late))).status_code == 409
    assert await db_gateway.admin.fetchval("SELECT count(*) FROM passkeys") == 1


async def test_a_clinic_that_knows_the_password_adds_none(ann: Site, db_gateway: ServiceDb) -> None:
    await db_gateway.admin.execute("UPDATE logins SET password_by = gen_random_uuid()")

    refused = await profile(ann, "passkeys", present=PASSWORD)

    assert refused.status_code == 409 and "Choose a password of your own" in refused.text
    assert "Add a passkey" not in (await ann.get("/c/oak/profile", headers=PAGE)).text


async def test_a_login_has_ten_and_no_more(ann: Site) -> None:
    for number in range(9):
        await added(ann, f"number {number}")
    options = await prepared(ann)
    await profile(ann, "passkeys/made", credential=Authenticator().make(options))

    refused = await profile(ann, "passkeys", present=PASSWORD)

    assert refused.status_code == 409 and "Remove one first." in refused.text


async def test_one_that_is_removed_opens_nothing_ends_other_sessions_and_is_told(
    ann: Site, post: Post, db_gateway: ServiceDb
) -> None:
    lost, kept = await added(ann, "Lost phone"), await added(ann, "Laptop")
    passkey = await db_gateway.admin.fetchval("SELECT id FROM passkeys WHERE name = 'Lost phone'")
    await post.settle()
    async with a_browser(post) as thief:
        await send(thief, lost.use(await challenge(thief)))
        assert await is_in(thief)

        done = await profile(ann, f"passkeys/{passkey}/remove", present=PASSWORD)

        assert done.headers["location"] == "/c/oak/profile?done=passkey-removed"
        assert await is_in(ann) and not await is_in(thief)
        assert is_refused(await send(thief, lost.use(await challenge(thief))))
        assert not is_refused(await send(thief, kept.use(await challenge(thief))))
    notice = await post.one()
    assert (notice["To"], notice["Subject"]) == (ANN, "A passkey was removed from your login")
    assert "logged out everywhere else" in text_of(notice)
    again = await profile(ann, f"passkeys/{passkey}/remove", present=PASSWORD)
    assert again.status_code == 409 and "removed already" in again.text


async def test_nobody_removes_another_logins(ann: Site, post: Post, db_gateway: ServiceDb) -> None:
    await added(ann)
    passkey = await db_gateway.admin.fetchval("SELECT id FROM passkeys")
    async with a_browser(post) as bob:
        await bob.log_in(BOB)
        assert (await profile(bob, f"passkeys/{passkey}/remove", present=PASSWORD)).status_code == 409
    assert await db_gateway.admin.fetchval("SELECT count(*) FROM passkeys") == 1
    assert await is_in(ann)


@pytest.mark.parametrize("by", ["link", "profile"])
async def test_a_new_password_by_a_link_removes_all_and_one_typed_on_the_profile_none(
    ann: Site, post: Post, by: str
) -> None:
    device = await added(ann)
    await post.settle()
    async with a_browser(post) as other:
        if by == "link":
            await other.post_form("/password", {"email": ANN, "next": "/c/oak"}, headers=PAGE)
            link = link_in(await post.one())
            assert "It also removes the passkeys" in (await other.get(link, headers=PAGE)).text
            await other.post_form(link.partition("?")[0], {"password": NEW}, headers=PAGE)
        else:
            await profile(ann, "password", present=PASSWORD, password=NEW)
        opened = not is_refused(await send(other, device.use(await challenge(other))))
        assert opened == (by == "profile")


async def test_a_login_that_was_switched_off_or_erased_is_opened_by_none(
    ann: Site, post: Post, db_gateway: ServiceDb
) -> None:
    device = await added(ann)
    async with a_browser(post) as other:
        await db_gateway.admin.execute("UPDATE logins SET disabled_at = now()")
        assert is_refused(await send(other, device.use(await challenge(other))))
        await db_gateway.admin.execute("DELETE FROM memberships")
        await db_gateway.admin.execute("DELETE FROM logins")
        assert is_refused(await send(other, device.use(await challenge(other))))
    for table in ("passkeys", "passkey_setups"):
        assert await db_gateway.admin.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_challenges_are_limited_by_address(post: Post, ann: Site) -> None:
    async with a_browser(post) as other:
        token = await other.csrf()
        headers = {"x-csrftoken": token}
        answers = [
            (await other.client.post("/login/passkey/options", headers=headers)).status_code
            for _ in range(101)
        ]
    assert answers == [200] * 100 + [429]


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://[::1]:8080"])
async def test_an_address_of_numbers_has_no_passkeys(db_gateway: ServiceDb, url: str) -> None:
    async with a_site(db_gateway, public_url=url) as site:
        page = await site.get("/login", headers=PAGE)
        assert "passkey" not in page.text
        answer = await site.client.post("/login/passkey/options", headers={"x-csrftoken": await site.csrf()})
        assert answer.status_code == 404
        assert (await send(site, "{}", "")).headers["location"] == "/login?why=passkey"
