"""Security headers for browsers, and requests from other sites, which are refused."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from services.gateway.accounts import store
from services.gateway.accounts.domain import Membership
from tests.running.databases import ServiceDb
from tests.running.gateway import PASSWORD, Site, a_login, a_portal, a_site

PAGE = {"Accept": "text/html"}


@pytest.fixture
async def site(db_gateway: ServiceDb) -> AsyncIterator[Site]:
    async with a_site(db_gateway) as site:
        yield site


@pytest.mark.parametrize("path", ["/login", "/nothing/here", "/api/v1/clinics", "/healthz/live", "/c/oak"])
async def test_every_answer_says_what_browsers_may_do(site: Site, path: str) -> None:
    answer = await site.get(path, headers=PAGE)

    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "script-src 'self' http://stripe.test;" in policy and "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in answer.headers


async def test_files_that_caches_share_set_no_cookie(site: Site) -> None:
    for path in ("/static/app.css", "/c/oak/theme.css?accent=0b6e6e"):
        answer = await site.get(path)
        assert answer.status_code == 200 and "immutable" in answer.headers["cache-control"]
        assert "set-cookie" not in answer.headers


async def test_on_https_cookies_are_bound_to_the_host(db_gateway: ServiceDb) -> None:
    changed: dict[str, Any] = {
        "public_url": "https://portal.test",
        "stripe_js_url": "https://js.stripe.com/v3/",
    }
    async with a_site(db_gateway, **changed) as site:
        await a_login(site.db, await a_portal(site.db))
        answer = await site.log_in("ann@example.com")

        assert "max-age=" in answer.headers["strict-transport-security"]
        policy = answer.headers["content-security-policy"]
        assert "connect-src 'self' https://api.stripe.com;" in policy and "https://hooks.stripe.com" in policy
        cookies = answer.headers.get_list("set-cookie")
        session = next(each for each in cookies if each.startswith("__Host-session="))
        assert "Secure" in session and "Path=/" in session and "Domain" not in session
        assert site.cookie("__Host-csrf")


async def test_a_form_without_the_token_is_refused(site: Site) -> None:
    await a_login(site.db, await a_portal(site.db))
    form = {"email": "ann@example.com", "password": PASSWORD}

    without = await site.client.post("/login", data=form, headers=PAGE, follow_redirects=False)
    await site.csrf()
    forged_form = {**form, "_csrf_token": "0" * 128}
    forged = await site.client.post("/login", data=forged_form, headers=PAGE, follow_redirects=False)

    assert without.status_code == forged.status_code == 303
    assert without.headers["location"] == forged.headers["location"] == "/login?why=again"
    assert site.cookie("session") is None


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.test"},
        {"Origin": "null"},
        {"Origin": "http://portal.test.evil.test"},
    ],
)
async def test_another_sites_form_is_refused_even_with_a_token(site: Site, headers: dict[str, str]) -> None:
    answer = await site.post_form("/login", {"email": "a@x.test", "password": "x"}, headers=headers)

    assert answer.status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://portal.test"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://portal.test"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
        {"Sec-Fetch-Site": "none"},
    ],
)
async def test_our_own_forms_are_taken(site: Site, headers: dict[str, str]) -> None:
    answer = await site.post_form("/login", {"email": "a@x.test", "password": "x"}, headers=headers)

    assert answer.status_code == 401


async def test_pages_are_pages_and_programs_get_problems(site: Site) -> None:
    page = await site.get("/nothing/here", headers=PAGE)
    problem = await site.get("/nothing/here", headers={"Accept": "application/json"})
    api = await site.get("/api/v1/nothing", headers=PAGE)

    assert page.status_code == 404 and "We cannot find this page" in page.text
    assert problem.json()["code"] == api.json()["code"] == "not_found"
    assert problem.headers["content-type"] == "application/problem+json"


async def test_scripts_and_streams_are_told_401_rather_than_led_to_the_login(site: Site) -> None:
    stream = await site.get("/c/oak/live", headers={"Accept": "text/event-stream"})
    script = await site.get("/c/oak", headers={"Accept": "application/json"})

    assert stream.status_code == script.status_code == 401
    assert script.json()["code"] == "not_signed_in"


async def test_a_clinic_that_the_login_does_not_open_is_not_found(site: Site) -> None:
    await a_login(site.db, await a_portal(site.db, "oak"))
    await a_portal(site.db, "elm")
    await site.log_in("ann@example.com")

    other = await site.get("/c/elm", headers=PAGE)
    none = await site.get("/c/no-such", headers=PAGE)

    assert other.status_code == none.status_code == 404
    assert other.text == none.text


async def test_a_service_that_is_away_is_said_kindly(site: Site) -> None:
    await a_login(site.db, await a_portal(site.db, "oak"))
    await site.log_in("ann@example.com")

    answer = await site.get("/c/oak", headers=PAGE)

    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1


async def test_too_large_a_body_is_refused(site: Site) -> None:
    await site.csrf()
    answer = await site.post_form("/login", {"email": "a@x.test", "password": "x" * 20_000})

    assert answer.status_code == 413


async def test_general_limits_hold_for_an_address(db_gateway: ServiceDb) -> None:
    async with a_site(db_gateway, requests_per_minute=3) as site:
        answers = [(await site.get("/login", headers=PAGE)).status_code for _ in range(5)]
        assert answers == [200, 200, 200, 429, 429]
        refused = await site.get("/login", headers=PAGE)
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert (await site.get("/healthz/live")).status_code == 200


async def test_an_address_that_no_trusted_proxy_forwards_counts_for_nothing(db_gateway: ServiceDb) -> None:
    """Requests of tests come from 127.0.0.1, which many servers trust by default."""
    async with a_site(db_gateway, requests_per_minute=2) as site:
        answers = [await site.get("/login", headers=by) for by in _forwarded("X-Forwarded-For", "Forwarded")]
        assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
        assert not any("evil.test" in str(answer.headers) + answer.text for answer in answers)


async def test_behind_a_trusted_proxy_each_client_has_its_own_limits(db_gateway: ServiceDb) -> None:
    async with a_site(db_gateway, requests_per_minute=2, trusted_proxies="127.0.0.1,10.0.0.0/8") as site:
        answers = [await site.get("/login", headers=by) for by in _forwarded("X-Forwarded-For")]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 200]
        forged = [
            await site.get("/login", headers={"X-Forwarded-For": f"192.0.2.{each}, 198.51.100.9, 10.0.0.7"})
            for each in range(3)
        ]
        assert [answer.status_code for answer in forged] == [200, 200, 429]


async def test_tries_at_a_password_are_counted_by_the_same_address(db_gateway: ServiceDb) -> None:
    async def tries(site: Site, name: str) -> list[int]:
        csrf = await site.csrf()
        form = {"_csrf_token": csrf, "email": f"{name}@example.com", "password": "wrong horse battery"}
        return [
            (await site.client.post("/login", data=form, headers=by)).status_code
            for by in (*_forwarded("X-Forwarded-For"), *_forwarded("X-Forwarded-For")[:2])
        ]

    async with a_site(db_gateway) as site:
        assert await tries(site, "ann") == [401] * 5 + [429]
    async with a_site(db_gateway, trusted_proxies="127.0.0.1") as site:
        assert await tries(site, "bea") == [401] * 6


def _forwarded(*names: str) -> list[dict[str, str]]:
    """Headers of four clients, with the others that proxies write."""
    also = {"X-Forwarded-Host": "evil.test", "X-Forwarded-Proto": "https"}
    return [{"X-Real-IP": f"198.51.100.{each}", **also, **_as_proxies(names, each)} for each in range(4)]


def _as_proxies(names: tuple[str, ...], each: int) -> dict[str, str]:
    values = {"X-Forwarded-For": f"198.51.100.{each}", "Forwarded": f"for=198.51.100.{each};host=evil.test"}
    return {name: values[name] for name in names}


async def test_the_webhook_edge_has_a_limit_of_its_own(db_gateway: ServiceDb) -> None:
    async with a_site(db_gateway, requests_per_minute=1, webhooks_per_minute=3) as site:
        answers = [await site.client.post("/webhooks/stripe", content=b"{}") for _ in range(4)]
        codes = [answer.status_code for answer in answers]
        assert codes == [503, 503, 503, 429], "payment is away, and then it is not asked"
        assert answers[-1].json()["code"] == "too_many_requests"
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
        assert (await site.get("/login", headers=PAGE)).status_code == 200


async def test_without_a_clinic_or_login_set_the_role_sees_no_membership(
    site: Site, db_gateway: ServiceDb
) -> None:
    await a_login(site.db, await a_portal(site.db, "oak"))
    elm = await a_portal(site.db, "elm")

    async with site.db.tx(None) as tx:
        assert await tx.fetchval("SELECT count(*) FROM memberships") == 0
    async with site.db.tx(elm) as tx:
        assert await tx.fetchval("SELECT count(*) FROM memberships") == 0


async def test_no_transaction_of_a_clinic_deletes_a_membership(site: Site, db_gateway: ServiceDb) -> None:
    oak = await a_portal(site.db, "oak")
    await a_login(site.db, oak)

    async with site.db.tx(oak) as tx:
        assert await tx.execute("DELETE FROM memberships") == "DELETE 0"
    assert await db_gateway.admin.fetchval("SELECT count(*) FROM memberships") == 1


async def test_a_clinics_transaction_cannot_let_anyone_into_another_clinic(
    site: Site, db_gateway: ServiceDb
) -> None:
    await a_login(site.db, await a_portal(site.db, "oak"))
    elm = await a_portal(site.db, "elm")
    login: UUID = await db_gateway.admin.fetchval("SELECT id FROM logins")

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with site.db.tx(await a_portal(site.db, "ash")) as tx:
            await store.add_membership(tx, elm, login, store.ClinicAccess(None, "staff", True))


async def test_a_password_that_a_clinic_chose_opens_that_clinic_alone(
    site: Site, db_gateway: ServiceDb
) -> None:
    """Otherwise a clinic could make logins for strangers' e-mails, and wait until another clinic adds memberships."""
    oak, elm = await a_portal(site.db, "oak"), await a_portal(site.db, "elm")
    await a_login(site.db, oak, by_operator=False, password="known to oak alone")
    await a_login(site.db, elm, by_operator=False, password="known to elm alone")

    assert [each.slug for each in await _opens(site)] == ["oak"]
    assert (await site.log_in("ann@example.com", "known to elm alone")).status_code == 401

    # Both clinics trust an operator: the password is then the operator's, and opens all.
    await a_login(site.db, elm, by_operator=True, client_id=await _client_at(db_gateway, elm))
    assert [each.slug for each in await _opens(site)] == ["elm", "oak"]
    assert (await site.log_in("ann@example.com", "known to oak alone")).status_code == 401
    assert (await site.log_in("ann@example.com")).status_code == 303


async def test_a_login_that_exists_keeps_its_password(site: Site) -> None:
    await a_login(site.db, await a_portal(site.db, "oak"))
    await a_login(site.db, await a_portal(site.db, "elm"), password="some other password")

    assert (await site.log_in("ann@example.com", "some other password")).status_code == 401
    assert (await site.log_in("ann@example.com")).status_code == 303
    assert [each.slug for each in await _opens(site)] == ["elm", "oak"]


async def test_the_same_login_at_once_is_one(site: Site, db_gateway: ServiceDb) -> None:
    oak = await a_portal(site.db, "oak")
    client_id = await a_login(site.db, oak)

    await asyncio.gather(*(a_login(site.db, oak, client_id=client_id) for _ in range(4)))

    assert await db_gateway.admin.fetchval("SELECT count(*) FROM memberships") == 1


async def _opens(site: Site) -> list[Membership]:
    async with site.db.tx(None) as tx:
        login = await store.get_login(tx, "ann@example.com")
        assert login is not None
        return await store.list_memberships(tx, login.id)


async def _client_at(db: ServiceDb, clinic_id: UUID) -> UUID:
    found: UUID = await db.admin.fetchval("SELECT client_id FROM memberships WHERE clinic_id = $1", clinic_id)
    return found
