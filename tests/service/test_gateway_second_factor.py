"""Codes from an app as a second factor: switched on and off by the owner alone, asked for before any session begins."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pyotp
import pytest
from typer.testing import CliRunner

from deploy import cli
from services.chassis import clock
from services.gateway.accounts.sealing import Sealer
from services.gateway.accounts.second_factors import actions
from tests.running.databases import ServiceDb
from tests.running.gateway import PASSWORD, Site, a_login, create_client, create_clinic, reach
from tests.running.letters import Post, a_post, link_in, text_of
from tests.running.settings import LOGIN_KEY

PAGE = {"Accept": "text/html"}
NEW = "a wholly new passphrase"
_NEWER_KEY = "a-newer-key-for-logins-of-thirty-two-characters"


class Owner:
    """Ann at a browser of hers: with the app, once she has scanned the picture."""

    def __init__(self, site: Site, gateway: ServiceDb) -> None:
        self.site, self.gateway, self.secret = site, gateway, ""
        self.codes: list[str] = []

    def code(self, seconds: int = 0) -> str:
        return pyotp.TOTP(self.secret).at(int(clock.now().timestamp()) + seconds)

    async def fresh(self) -> str:
        """A code that is right and was not used, as if the last one was long ago."""
        await self.gateway.admin.execute("UPDATE second_factors SET used_step = 0")
        return self.code()

    async def profile(self, end: str = "", **form: str) -> Any:
        page = await self.site.get("/c/oak/profile", headers=PAGE)
        token = re.search(r'name="_csrf_token" value="([^"]+)"', page.text)
        data = {"_csrf_token": token[1] if token else "", **form}
        return await self.site.client.post(
            f"/c/oak/profile/{end}", data=data, headers=PAGE, follow_redirects=False
        )

    async def scan(self) -> Any:
        started = await self.profile("second-factor", present=PASSWORD)
        assert started.headers["location"] == "/c/oak/profile/second-factor"
        page = await self.site.get(started.headers["location"], headers=PAGE)
        found = re.search(r'href="(otpauth://[^"]+)"', page.text)
        assert found is not None
        self.secret = str(pyotp.parse_uri(found[1].replace("&amp;", "&")).secret)
        return page

    async def switch_on(self) -> Any:
        await self.scan()
        page = await self.profile("second-factor/confirm", code=self.code())
        assert page.status_code == 200, page.text
        self.codes = re.findall(r"<li>([a-z0-9-]{19})</li>", page.text)
        assert len(self.codes) == 10
        return page

    @asynccontextmanager
    async def elsewhere(self) -> AsyncIterator["Owner"]:
        """Another browser, with the same app."""
        async with httpx2.AsyncClient(
            transport=reach(self.site.app), base_url=self.site.client.base_url
        ) as client:
            other = Owner(Site(self.site.app, client, self.site.db, self.site.passwords), self.gateway)
            other.secret, other.codes = self.secret, self.codes
            yield other

    async def password(self, password: str = PASSWORD, next: str = "/c/oak/billing") -> Any:
        return await self.site.log_in("ann@example.com", password, next=next)

    async def second(self, code: str, next: str = "/c/oak/billing", **more: str) -> Any:
        form = {"_csrf_token": self.site.cookie("csrf") or "", "code": code, "next": next, **more}
        return await self.site.client.post("/login/second", data=form, headers=PAGE, follow_redirects=False)


@pytest.fixture
async def post(
    db_gateway: ServiceDb, db_invoice: ServiceDb, db_payment: ServiceDb, db_notification: ServiceDb
) -> AsyncIterator[Post]:
    async with a_post(db_gateway, db_invoice, db_payment, db_notification) as made:
        await create_client(made.site, await create_clinic(made.site))
        yield made


@pytest.fixture
async def ann(post: Post, db_gateway: ServiceDb) -> Owner:
    """She is logged in, and has no second factor."""
    await post.site.log_in("ann@example.com")
    return Owner(post.site, db_gateway)


async def is_in(owner: Owner) -> bool:
    return bool((await owner.site.get("/c/oak/profile", headers=PAGE)).status_code == 200)


async def reset(post: Post, owner: Owner) -> None:
    """A new password by a link, in a browser that is not logged in."""
    async with owner.elsewhere() as other:
        await other.site.post_form("/password", {"email": "ann@example.com", "next": "/c/oak"}, headers=PAGE)
        link = link_in(await post.one())
        await other.site.post_form(link.partition("?")[0], {"password": NEW}, headers=PAGE)


async def test_codes_are_switched_on_told_and_asked_for_from_then_on(post: Post, ann: Owner) -> None:
    before = ann.site.cookie("session")
    page = await ann.switch_on()
    assert "shown this once" in page.text and "logged out everywhere else" in page.text
    assert ann.site.cookie("session") not in (None, before) and await is_in(ann), "this session goes on"
    assert "You have 10 recovery codes left." in (await ann.site.get("/c/oak/profile", headers=PAGE)).text
    notice = await post.one()
    assert (notice["To"], notice["Subject"]) == ("ann@example.com", "Your login asks for a code now")
    assert not any(code in text_of(notice) for code in (*ann.codes, ann.secret))

    async with ann.elsewhere() as other:
        asked = await other.password()
        assert asked.headers["location"] == "/login/second?next=%2Fc%2Foak%2Fbilling"
        assert other.site.cookie("session") is None
        page = await other.site.get(asked.headers["location"], headers=PAGE)
        assert page.status_code == 200 and "Type the code from your app" in page.text
        assert "Log in to Oak" not in page.text and "Oak Street Physiotherapy" in page.text
        done = await other.second(other.code(30))
        assert done.headers["location"] == "/c/oak/billing"
        assert await is_in(other)
        assert other.site.cookie("step") is None


async def test_other_sessions_end_when_codes_are_switched_on(ann: Owner) -> None:
    async with ann.elsewhere() as other:
        await other.password()
        assert await is_in(other)
        await ann.switch_on()
        assert not await is_in(other)


@pytest.mark.parametrize("path", ["/c/oak", "/c/oak/profile", "/c/oak/billing", "/clinics", "/c/oak/live"])
async def test_half_way_in_no_other_page_opens(ann: Owner, path: str) -> None:
    await ann.switch_on()
    async with ann.elsewhere() as other:
        await other.password()

        answer = await other.site.get(path, headers=PAGE)

        assert answer.status_code in (303, 401)
        assert answer.status_code == 401 or answer.headers["location"].startswith("/login?")


async def test_the_step_is_of_one_browser_and_its_cookie_is_new_each_time(ann: Owner) -> None:
    await ann.switch_on()
    async with ann.elsewhere() as other, ann.elsewhere() as stranger:
        stranger.site.client.cookies.set("step", "a" * 64, domain="portal.test", path="/")
        await other.password()
        first = other.site.cookie("step")
        assert (await stranger.site.get("/login/second", headers=PAGE)).headers[
            "location"
        ] == "/login?why=late"
        await stranger.site.get("/login", headers=PAGE)
        refused = await stranger.second(await ann.fresh())
        assert refused.headers["location"] == "/login?next=%2Fc%2Foak%2Fbilling&why=late"
        assert not await is_in(stranger)
        await other.password()
        assert other.site.cookie("step") not in (None, first, "a" * 64)
        stranger.site.client.cookies.set("step", first or "", domain="portal.test", path="/")
        assert (await stranger.second(await ann.fresh())).headers["location"].startswith("/login?"), "ended"


async def test_a_step_works_once_and_for_ten_minutes(ann: Owner) -> None:
    await ann.switch_on()
    async with ann.elsewhere() as other, ann.elsewhere() as thief:
        await other.password()
        cookie = other.site.cookie("step") or ""
        await thief.site.get("/login", headers=PAGE)
        thief.site.client.cookies.set("step", cookie, domain="portal.test", path="/")
        await other.second(await other.fresh())
        assert (await thief.second(await thief.fresh())).headers["location"].startswith("/login?next=")
        assert not await is_in(thief)
    async with ann.elsewhere() as late:
        await late.password()
        await ann.gateway.admin.execute("UPDATE login_steps SET ends_at = app_now()")
        answer = await late.second(await late.fresh())
        assert "why=late" in answer.headers["location"]
        assert "That took too long." in (await late.site.get(answer.headers["location"], headers=PAGE)).text


@pytest.mark.parametrize("end", ["reset", "disabled", "everywhere"])
async def test_what_ends_sessions_ends_steps_too(post: Post, ann: Owner, end: str) -> None:
    await ann.switch_on()
    async with ann.elsewhere() as other:
        await other.password()
        if end == "reset":
            await ann.profile("password", present=PASSWORD, password=NEW)
        elif end == "everywhere":
            await ann.profile("sessions/end")
        else:
            await ann.gateway.admin.execute("UPDATE logins SET disabled_at = now()")

        answer = await other.second(await other.fresh())

        assert answer.headers["location"].startswith("/login?")
        assert not await is_in(other)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("000000", "The code is not right."),
        ("late", "The code is not right."),
        ("used", "This code was used already."),
        ("", "The code is not right."),
        ("x" * 500, "The code is not right."),
        ("aaaa-aaaa-aaaa-aaaa", "The code is not right."),
    ],
)
async def test_a_wrong_code_says_so_and_stays(ann: Owner, typed: str, words: str) -> None:
    await ann.switch_on()
    async with ann.elsewhere() as other:
        await other.password()
        code = {"late": other.code(-90), "used": other.code()}.get(typed, typed)
        if typed == "used":
            step = int(clock.now().timestamp()) // 30 + 1
            await ann.gateway.admin.execute("UPDATE second_factors SET used_step = $1", step)

        answer = await other.second(code)

        assert answer.status_code == 401 and words in answer.text
        assert f'value="{code[:64]}"' in answer.text, "what was typed stays"
        assert other.site.cookie("session") is None
        assert (await other.second(await other.fresh())).status_code == 303, "and the next try is good"


async def test_a_code_is_accepted_once_also_by_two_at_once(ann: Owner) -> None:
    await ann.switch_on()
    async with ann.elsewhere() as one, ann.elsewhere() as other:
        await one.password()
        await other.password()
        code = await ann.fresh()

        answers = await asyncio.gather(one.second(code), other.second(code))

        assert sorted(answer.status_code for answer in answers) == [303, 401]


async def test_a_recovery_code_opens_once_and_is_told(post: Post, ann: Owner) -> None:
    await ann.switch_on()
    await post.settle()
    async with ann.elsewhere() as one, ann.elsewhere() as other:
        await one.password()
        await other.password()
        page = await one.site.get("/login/second?by=recovery&next=/c/oak", headers=PAGE)
        assert "Type a recovery code" in page.text
        typed = ann.codes[3].upper().replace("-", " ")

        answers = await asyncio.gather(one.second(typed, by="recovery"), other.second(typed, by="recovery"))

        assert sorted(answer.status_code for answer in answers) == [303, 401]
        [refused] = [answer for answer in answers if answer.status_code == 401]
        assert "Type a recovery code" in refused.text and f'value="{typed}"' in refused.text
    notice = await post.one()
    assert (notice["To"], notice["Subject"]) == ("ann@example.com", "A recovery code of your login was used")
    assert "You have 9 recovery codes left." in (await ann.site.get("/c/oak/profile", headers=PAGE)).text


async def test_five_tries_then_a_wait_whatever_the_browser_and_the_step(ann: Owner) -> None:
    await ann.switch_on()
    for _ in range(5):
        async with ann.elsewhere() as guesser:
            await guesser.password()
            assert (await guesser.second("000000")).status_code == 401
    async with ann.elsewhere() as guesser:
        await guesser.password()

        for code in (await ann.fresh(), ann.codes[0]):
            refused = await guesser.second(code)
            assert refused.status_code == 429 and "Too many tries. Please wait" in refused.text
            assert int(refused.headers["Retry-After"]) > 0
        await ann.gateway.admin.execute("DELETE FROM attempts")
        assert (await guesser.second(await ann.fresh())).status_code == 303


async def test_wrong_codes_after_the_right_password_are_told_once(post: Post, ann: Owner) -> None:
    await ann.switch_on()
    await post.settle()
    async with ann.elsewhere() as guesser:
        await guesser.password()
        for _ in range(4):
            await guesser.second("000000")
        assert await post.settle() == [], "who mistypes is not written to"

        await asyncio.gather(*(guesser.second("000000") for _ in range(3)))

        notice = await post.one()
        assert (notice["To"], notice["Subject"]) == (
            "ann@example.com",
            "Wrong codes were typed for your login",
        )
        assert "choose another password now" in text_of(notice) and "/password?next=/c/oak" in text_of(notice)
        await guesser.second("000000")
        assert await post.settle() == [], "once for a wait"


async def test_a_reset_gives_the_tries_of_codes_back_once_in_an_hour(post: Post, ann: Owner) -> None:
    await ann.switch_on()
    for status in (303, 429):
        async with ann.elsewhere() as other:
            await other.password(PASSWORD if status == 303 else NEW)
            for _ in range(6):
                last = await other.second("000000")
            assert last.status_code == 429
            await post.settle()
            await reset(post, ann)
            await post.settle()

            await other.password(NEW)
            assert (await other.second(ann.codes[0])).status_code == status


async def test_a_stranger_without_the_password_uses_up_no_tries_of_the_owner(ann: Owner) -> None:
    await ann.switch_on()
    async with ann.elsewhere() as stranger:
        for _ in range(6):
            await stranger.password("not her password")
            for _ in range(2):
                await stranger.second("000000")
    await ann.profile("sessions/end")
    await ann.gateway.admin.execute("DELETE FROM attempts WHERE tries = 6")
    await ann.password()

    assert (await ann.second(await ann.fresh())).status_code == 303


async def test_who_finds_an_open_session_switches_nothing_on_and_uses_up_no_tries(ann: Owner) -> None:
    answer = await ann.profile("second-factor", present="not her password")
    assert answer.status_code == 400 and "The present password is not right." in answer.text
    page = await ann.site.get("/c/oak/profile/second-factor", headers=PAGE)
    assert page.headers["location"] == "/c/oak/profile"
    answers = [await ann.profile("second-factor/confirm", code="000000") for _ in range(7)]
    assert {answer.status_code for answer in answers} == {409}
    assert "Please begin again." in answers[0].text

    await ann.switch_on()


async def test_a_set_up_keeps_what_was_typed_and_ends_after_a_while(ann: Owner) -> None:
    page = await ann.scan()
    assert '<svg viewBox="' in page.text and "style=" not in page.text.partition("<main")[2]
    again = await ann.site.get("/c/oak/profile/second-factor", headers=PAGE)
    assert ann.secret in again.text, "two tabs show one secret"

    wrong = await ann.profile("second-factor/confirm", code="000000")
    assert (
        wrong.status_code == 400 and 'value="000000"' in wrong.text and "The code is not right." in wrong.text
    )
    await ann.gateway.admin.execute("UPDATE second_factor_setups SET ends_at = app_now()")
    late = await ann.profile("second-factor/confirm", code=ann.code())

    assert late.status_code == 409 and "This took too long." in late.text
    async with ann.elsewhere() as other:
        assert (await other.password()).headers["location"] == "/c/oak/billing", "nothing is on"


async def test_a_set_up_is_of_the_session_that_gave_the_password(ann: Owner) -> None:
    async with ann.elsewhere() as other:
        await other.password()
        await ann.scan()

        page = await other.site.get("/c/oak/profile/second-factor", headers=PAGE)
        confirmed = await other.profile("second-factor/confirm", code=ann.code())

        assert page.headers["location"] == "/c/oak/profile"
        assert confirmed.status_code == 409 and "Please begin again." in confirmed.text
        assert await is_in(ann)
        assert (await ann.profile("second-factor/confirm", code=ann.code())).status_code == 200


@pytest.mark.parametrize("end", ["password", "everywhere", "elsewhere", "reset", "log out"])
async def test_a_set_up_ends_with_its_session(post: Post, ann: Owner, end: str) -> None:
    """Whatever ends the session. Its cookie is kept, as by a thief."""
    async with ann.elsewhere() as thief:
        await thief.password()
        await thief.scan()
        cookie = thief.site.cookie("session") or ""
        if end == "password":
            await ann.profile("password", present=PASSWORD, password=NEW)
        elif end == "everywhere":
            await ann.profile("sessions/end")
        elif end == "elsewhere":
            page = await ann.site.get("/c/oak/profile", headers=PAGE)
            handle = re.search(r"/profile/(sessions/[0-9a-f]{64}/end)", page.text)
            assert handle is not None
            await ann.profile(handle[1])
        elif end == "reset":
            await reset(post, ann)
        else:
            left = await thief.site.client.post(
                "/logout", headers={"x-csrftoken": thief.site.cookie("csrf") or ""}
            )
            assert left.status_code == 303
        thief.site.client.cookies.set("session", cookie, domain="portal.test", path="/")

        page = await thief.site.get("/c/oak/profile/second-factor", headers=PAGE)
        await thief.profile("second-factor/confirm", code=thief.code())
        await thief.password(NEW if end in ("password", "reset") else PASSWORD)
        again = await thief.site.get("/c/oak/profile/second-factor", headers=PAGE)

        assert page.headers["location"].startswith("/login?")
        assert again.headers["location"] == "/c/oak/profile", "no later session shows the secret"
        late = await thief.profile("second-factor/confirm", code=thief.code())
        assert late.status_code == 409 and "Please begin again." in late.text


async def test_the_second_of_two_clicks_says_that_codes_are_on_and_how_to_get_recovery_codes(
    ann: Owner,
) -> None:
    await ann.scan()

    answers = await asyncio.gather(
        *(ann.profile("second-factor/confirm", code=ann.code()) for _ in range(2)), return_exceptions=False
    )

    assert sorted(answer.status_code for answer in answers) == [200, 409]
    [refused] = [answer for answer in answers if answer.status_code == 409]
    assert "Codes from an app are on already." in refused.text
    assert "If you have not seen your recovery codes, get new ones on Profile" in refused.text
    assert "This took too long" not in refused.text


async def test_a_set_up_that_no_key_opens_begins_again(ann: Owner) -> None:
    await ann.scan()
    lost = Sealer((_NEWER_KEY.encode(),)).seal(
        await ann.gateway.admin.fetchval("SELECT id FROM logins"), ann.secret
    )
    await ann.gateway.admin.execute("UPDATE second_factor_setups SET sealed = $1", lost.secret)

    page = await ann.site.get("/c/oak/profile/second-factor", headers=PAGE)
    answers = [await ann.profile("second-factor/confirm", code=ann.code()) for _ in range(6)]

    assert {answer.status_code for answer in (page, *answers)} == {409}, "and no tries are used up"
    assert all("Please begin again." in answer.text for answer in (page, *answers))
    await ann.switch_on()


async def test_the_code_that_switched_it_on_logs_nobody_in(ann: Owner) -> None:
    await ann.switch_on()
    async with ann.elsewhere() as other:
        await other.password()
        used = await ann.gateway.admin.fetchval("SELECT used_step FROM second_factors")

        answer = await other.second(pyotp.TOTP(ann.secret).generate_otp(used))

        assert answer.status_code == 401


async def test_a_second_set_up_is_refused_while_codes_are_on(ann: Owner) -> None:
    await ann.switch_on()

    answer = await ann.profile("second-factor", present=PASSWORD)

    assert answer.status_code == 409 and "are on already" in answer.text


@pytest.mark.parametrize("by", ["app", "recovery"])
async def test_codes_are_switched_off_by_password_and_code(post: Post, ann: Owner, by: str) -> None:
    await ann.switch_on()
    await post.settle()
    for form in (
        {"present": "not it", "code": await ann.fresh()},
        {"present": PASSWORD, "code": "000000"},
        {"present": PASSWORD},
        {"code": await ann.fresh()},
    ):
        refused = await ann.profile("second-factor/off", **form)
        assert refused.status_code == 400 and "Nothing is changed" in refused.text

    code = await ann.fresh() if by == "app" else ann.codes[0]
    answer = await ann.profile("second-factor/off", present=PASSWORD, code=code)

    assert answer.headers["location"] == "/c/oak/profile?done=second-factor-off"
    assert {"Your login asks for no code any more"} <= {letter["Subject"] for letter in await post.settle()}
    assert await ann.gateway.admin.fetchval("SELECT count(*) FROM recovery_codes") == 0
    async with ann.elsewhere() as other:
        assert (await other.password()).headers["location"] == "/c/oak/billing"


async def test_new_recovery_codes_end_the_old_ones_and_are_told(post: Post, ann: Owner) -> None:
    await ann.switch_on()
    await post.settle()
    before = ann.codes

    used = await ann.fresh()
    page = await ann.profile("second-factor/codes", present=PASSWORD, code=used)

    codes = re.findall(r"<li>([a-z0-9-]{19})</li>", page.text)
    assert len(codes) == 10 and not set(codes) & set(before)
    notice = await post.one()
    assert (notice["To"], notice["Subject"]) == ("ann@example.com", "Your login has new recovery codes")
    assert not any(code in text_of(notice) for code in codes)
    async with ann.elsewhere() as other:
        await other.password()
        assert (await other.second(before[0])).status_code == 401
        assert (await other.second(codes[0])).status_code == 303
    again = await ann.profile("second-factor/codes", present=PASSWORD, code=used)
    assert again.status_code == 400, "a reload shows no other codes"


async def test_a_reset_leaves_the_codes_on(post: Post, ann: Owner) -> None:
    await ann.switch_on()
    await post.settle()
    await reset(post, ann)
    async with ann.elsewhere() as other:
        assert (await other.password(NEW)).headers["location"].startswith("/login/second")
        assert (await other.second(await ann.fresh())).status_code == 303


async def test_a_clinic_that_knows_the_password_switches_nothing_on(ann: Owner) -> None:
    await ann.gateway.admin.execute("UPDATE logins SET password_by = (SELECT clinic_id FROM portals)")

    answer = await ann.profile("second-factor", present=PASSWORD)

    assert answer.status_code == 409
    assert await ann.gateway.admin.fetchval("SELECT count(*) FROM second_factor_setups") == 0


async def test_the_database_holds_no_secret_and_no_code(ann: Owner) -> None:
    await ann.scan()
    kept = await ann.gateway.admin.fetchval("SELECT sealed FROM second_factor_setups")
    assert ann.secret.encode() not in kept
    await ann.profile("second-factor/confirm", code=ann.code())

    kept = await ann.gateway.admin.fetchval("SELECT sealed FROM second_factors")
    assert ann.secret.encode() not in kept
    assert await ann.gateway.admin.fetchval("SELECT count(*) FROM second_factor_setups") == 0
    assert await ann.gateway.admin.fetchval(
        "SELECT bool_and(octet_length(code_hash) = 32) FROM recovery_codes"
    )


async def test_another_key_seals_all_again_and_without_it_recovery_codes_still_open(ann: Owner) -> None:
    await ann.switch_on()
    old, new = LOGIN_KEY.encode(), _NEWER_KEY.encode()
    login_id = await ann.gateway.admin.fetchval("SELECT id FROM logins")

    await actions.seal_again(ann.site.db, Sealer((new,)))
    assert await ann.gateway.admin.fetchval("SELECT sealed_by FROM second_factors") == Sealer((old,)).mark
    await actions.seal_again(ann.site.db, Sealer((new, old)))

    assert await ann.gateway.admin.fetchval("SELECT sealed_by FROM second_factors") == Sealer((new,)).mark
    assert await actions.check(ann.site.db, Sealer((new,)), login_id, await ann.fresh()) == "app"
    async with ann.elsewhere() as other:
        await other.password()
        for _ in range(6):
            refused = await other.second(await ann.fresh())
            assert refused.status_code == 503 and "Use a recovery code." in refused.text
        assert (await other.second(ann.codes[0])).status_code == 303


async def test_an_operator_switches_it_off_for_who_lost_everything(
    post: Post, ann: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ann.switch_on()
    await post.settle()
    monkeypatch.setenv("GATEWAY_DATABASE_URL", ann.gateway.api_dsn)

    async def run(email: str) -> Any:
        return await asyncio.to_thread(CliRunner().invoke, cli.app, ["logins", "second-factor-off", email])

    unknown = await run("nobody@example.com")
    assert (unknown.exit_code, unknown.stderr) == (1, "clinicpay: No login has this e-mail address.\n")
    assert (await run(" Ann@Example.com ")).stdout == "switched off\n"
    assert (await run("ann@example.com")).stdout == "this login has no second factor\n"

    assert (await post.one())["Subject"] == "Your login asks for no code any more"
    assert not await is_in(ann), "its sessions ended"
    assert (await ann.password()).headers["location"] == "/c/oak/billing"
    rows = await ann.gateway.admin.fetch("SELECT role FROM audit WHERE action = 'remove_second_factor'")
    assert [row["role"] for row in rows] == ["operator"]


async def test_staff_have_codes_too_and_their_use_is_audited(post: Post, db_gateway: ServiceDb) -> None:
    clinic = await db_gateway.admin.fetchval("SELECT clinic_id FROM portals")
    await a_login(post.site.db, clinic, "staff@example.com", role="staff")
    await post.site.log_in("staff@example.com")
    owner = Owner(post.site, db_gateway)

    await owner.switch_on()
    await owner.profile("second-factor/off", present=PASSWORD, code=await owner.fresh())

    rows = await db_gateway.admin.fetch("SELECT action FROM audit WHERE role = 'staff' ORDER BY seq")
    assert [row["action"] for row in rows][-2:] == ["switch_on_second_factor", "switch_off_second_factor"]


@pytest.mark.parametrize("next", ["//evil.test", "https://evil.test/", "/\\evil.test", "/login/second"])
async def test_a_code_leads_to_no_other_site_and_needs_the_forms_token(ann: Owner, next: str) -> None:
    await ann.switch_on()
    async with ann.elsewhere() as other:
        await other.password(next=next)
        forged = await other.site.client.post(
            "/login/second", data={"code": other.code(30)}, headers=PAGE, follow_redirects=False
        )
        assert other.site.cookie("session") is None and forged.headers["location"].startswith("/login?")

        done = await other.second(await other.fresh(), next=next)

        assert done.headers["location"] in ("/clinics", "/login/second")
        assert await is_in(other)
        if next == "/login/second":
            assert (await other.site.get(next, headers=PAGE)).headers["location"] == "/login"
