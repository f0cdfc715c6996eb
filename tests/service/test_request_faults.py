"""A request to the public API with several faults, in its address, query, headers and body, is told all of them."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from litestar.routes import HTTPRoute

from services.chassis.ids import new_id
from services.gateway.api import refusals
from services.gateway.api.routes import api_router
from tests.running.databases import ServiceDb
from tests.running.gateway import Site, a_site
from tests.running.settings import OPERATOR_KEY
from tests.tools import generate

ERROR_CODES = Path(__file__).resolve().parents[1] / "frozen" / "error_codes.json"
CLINIC = f"/clinics/{new_id()}"
NEITHER = {"Idempotency-Key": ""}


@pytest.fixture
async def site(db_gateway: ServiceDb) -> AsyncIterator[Site]:
    async with a_site(db_gateway) as made:
        yield made


async def faults(site: Site, method: str, path: str, **more: Any) -> set[tuple[str, str]]:
    answer = await site.api(method, path, **more)
    assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid"), answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    return {(each["in"], each["field"]) for each in answer.json()["errors"]}


def test_every_refusal_is_named_by_the_document() -> None:
    """Each operation has the codes that its description names, as problems; `Site.api` holds answers to them."""
    known = {code for codes in json.loads(ERROR_CODES.read_text()).values() for code in codes}
    document = generate.apps()["gateway"].openapi_schema.to_schema()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            answers = {status: each for status, each in operation["responses"].items() if "x-codes" in each}
            named = {code for each in answers.values() for code in each["x-codes"]}
            told = set(re.findall(r"`(\w+)`", operation.get("description", ""))) & known
            assert told <= named, f"{method} {path}"
            assert {"400", "401", "403", "500", "502", "503"} <= set(answers), f"{method} {path}"
            assert all("application/problem+json" in each["content"] for each in answers.values())


def test_no_route_that_is_gone_has_refusals() -> None:
    document = generate.apps()["gateway"].openapi_schema.to_schema()
    there = {
        f"{method.upper()} {path.removeprefix('/api/v1')}"
        for path, methods in document["paths"].items()
        for method in methods
    }
    assert set(refusals.OF_ROUTE) <= there


async def test_all_faults_of_an_invoice_are_told_at_once(site: Site) -> None:
    line = {"service": "", "unit_price": {"minor": "5000", "currency": "EUR"}, "tax_code": 7, "colour": "red"}
    found = await faults(
        site,
        "POST",
        f"{CLINIC}/invoices?dry_run=true",
        headers=NEITHER,
        json={"client_id": "x", "lines": [line]},
    )
    assert found == {
        ("query", "dry_run"),
        ("header", "Idempotency-Key"),
        ("body", "client_id"),
        ("body", "due_on"),
        ("body", "lines.0.service"),
        ("body", "lines.0.practitioner"),
        ("body", "lines.0.unit_price.minor"),
        ("body", "lines.0.tax_code"),
        ("body", "lines.0.colour"),
    }


async def test_a_missing_key_is_named(site: Site) -> None:
    answer = await site.client.post(
        f"/api/v1{CLINIC}/staff", headers={"Authorization": f"Bearer {OPERATOR_KEY}"}, json={"email": 1}
    )
    assert [(each["field"], each["message"]) for each in answer.json()["errors"]] == [
        ("Idempotency-Key", "Required, and missing"),
        ("email", "Expected `str`, got `int`"),
        ("password", "Required, and missing"),
    ]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("updated_sinse=2026-01-01", "updated_sinse"),
        ("Status=paid", "Status"),
        ("status=settled", "status"),
        ("limit=0", "limit"),
        ("limit=many", "limit"),
        ("limit=1&limit=2", "limit"),
        ("client_id=ann", "client_id"),
        ("key=x", "key"),
        ("upstreams=x", "upstreams"),
    ],
)
async def test_a_query_that_is_not_understood_is_refused_by_name(site: Site, query: str, field: str) -> None:
    assert await faults(site, "GET", f"{CLINIC}/invoices?{query}") == {("query", field)}


async def test_a_wrong_value_of_a_filter_is_told_the_allowed_ones(site: Site) -> None:
    answer = await site.api("GET", f"{CLINIC}/invoices?status=settled&limit=101")
    messages = {each["field"]: each["message"] for each in answer.json()["errors"]}
    assert "`paid`" in messages["status"] and "settled" not in messages["status"]
    assert messages["limit"] == "Expected `int` <= 100"


async def test_an_id_that_is_none_is_named_in_a_404(site: Site) -> None:
    answer = await site.api("GET", f"/clinics/oak/invoices/{new_id()}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert [(each["in"], each["field"]) for each in answer.json()["errors"]] == [("path", "clinic_id")]
    assert "errors" not in (await site.api("GET", "/nothing/here")).json()


ROUTES = sorted(
    (method, route.path_format.removeprefix("/api/v1"))
    for route in api_router.routes
    if isinstance(route, HTTPRoute)
    for handler in route.route_handlers
    for method in handler.http_methods
    if method not in {"HEAD", "OPTIONS"}
)


def test_there_are_routes_to_walk() -> None:
    assert {("GET", "/clinics"), ("POST", "/clinics/{clinic_id}/invoices/bulk")} <= set(ROUTES)


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_no_route_takes_a_query_parameter_that_it_does_not_know(
    site: Site, method: str, path: str
) -> None:
    address = "/".join(str(new_id()) if part.startswith("{") else part for part in path.split("/"))
    assert ("query", "verbose") in await faults(site, method, f"{address}?verbose=1")


async def test_a_stranger_is_told_nothing_but_that(site: Site) -> None:
    assert (await site.api("GET", f"{CLINIC}/invoices?x=1", key=None)).status_code == 401
