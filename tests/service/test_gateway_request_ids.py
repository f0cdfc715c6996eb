"""Every answer of the gateway has an id that our logs and traces have too, and people read it where we failed."""

import re
from typing import Any

import pytest

from tests.running.databases import ServiceDb
from tests.running.gateway import a_login, a_portal, a_site

PAGE = {"Accept": "text/html"}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/login", PAGE, 200),
        ("GET", "/", PAGE, 303),
        ("GET", "/nowhere", PAGE, 404),
        ("GET", "/nowhere", {"Accept": "application/json"}, 404),
        ("DELETE", "/login", {}, 405),
        ("POST", "/login", PAGE, 303),
        ("GET", "/api/v1/clinics", {}, 401),
        ("GET", "/api/v1/clinics", [("Authorization", "a"), ("Authorization", "b")], 400),
        ("POST", "/api/v1/clinics", {"Content-Encoding": "gzip"}, 415),
        ("GET", "/api/v1/nothing", {}, 404),
    ],
)
async def test_every_answer_has_an_id_of_its_own(
    db_gateway: ServiceDb, method: str, path: str, headers: Any, status: int
) -> None:
    async with a_site(db_gateway) as site:
        answers = [await site.client.request(method, path, headers=headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [status] * 2
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids) and ids[0] != ids[1]


async def test_the_id_is_that_of_the_trace_that_the_request_goes_on_with(db_gateway: ServiceDb) -> None:
    async with a_site(db_gateway) as site:
        answer = await site.get("/login", headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})

    assert answer.headers["x-request-id"] == TRACE


async def test_a_page_that_failed_tells_the_id_and_one_that_did_not_is_silent(db_gateway: ServiceDb) -> None:
    async with a_site(db_gateway) as site:
        clinic_id = await a_portal(site.db)
        await a_login(site.db, clinic_id)
        await site.log_in("ann@example.com")
        failed = await site.get("/c/oak", headers=PAGE)
        missing = await site.get("/c/elsewhere", headers=PAGE)

    assert (failed.status_code, missing.status_code) == (503, 404)
    assert told(failed) == failed.headers["x-request-id"]
    assert told(missing) is None


def told(page: Any) -> str | None:
    found = re.search(r"tell us this number: (\w+)", page.text)
    return found[1] if found else None
