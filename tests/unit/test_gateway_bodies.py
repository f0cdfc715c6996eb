"""Every body that a person or a program sends to the gateway as JSON is read strictly."""

import inspect
from typing import Any

import msgspec
import pytest
from litestar import Router
from litestar.handlers import HTTPRouteHandler

from services.gateway.api.routes import api_router
from services.gateway.portal.routes import portal_routes
from services.gateway.web.bodies import BodyInvalid, DuplicateMember, patch_of, strictly


def handlers_of(of: object) -> list[HTTPRouteHandler]:
    if isinstance(of, HTTPRouteHandler):
        return [of]
    if isinstance(of, Router):
        return [handler for route in of.routes for handler in route.route_handlers]  # type: ignore[union-attr]
    return [handler for each in of for handler in handlers_of(each)]  # type: ignore[attr-defined]


def test_what_takes_json_also_takes_its_raw_bytes() -> None:
    """Litestar's own reading takes "5000" for 5000. `strictly` reads the raw body again, as JSON says it."""
    taking = [
        handler
        for handler in handlers_of([api_router, *portal_routes])
        if "RequestEncodingType.JSON" in str(inspect.signature(handler.fn).parameters.get("data"))
    ]
    names = {handler.fn.__name__ for handler in taking}

    assert {"start_payment", "create_invoice", "put_account"} <= names
    assert [
        handler.fn.__name__ for handler in taking if "body" not in inspect.signature(handler.fn).parameters
    ] == []


class Inner(msgspec.Struct):
    minor: int = 0


class Shape(msgspec.Struct):
    name: str = ""
    amount: Inner | None = None
    lines: list[Inner] = []
    any: Any = None


@pytest.mark.parametrize(
    "body",
    [
        b'{"name":"a","name":"b"}',
        b'{"name":"a","name":"a"}',
        b'{"name":"a","n\\u0061me":"b"}',
        b'{"amount":{"minor":1,"minor":2}}',
        b'{"lines":[{"minor":1},{"minor":1,"minor":2}]}',
        b'{"amount":{"minor":1},"amount":null}',
        b'{"any":[[{"a":{"b":1,"b":1}}]]}',
        b'{"unknown":1,"unknown":2}',
    ],
)
def test_a_member_that_is_there_twice_is_refused_wherever_it_is(body: bytes) -> None:
    for read in (strictly, patch_of):
        with pytest.raises(DuplicateMember) as refused:
            read(body, Shape)
        assert (refused.value.status, refused.value.code) == (400, "duplicate_member")


@pytest.mark.parametrize(
    "body",
    [
        b'{"name":"a","lines":[{"minor":1},{"minor":1}],"amount":{"minor":2}}',
        b'{"name":"name","any":{"name":{"name":"name"}}}',
        '{"name":"Grüße \\ud83d\\ude00"}'.encode(),
    ],
)
def test_the_same_name_in_other_objects_is_no_repetition(body: bytes) -> None:
    assert strictly(body, Shape)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b"nul", b'{"name":"\\ud83d"}'])
def test_what_is_no_json_is_refused_as_ever(body: bytes) -> None:
    with pytest.raises(BodyInvalid) as refused:
        strictly(body, Shape)
    assert refused.value.code == "request_invalid"
