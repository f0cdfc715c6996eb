"""Browsers that a login knows: strangers' tries at the password keep the owner out of none of them."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from litestar import Request
from litestar.testing import RequestFactory

from services.chassis import clock
from services.gateway.accounts.devices.actions import DEVICE_COOKIES, Devices
from services.gateway.accounts.devices.domain import LASTS, MOST, Device
from tests.running.databases import ServiceDb
from tests.running.gateway import (
    PASSWORD,
    Site,
    a_login,
    a_portal,
    a_site,
    create_client,
    create_clinic,
    reach,
)
from tests.running.letters import Post, a_post, link_in
from tests.running.settings import LOGIN_KEY

PAGE = {"Accept": "text/html"}
NEW = "a wholly new passphrase"
ANN, BOB = "ann@example.com", "bob@example.com"


@pytest.fixture
async def site(db_gateway: ServiceDb) -> AsyncIterator[Site]:
    """Behind a proxy, so that a request's address is the forwarded one. Ann and Bob have logins."""
    async with a_site(db_gateway, trusted_proxies="127.0.0.1") as site:
        clinic = await a_portal(site.db)
        await a_login(site.db, clinic)
        await a_login(site.db, clinic, BOB)
        yield site


@pytest.fixture
async def post(
    db_gateway: ServiceDb, db_invoice: ServiceDb, db_payment: ServiceDb, db_notification: ServiceDb
) -> AsyncIterator[Post]:
    async with a_post(
        db_gateway, db_invoice, db_payment, db_notification, trusted_proxies="127.0.0.1"
    ) as made:
        await create_client(made.site, await create_clinic(made.site))
        yield made


@asynccontextmanager
async def a_browser(site: Site, address: str = "198.51.100.7") -> AsyncIterator[Site]:
    async with httpx2.AsyncClient(
        transport=reach(site.app), base_url=site.client.base_url, headers={"X-Forwarded-For": address}
    ) as client:
        yield Site(site.app, client, site.db, site.passwords)


async def code(browser: Site, email: str = ANN, password: str = PASSWORD) -> int:
    """The answer to a try, without a session before it."""
    for name in ("session", "step"):
        browser.client.cookies.delete(name)
    return int((await browser.log_in(email, password)).status_code)


async def lock(site: Site, *, after: int = 1) -> None:
    """Wrong passwords of strangers, until nobody new may try. After so many, the counts are as if there had been 50."""
    async with a_browser(site) as stranger:
        form = {"_csrf_token": await stranger.csrf(), "email": ANN, "password": "wrong"}
        for each in range(after):
            by = {"X-Forwarded-For": f"203.0.113.{each}"}
            answer = await stranger.client.post("/login", data=form, headers=by)
            assert answer.status_code == 401
    async with site.db.tx(None) as tx:
        await tx.execute("UPDATE attempts SET tries = 50 WHERE tries BETWEEN $1 AND 50", after)
    async with a_browser(site, "192.0.2.200") as new:
        assert await code(new) == 429, "the login is locked for who it does not know"


async def test_strangers_lock_no_owner_out_of_a_browser_that_the_login_knows(site: Site) -> None:
    async with a_browser(site) as known:
        assert await code(known) == 303
        await lock(site, after=50)

        assert await code(known, password="wrong") == 401
        assert await code(known) == 303
        assert await code(known, BOB) == 303, "and another login is another matter"


async def test_a_known_browser_at_an_address_that_is_locked_gets_in(site: Site) -> None:
    async with a_browser(site) as known, a_browser(site) as stranger:
        assert await code(known) == 303
        form = {"_csrf_token": await stranger.csrf(), "password": "wrong"}
        for each in range(100):
            await stranger.client.post("/login", data=form | {"email": f"{each}@example.com"})
        assert await code(stranger, BOB) == 429

        assert await code(known) == 303


async def test_a_stolen_device_cookie_is_worth_five_tries_of_its_own_and_no_more(site: Site) -> None:
    async with a_browser(site) as known, a_browser(site, "192.0.2.66") as thief:
        await code(known)
        stolen = known.cookie("device")
        assert stolen is not None
        thief.client.cookies.set("device", stolen)

        assert (await thief.get("/clinics", headers=PAGE)).headers["location"].startswith("/login")
        assert [await code(thief, password="wrong") for _ in range(6)] == [401] * 5 + [429]
        assert await code(thief) == 429, "the right password too"
        thief.client.headers["X-Forwarded-For"] = "192.0.2.67"
        assert await code(thief) == 429, "whatever the address"
        assert await code(thief, BOB, "wrong") == 401, "it is worth nothing at another login"

        async with a_browser(site, "192.0.2.68") as owner:
            assert await code(owner) == 303, "and the owner's other browsers have counts of their own"


