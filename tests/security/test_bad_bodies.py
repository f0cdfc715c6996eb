"""Bodies that are wrong, at every endpoint that takes one: a 4xx with a stable code each, and nothing changes."""

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from services.chassis.http.auth import Caller
from services.chassis.ids import new_id
from tests.builders.callers import a_caller
from tests.running.settings import OPERATOR_KEY
from tests.running.two_clinics import TwoClinics
from tests.security import test_matrix_api, test_matrix_services

NEWLINE = "newline"  # stands for: the good value and a newline
LONE_SURROGATE, TOO_BIG, NOT_FINITE, NOT_A_NUMBER = '"\\ud83d"', "1e400", "Infinity", "NaN"
NEVER_VALID: dict[str, Callable[[Any], str]] = {
    "a list for a scalar": lambda value: json.dumps([value]),
    "an object for a scalar": lambda value: json.dumps({"$ne": value}),
    "a NUL": lambda _: '"a\\u0000b"',
    "half a surrogate pair": lambda _: LONE_SURROGATE,
    "1e400": lambda _: TOO_BIG,
    "Infinity": lambda _: NOT_FINITE,
    "NaN": lambda _: NOT_A_NUMBER,
    "an integer of 400 digits": lambda _: "9" * 400,
    "a string of 900 kB": lambda _: json.dumps("x" * 900_000),
}
MAY_BE_VALID = {
    "a newline at the end": NEWLINE,
    "an account and a newline": '"acct_1Alder\\n"',
    "null": "null",
    "zero": "0",
    "minus one": "-1",
    "2^63": str(2**63),
    "a fraction": "0.001",
    "true": "true",
    "true as text": '"true"',
    "nothing": '""',
    "a blank": '" "',
    "right to left": '"\\u202eabc\\u200b"',
    "a template": '"{{7*7}}${jndi:ldap://x}"',
    "SQL": '"\'; DROP TABLE invoices; --"',
    "a path": '"../../etc/passwd"',
    "lines": '"a\\r\\nBcc: b@x.test"',
    "a date that is none": '"2026-02-30"',
    "the first day": '"0001-01-01"',
    "the last day": '"9999-12-31"',
    "an unknown currency": '"XXX"',
}
WHOLE = {
    "nothing": b"",
    "null": b"null",
    "a list": b"[]",
    "a string": b'"x"',
    "a number": b"1",
    "cut off": b"{",
    "not UTF-8": b"\xff\xfe",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "lists, deep": b"[" * 100_000,
    "objects, deep": b'{"a":' * 100_000,
    "a deep unknown field": b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "a gzip bomb": gzip.compress(b" " * 10_000_000),
    "above the cap": b" " * (1024 * 1024 + 1),
}


class Edge:
    """One endpoint with a body: how to ask it, and what a good body is."""

    def __init__(self, two: TwoClinics, name: str) -> None:
        self.two = two
        self.where, self.operation = name.split(": ")
        self.method, self.path = self.operation.split()

    @property
    def good(self) -> dict[str, Any]:
        rules: dict[str, Any] = {"api": test_matrix_api.RULES, **test_matrix_services.RULES}
        body: dict[str, Any] = rules[self.where][self.operation].body(self.two.ann)
        return body

    async def send(self, body: bytes, **headers: str | bytes) -> Any:
        path = self.path.format_map(self.two.ann.ids)
        sent: dict[str, Any] = {
            "Idempotency-Key": str(new_id()),
            "Content-Type": "application/json",
            **headers,
        }
        if self.where == "api":
            short = path.removeprefix("/api/v1")
            return await self.two.site.api(self.method, short, OPERATOR_KEY, content=body, headers=sent)
        service = self.two.services[self.where]
        return await service.call(self.method, path, self._caller(), content=body, headers=sent)

    def _caller(self) -> Caller:
        roles = test_matrix_services.RULES[self.where][self.operation].roles
        return self.two.ann.caller if roles == {"client"} else a_caller("operator", self.two.ann.clinic_id)

    async def rows(self) -> dict[str, str]:
        services = ("invoice", "payment", "notification", "gateway")
        return await self.two.rows_of(self.two.ann.clinic_id, *services)


WITH_BODY = [
    *(f"api: {operation}" for operation, rule in test_matrix_api.RULES.items() if rule.body),
    *(
        f"{service}: {operation}"
        for service, operation in test_matrix_services.OPERATIONS
        if test_matrix_services.RULES[service][operation].body
    ),
]


def is_refusal(answer: Any) -> bool:
    """A 4xx, as problem+json with a code."""
    problem = answer.headers.get("content-type", "") == "application/problem+json"
    return 400 <= answer.status_code < 500 and problem and bool(answer.json()["code"])


@pytest.mark.parametrize("name", WITH_BODY)
async def test_a_body_that_is_no_such_object_is_refused(two: TwoClinics, name: str) -> None:
    edge = Edge(two, name)
    before = await edge.rows()
    for what, body in WHOLE.items():
        answer = await edge.send(body)
        assert is_refusal(answer), (what, answer.status_code, answer.text)
    good = json.dumps(edge.good).encode()
    for encoding, body in (
        ("gzip", gzip.compress(good)),
        ("br", b"\x8b"),
        ("x-invented", gzip.compress(good)),
    ):
        answer = await edge.send(body, **{"Content-Encoding": encoding})
        assert is_refusal(answer), (encoding, answer.text)
    for extra in ("tenant_id", "clinic_id", "status", "paid_at", "__proto__", "amount"):
        answer = await edge.send(json.dumps({**edge.good, extra: str(new_id())}).encode())
        assert is_refusal(answer), (extra, answer.text)
    assert await edge.rows() == before


@pytest.mark.parametrize("name", WITH_BODY)
async def test_a_field_that_can_not_be_is_refused(two: TwoClinics, name: str) -> None:
    """Each field of a good body in turn."""
    edge = Edge(two, name)
    before = await edge.rows()
    for path in leaves(edge.good):
        for what, broken in NEVER_VALID.items():
            answer = await edge.send(with_field(edge.good, path, broken(at(edge.good, path))))
            assert is_refusal(answer), (path, what, answer.status_code, answer.text[:300])
    assert await edge.rows() == before


@pytest.mark.parametrize("name", WITH_BODY)
async def test_a_field_that_is_odd_is_taken_or_refused(two: TwoClinics, name: str) -> None:
    edge = Edge(two, name)
    for path in leaves(edge.good):
        for what, odd in MAY_BE_VALID.items():
            odd = json.dumps(f"{at(edge.good, path)}\n") if odd is NEWLINE else odd
            answer = await edge.send(with_field(edge.good, path, odd))
            taken = answer.is_success or (answer.status_code, answer.json()["code"]) == (
                409,
                "payment_in_progress",
            )
            assert taken or is_refusal(answer), (path, what, answer.status_code, answer.text[:300])


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each scalar."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, each in items:
            yield from leaves(each, (*path, key))
    else:
        yield path


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def with_field(body: Any, path: tuple[Any, ...], raw: str) -> bytes:
    """The body as JSON, one scalar replaced by this text."""
    marked = json.loads(json.dumps(body))
    at(marked, path[:-1])[path[-1]] = "\x01"
    return json.dumps(marked).replace('"\\u0001"', raw).encode()
