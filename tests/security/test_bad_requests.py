"""Addresses, queries, headers and content types that are wrong, at every endpoint: never a 500, never a leak."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from services.chassis.ids import new_id
from tests.builders.callers import a_caller
from tests.running.settings import OPERATOR_KEY
from tests.running.two_clinics import TwoClinics
from tests.security import test_matrix_api, test_matrix_services
from tests.security.test_bad_bodies import WITH_BODY, Edge, is_refusal

NO_IDS = [
    *(
        "0",
        "-1",
        "1",
        "null",
        "undefined",
        "NaN",
        "%2e%2e",
        "..%2f..%2fetc%2fpasswd",
        "%00",
        "%ff",
        "%0d%0aX:1",
    ),
    *("{7d444840-9dc0-11d1-b245-5ffdce74fad2}", "urn:uuid:7d444840-9dc0-11d1-b245-5ffdce74fad2"),
    *(
        "7d4448409dc011d1b2455ffdce74fad2",
        "7D444840-9DC0-11D1-B245-5FFDCE74FAD2",
        "7d444840-9dc0-11d1-b245-5ffdce74fad2",
    ),
    *("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
    *("'%20OR%201=1--", "%24%7Bjndi:ldap://x%7D", "%7B%7B7*7%7D%7D", "%F0%9F%92%A9", "a" * 5000),
]
ODD_QUERY = [
    *(
        "",
        "0",
        "-1",
        "101",
        "1e9",
        "9" * 40,
        "true",
        "%00",
        "%FF",
        "%ED%A0%80",
        "null",
        "[]",
        "..",
        "'%20OR%201=1--",
    ),
    *("eyJhIjoxfQ", "W10", "WyIyMDI2LTAyLTMwIiwgIngiXQ", "a" * 5000, "%0d%0aX:1", "unpaid%00"),
]
WRONG_TYPES = [
    *(
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ),
    *("multipart/form-data", "image/png", "application/json-seq", "*/*", "json", ";", "x" * 300),
]
ODD_HEADERS = {
    "a traceparent that is none": {"traceparent": "00-zz-zz-01"},
    "a traceparent of zeros": {"traceparent": f"00-{'0' * 32}-{'0' * 16}-01"},
    "a long traceparent": {"traceparent": "0" * 5000},
    "100 kB of baggage": {"baggage": "a=" + "b" * 100_000},
    "a tracestate that is none": {
        "traceparent": f"00-{'1' * 32}-{'1' * 16}-01",
        "tracestate": "=,=;\x7f" * 50,
    },
    "another host": {"Host": "evil.test"},
    "a host of nothing": {"Host": ""},
    "a host with a port that is none": {"Host": "portal.test:http"},
    "half an address": {"Host": "[::1"},
    "a host with spaces": {"Host": "a b\tc"},
    "a long host": {"Host": "a" * 5000},
    "a forwarded host": {"X-Forwarded-Host": "evil.test", "Forwarded": "host=evil.test;for=1.2.3.4"},
    "a forwarded address": {
        "X-Forwarded-For": "127.0.0.1",
        "X-Real-IP": "127.0.0.1",
        "X-Forwarded-Proto": "https",
    },
    "another method": {"X-HTTP-Method-Override": "DELETE", "X-Method-Override": "PUT"},
    "a tenant": {"X-Tenant": str(new_id()), "X-Clinic-Id": str(new_id()), "X-User": "operator"},
    "a rewritten address": {"X-Original-URL": "/healthz/ready", "X-Rewrite-URL": "/healthz/ready"},
    "another language": {"Accept-Language": "x" * 5000, "Accept": "text/html;q=x,*/*;q=9"},
    "a range": {"Range": "bytes=0-0,-1", "If-None-Match": "*", "Expect": "200-ok"},
}
EVERY = [
    *(f"api: {operation}" for operation in test_matrix_api.RULES),
    *(f"{service}: {operation}" for service, operation in test_matrix_services.OPERATIONS),
]


async def ask(
    two: TwoClinics, name: str, path: str, query: str = "", headers: dict[str, str] | None = None
) -> Any:
    """An endpoint as one who may ask it, with this path; a good body if it takes one."""
    where, operation = name.split(": ")
    method = operation.split()[0]
    body = {"content": json.dumps(Edge(two, name).good).encode()} if name in WITH_BODY else {}
    address = f"{path}?{query}" if query else path
    if where == "api":
        address = address.removeprefix("/api/v1")
        return await two.site.api(method, address, OPERATOR_KEY, headers=headers or {}, **body)
    roles = test_matrix_services.RULES[where][operation].roles
    caller = two.ann.caller if roles == {"client"} else a_caller("operator", two.ann.clinic_id)
    return await two.services[where].call(method, address, caller, headers=headers, **body)


def paths_with(two: TwoClinics, template: str, odd: str) -> Iterator[str]:
    """The path with each of its ids in turn replaced."""
    for name in two.ann.ids:
        if f"{{{name}}}" in template:
            yield template.format_map({**two.ann.ids, name: odd})


def is_an_answer(answer: Any) -> bool:
    unchanged = answer.status_code == 304 and not answer.content
    return bool(answer.is_success) or unchanged or answer.status_code == 405 or is_refusal(answer)


@pytest.mark.parametrize("name", [each for each in EVERY if "{" in each])
async def test_an_id_that_is_none_is_not_found(two: TwoClinics, name: str) -> None:
    template = name.split()[2]
    for odd in NO_IDS:
        for path in paths_with(two, template, odd):
            answer = await ask(two, name, path)
            assert is_an_answer(answer), (path[:100], answer.status_code, answer.text[:300])
            nothing = answer.is_success and answer.json().get("items") == []  # of a clinic that there is not
            assert nothing or not answer.is_success or makes_what_it_names(name), (path, answer.text)


def makes_what_it_names(name: str) -> bool:
    """Whether the caller chooses the id of what is made: an id that nothing has is a good one, and needs no key."""
    _, method, template = name.split()
    return method == "PUT" or (method == "POST" and template.endswith("}"))


@pytest.mark.parametrize("name", [each for each in EVERY if " GET " in each])
async def test_an_odd_query_is_answered_or_refused(two: TwoClinics, name: str) -> None:
    path = name.split()[2].format_map(two.ann.ids)
    for parameter in ("limit", "cursor", "status", "client_id", "invoice_id", "slug", "no-such"):
        for odd in ODD_QUERY:
            answer = await ask(two, name, path, f"{parameter}={odd}")
            assert is_an_answer(answer), (parameter, odd[:100], answer.status_code, answer.text[:300])


@pytest.mark.parametrize("name", EVERY)
async def test_odd_headers_do_no_harm(two: TwoClinics, name: str) -> None:
    path = name.split()[2].format_map(two.ann.ids)
    for what, headers in ODD_HEADERS.items():
        answer = await ask(two, name, path, headers=headers)
        assert is_an_answer(answer), (what, answer.status_code, answer.text[:200])
        assert "evil.test" not in str(answer.headers) + answer.text, what


@pytest.mark.parametrize("name", WITH_BODY)
async def test_another_content_type_is_refused(two: TwoClinics, name: str) -> None:
    edge = Edge(two, name)
    good = json.dumps(edge.good).encode()
    before = await edge.rows()
    for content_type in WRONG_TYPES:
        answer = await edge.send(good, **{"Content-Type": content_type})
        assert answer.status_code == 415 and is_refusal(answer), (
            content_type,
            answer.status_code,
            answer.text[:200],
        )
    assert await edge.rows() == before


KEYLESS = ("/settle", "/preview", "/evidence/submission")
"""To do it again in the same way changes nothing: it takes no key."""


@pytest.mark.parametrize(
    "name",
    [
        each
        for each in WITH_BODY
        if " POST " in each and not makes_what_it_names(each) and not each.endswith(KEYLESS)
    ],
)
async def test_an_odd_idempotency_key_is_refused(two: TwoClinics, name: str) -> None:
    edge = Edge(two, name)
    for key in (
        "",
        " ",
        "a b",
        "k" * 256,
        "k" * 10_000,
        "clé".encode(),
        "a\tb",
        "\x7f",
    ):
        answer = await edge.send(json.dumps(edge.good).encode(), **{"Idempotency-Key": key})
        assert is_refusal(answer), (key[:50], answer.status_code, answer.text)


@pytest.mark.parametrize("name", WITH_BODY)
async def test_a_packed_body_is_refused(two: TwoClinics, name: str) -> None:
    edge = Edge(two, name)
    packed = gzip.compress(json.dumps(edge.good).encode())
    before = await edge.rows()
    for coding in ("gzip", "br", "identity, gzip", "GZIP", "x"):
        answer = await edge.send(packed, **{"Content-Encoding": coding})
        found = answer.status_code, answer.json()["code"]
        assert found == (415, "content_encoding_unsupported"), (coding, answer.text[:200])
    assert await edge.rows() == before


EDGES = {
    "api": ("gateway", "GET", "/api/v1/clinics"),
    "pages": ("gateway", "GET", "/login"),
    "gateway's webhooks": ("gateway", "POST", "/webhooks/stripe"),
    "invoice": ("invoice", "GET", "/clinics"),
    "payment": ("payment", "GET", "/payments"),
    "payment's webhooks": ("payment", "POST", "/webhooks/stripe"),
    "notification": ("notification", "GET", "/deliveries"),
}


@pytest.mark.parametrize("name", EDGES)
async def test_a_head_that_can_be_read_in_two_ways_is_refused_at_each_edge(
    two: TwoClinics, name: str
) -> None:
    where, method, path = EDGES[name]
    client = two.site.client if where == "gateway" else two.services[where].http
    plain = [("Accept", "application/json")]

    for header in ("Authorization", "Content-Type", "Idempotency-Key", "Stripe-Signature"):
        answer = await client.request(method, path, headers=[*plain, (header, "a"), (header.lower(), "b")])
        assert (answer.status_code, answer.json()["code"]) == (400, "duplicate_header"), (header, answer.text)
        assert header in answer.json()["detail"]
    coded = await client.request(method, path, headers=[*plain, ("Content-Encoding", "gzip")], content=b"x")
    assert (coded.status_code, coded.json()["code"]) == (415, "content_encoding_unsupported")
    same = await client.request(method, path, headers=[*plain, ("Content-Encoding", "identity")])
    assert same.status_code not in (400, 415) or "stripe" in same.json()["code"]


async def test_a_field_that_is_there_twice_is_refused(two: TwoClinics) -> None:
    """Readers differ in which of the two they take, so none gets to read them."""
    edge = Edge(two, "api: POST /api/v1/clinics/{clinic_id}/invoices")
    twice = json.dumps(edge.good)[:-1] + f', "client_id": "{two.bob.client_id}"}}'

    answer = await edge.send(twice.encode())

    assert (answer.status_code, answer.json()["code"]) == (400, "duplicate_member")