@pytest.mark.parametrize("way", ["password", "everywhere"])
async def test_a_new_password_and_a_logout_everywhere_forget_the_browsers(post: Post, way: str) -> None:
    async with a_browser(post.site) as old, a_browser(post.site, "192.0.2.5") as here:
        assert await code(old) == await code(here) == 303
        form = {"present": PASSWORD, "password": NEW} if way == "password" else {}
        page = await here.get("/c/oak/profile", headers=PAGE)
        token = re.search(r'name="_csrf_token" value="([^"]+)"', page.text)
        assert token is not None
        path = "/c/oak/profile/password" if way == "password" else "/c/oak/profile/sessions/end"
        done = await here.client.post(path, data={"_csrf_token": token[1], **form}, follow_redirects=False)
        assert done.status_code == 303
        await lock(post.site)

        now = NEW if way == "password" else PASSWORD
        assert await code(old, password=now) == 429
        assert await code(here, password=now) == (303 if way == "password" else 429), (
            "who changed the password goes on in this browser"
        )


async def test_a_forgotten_password_is_a_way_in_for_an_owner_who_is_locked(post: Post) -> None:
    await lock(post.site)
    async with a_browser(post.site, "192.0.2.9") as owner, a_browser(post.site) as stranger:
        told = await owner.log_in(ANN)
        assert told.status_code == 429 and "Or choose a new password by a link that we e-mail" in told.text
        await owner.post_form("/password", {"email": ANN}, headers=PAGE)
        link = link_in(await post.one())
        done = await owner.post_form(link.partition("?")[0], {"password": NEW}, headers=PAGE)
        assert done.status_code == 303

        assert (await owner.log_in(BOB, NEW)).status_code == 401, "another login is another matter"
        assert (await owner.log_in(ANN, NEW)).status_code == 303
        assert await code(stranger, password=NEW) == 429
        assert await code(owner, password=NEW) == 303, "and the browser is known from now on"


async def test_an_owner_who_is_logged_in_changes_the_password_while_the_login_is_locked(post: Post) -> None:
    async with a_browser(post.site) as owner:
        await owner.log_in(ANN)
        await lock(post.site)
        page = await owner.get("/c/oak/profile", headers=PAGE)
        token = re.search(r'name="_csrf_token" value="([^"]+)"', page.text)
        assert token is not None
        form = {"_csrf_token": token[1], "present": PASSWORD, "password": NEW}
        done = await owner.client.post("/c/oak/profile/password", data=form, follow_redirects=False)
        assert done.headers["location"] == "/c/oak/profile?done=password"


async def test_the_cookie_is_bound_to_the_host_and_survives_the_session(db_gateway: ServiceDb) -> None:
    async with a_site(db_gateway, public_url="https://portal.test") as site:
        await a_login(site.db, await a_portal(site.db))
        answer = await site.log_in(ANN)
        cookie = next(
            each for each in answer.headers.get_list("set-cookie") if each.startswith("__Host-device=")
        )
        for part in ("HttpOnly", "SameSite=lax", "Secure", "Path=/", f"Max-Age={180 * 86400}"):
            assert part in cookie
        assert ANN not in cookie
        await site.client.post(
            "/logout", data={"_csrf_token": site.cookie("__Host-csrf")}, follow_redirects=False
        )
        assert site.cookie("__Host-device") and not site.cookie("__Host-session")


async def test_a_wrong_password_and_half_a_login_make_no_browser_known(site: Site) -> None:
    async with a_browser(site) as browser:
        await code(browser, password="wrong")

        assert browser.cookie("device") is None


async def test_a_browser_is_known_to_five_logins_and_for_half_a_year(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = Devices((LOGIN_KEY.encode(),), https=False)
    made = [Device(UUID(int=each), each, uuid4()) for each in range(MOST + 2)]
    shown = a_request("")
    for each in made:
        shown = a_request(str(devices.cookie(shown, each).value))
    assert list(devices.shown(shown).values()) == made[::-1][:MOST], "the last one first"

    again = Device(made[-2].login_id, 9, uuid4())
    shown = a_request(str(devices.cookie(shown, again).value))
    assert list(devices.shown(shown).values()) == [again, made[-1], *made[::-1][2:MOST]], "one for each login"

    monkeypatch.setattr(clock, "_shift", LASTS + timedelta(minutes=1))
    assert devices.shown(shown) == {}


async def test_only_what_we_have_encrypted_is_a_device() -> None:
    ours = Devices((LOGIN_KEY.encode(),), https=False)
    newer = Devices((b"n" * 32, LOGIN_KEY.encode()), https=False)
    device = Device(uuid4(), 3, uuid4())
    value = str(ours.cookie(a_request(""), device).value)

    assert list(newer.shown(a_request(value)).values()) == [device], "also by the key before"
    assert Devices((b"n" * 32,), https=False).shown(a_request(value)) == {}
    changed = value[:70] + ("B" if value[70] == "A" else "A") + value[71:]
    for odd in ("", ".", "x", value[:-1], value + "A", "A" * 140, changed):
        assert ours.shown(a_request(odd)) == {}, odd
    assert ours.shown(a_request(".".join(["A" * 140] * 5 + [value]))) == {}, "no more than five are looked at"


def a_request(cookie: str) -> Request[Any, Any, Any]:
    headers = {"cookie": f"{DEVICE_COOKIES[False]}={cookie}"} if cookie else {}
    return RequestFactory().get("/", headers=headers)
