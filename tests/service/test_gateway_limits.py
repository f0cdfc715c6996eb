"""Limits on requests: each API key, each session, and each address without either has a count of its own."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.gateway.web import limits
from tests.running.databases import ServiceDb
from tests.running.gateway import Site, a_login, a_portal, a_site
from tests.running.settings import OPERATOR_KEY
from tests.service.test_gateway_keys import a_key

PAGE = {"Accept": "text/html"}
WRONG = "no-such-key-of-anybody"
MOST = 3


@pytest.fixture
async def site(db_gateway: ServiceDb) -> AsyncIterator[Site]:
    async with a_site(db_gateway, requests_per_minute=MOST) as site:
        yield site


async def call(site: Site, key: str | None = OPERATOR_KEY, path: str = "/api-keys") -> Any:
    return await site.api("GET", path, key=key)


async def codes(site: Site, key: str | None, times: int) -> list[int]:
    return [(await call(site, key)).status_code for _ in range(times)]


async def left(site: Site, key: str | None) -> int:
    return int(re.findall(r";r=(\d+);", (await call(site, key)).headers["RateLimit"])[0])


async def test_calls_of_the_api_lock_neither_the_login_nor_the_webhooks(site: Site) -> None:
    for key in (OPERATOR_KEY, WRONG, None):
        assert (await codes(site, key, MOST + 2))[-1] == 429
    document = await call(site, None, "/openapi.json")
    page = await site.get("/login", headers=PAGE)
    webhook = await site.client.post("/webhooks/stripe", content=b"{}")

    assert document.status_code == 429
    assert page.status_code == 200 and "RateLimit" not in page.headers
    assert webhook.status_code == 503, "payment is away, and no limit stands before it"


async def test_pages_lock_no_call_of_the_api(site: Site) -> None:
    pages = [(await site.get("/login", headers=PAGE)).status_code for _ in range(MOST + 1)]

    assert pages == [200] * MOST + [429]
    assert await codes(site, OPERATOR_KEY, 1) == [200]
    assert await codes(site, None, 1) == [401]


async def test_no_key_locks_another(site: Site) -> None:
    (_, books), (_, letters) = await a_key(site), await a_key(site)

    assert await codes(site, books, MOST + 1) == [200] * MOST + [429]
    assert await codes(site, letters, MOST + 1) == [200] * MOST + [429]
    assert await codes(site, None, MOST + 1) == [401] * MOST + [429]


@pytest.mark.parametrize("without", [WRONG, None, "short"])
async def test_requests_without_a_valid_key_count_by_address_and_lock_no_key(
    site: Site, without: str | None
) -> None:
    (_, used), (_, new) = await a_key(site), await a_key(site)
    await call(site, used)

    assert await codes(site, without, 2 * MOST) == [401] * MOST + [429] * MOST
    assert await codes(site, None, 1) == [429]
    assert await codes(site, new, MOST) == [200] * MOST, (
        "it has never been used, and others spent the address"
    )
    assert await codes(site, used, MOST - 1) == [200] * (MOST - 1)


async def test_made_up_keys_are_looked_up_so_often_and_no_more(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up = []
    find = limits.works_not

    async def counting(scope: Any) -> None:
        looked_up.append(scope)
        await find(scope)

    monkeypatch.setattr(limits, "works_not", counting)
    answers = [(await call(site, f"a-made-up-key-{each}")).status_code for each in range(4 * MOST)]

    assert answers == [401] * MOST + [429] * 3 * MOST
    assert len(looked_up) == 2 * MOST


async def test_a_key_that_works_no_more_counts_for_its_address(site: Site) -> None:
    key_id, key = await a_key(site)
    assert await codes(site, key, 1) == [200]
    assert (await site.api("DELETE", f"/api-keys/{key_id}")).status_code == 204

    assert await codes(site, key, MOST + 1) == [401] * MOST + [429]
    assert await codes(site, None, 1) == [429]


async def test_answers_of_the_api_say_what_is_left(site: Site) -> None:
    answers = [await call(site) for _ in range(MOST + 1)]
    refused = answers[-1]

    assert {answer.headers["RateLimit-Policy"] for answer in answers} == {f'"default";q={MOST};w=60'}
    told = [re.fullmatch(r'"default";r=(\d+);t=(\d+)', answer.headers["RateLimit"]) for answer in answers]
    assert [each and int(each[1]) for each in told] == [2, 1, 0, 0]
    assert all(each and 1 <= int(each[2]) <= 60 for each in told)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
    assert told[-1] and abs(int(refused.headers["Retry-After"]) - int(told[-1][2])) <= 1


async def test_a_refused_call_says_what_is_left_too(site: Site) -> None:
    unknown, unread = await call(site, WRONG), await site.api("GET", "/api-keys?x=1")

    assert (unknown.status_code, unread.status_code) == (401, 400)
    assert ";r=2;" in unknown.headers["RateLimit"] and ";r=2;" in unread.headers["RateLimit"]


async def test_the_document_tells_of_it(site: Site) -> None:
    document = (await call(site, None, "/openapi.json")).json()
    operations = [
        each for path in document["paths"].values() for each in path.values() if "responses" in each
    ]

    refused = document["components"]["responses"]["TooManyRequests"]
    assert set(refused["headers"]) == {"RateLimit", "RateLimit-Policy", "Retry-After"}
    assert len(operations) > 20
    for operation in operations:
        answers = operation["responses"]
        assert answers.pop("429") == {"$ref": "#/components/responses/TooManyRequests"}
        assert all({"RateLimit", "RateLimit-Policy"} <= set(each["headers"]) for each in answers.values())


async def test_a_valid_key_takes_nothing_from_its_address(site: Site) -> None:
    await codes(site, OPERATOR_KEY, MOST)

    assert await left(site, None) == MOST - 1


async def test_a_session_has_a_count_of_its_own(db_gateway: ServiceDb) -> None:
    async with a_site(db_gateway, requests_per_minute=4) as site:
        await a_login(site.db, await a_portal(site.db))
        await site.log_in("ann@example.com")
        session = {**PAGE, "Cookie": f"session={site.cookie('session')}"}
        site.client.cookies.clear()
        strangers = [(await site.get("/login", headers=PAGE)).status_code for _ in range(4)]
        made_up = await site.get("/clinics", headers={**PAGE, "Cookie": f"session={'0' * 64}"})
        pages = [(await site.get("/clinics", headers=session)).status_code for _ in range(5)]

    assert strangers[-1] == made_up.status_code == 429
    assert pages[0] != 429 and pages[-2:] == [pages[0], 429]


async def test_any_number_of_good_keys_can_begin_at_an_address_that_others_spent(site: Site) -> None:
    keys = [(await a_key(site))[1] for _ in range(2 * MOST)]
    await codes(site, None, MOST + 1)

    assert [await codes(site, key, 2) for key in keys] == [[200, 200]] * len(keys)


async def test_only_so_many_keys_are_remembered(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_KNOWN", 1)
    (_, first), (_, second) = await a_key(site), await a_key(site)

    assert [await left(site, key) for key in (first, second, first, second)] == [2, 2, 1, 1]
    for each in range(2 * MOST):
        await call(site, f"a-made-up-key-{each}")
    assert [await codes(site, key, 1) for key in (first, second)] == [[429], [200]]


async def test_a_key_that_was_forgotten_begins_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_KNOWN", 1)
    (_, first), (_, second) = await a_key(site), await a_key(site)
    await codes(site, None, MOST)

    assert [await left(site, key) for key in (first, second, first, second)] == [2, 2, 1, 1]
    assert await codes(site, first, 2) == [200, 429]
