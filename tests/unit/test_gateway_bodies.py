"""Every body that a person or a program sends to the gateway as JSON is decoded once, and strictly."""

import ast
import inspect
import sys
import textwrap
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from litestar.handlers import HTTPRouteHandler
from msgspec import UNSET, UnsetType

from services.chassis.http import faults
from services.gateway.web.bodies import BodyInvalid, DuplicateMember, StrictBody, members_of, strictly
from tests.tools.generate import apps


@pytest.fixture
async def declaring() -> list[HTTPRouteHandler]:
    """All of the gateway's routes that declare a body, as the app has registered them."""
    routes = apps()["gateway"].routes
    handlers = [handler for route in routes for handler in getattr(route, "route_handlers", ())]
    return [handler for handler in handlers if "data" in parameters_of(handler)]


@pytest.fixture
def taking_json(declaring: list[HTTPRouteHandler]) -> list[HTTPRouteHandler]:
    return [
        handler for handler in declaring if "RequestEncodingType.JSON" in str(parameters_of(handler)["data"])
    ]


def parameters_of(handler: HTTPRouteHandler) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(handler.fn).parameters


def test_every_json_body_is_decoded_by_the_strict_decoder(taking_json: list[HTTPRouteHandler]) -> None:
    """Litestar's own decoding accepts "5000" for 5000."""
    assert {"start_payment", "create_invoice", "put_account"} <= {each.fn.__name__ for each in taking_json}
    assert [each.fn.__name__ for each in taking_json if each.resolve_data_dto() is not StrictBody] == []


def test_every_route_uses_the_body_that_it_declares(declaring: list[HTTPRouteHandler]) -> None:
    assert [each.fn.__name__ for each in declaring if "data" not in names_read_by(each.fn)] == []


def test_no_route_reads_the_raw_body_besides_the_decoded_one(taking_json: list[HTTPRouteHandler]) -> None:
    assert [each.fn.__name__ for each in taking_json if {"body", "request"} & set(parameters_of(each))] == []


def names_read_by(function: Any) -> set[str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    return {name.id for name in names if isinstance(name.ctx, ast.Load)}


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
    with pytest.raises(DuplicateMember) as refused:
        strictly(body, Shape)
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


def test_a_refusal_names_the_field_and_not_its_value() -> None:
    with pytest.raises(BodyInvalid) as refused:
        strictly(b'{"lines":[{"minor":1},{"minor":"5000"}]}', Shape)
    assert refused.value.fields == {
        "errors": [
            {
                "in": "body",
                "field": "lines.1.minor",
                "pointer": "/lines/1/minor",
                "message": "Expected `int`, got `str`",
            }
        ]
    }


class Patch(msgspec.Struct):
    name: str | UnsetType | None = UNSET
    amount: Inner | UnsetType | None = UNSET
    lines: tuple[Inner, ...] | UnsetType = UNSET


@pytest.mark.parametrize(
    ("body", "members"),
    [
        (b"{}", {}),
        (b'{"name":null}', {"name": None}),
        (b'{"amount":{"minor":3},"name":""}', {"amount": {"minor": 3}, "name": ""}),
        (b'{"lines":[]}', {"lines": []}),
    ],
)
def test_a_patch_has_the_members_that_it_names(body: bytes, members: dict[str, Any]) -> None:
    assert msgspec.json.encode(members_of(strictly(body, Patch)), order="sorted") == msgspec.json.encode(
        members, order="sorted"
    )


class Part(msgspec.Struct, forbid_unknown_fields=True):
    invoice_id: UUID
    amount: int


class Card(msgspec.Struct, forbid_unknown_fields=True, tag_field="kind", tag="card"):
    save: bool = False


class Saved(msgspec.Struct, forbid_unknown_fields=True, tag_field="kind", tag="saved"):
    id: UUID


class Choice(msgspec.Struct, forbid_unknown_fields=True):
    method: Card | Saved
    parts: Annotated[list[Part], msgspec.Meta(max_length=50)]
    others: list[Part] = []


PART = {"invoice_id": "01890000-0000-7000-8000-000000000000", "amount": 5}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"parts": [PART] * 51}, {"parts": "Expected `array` of length <= 50"}),
        ({"parts": [{}] * 51}, {"parts": "Expected `array` of length <= 50"}),
        ({"others": [PART, {**PART, "amount": "5"}]}, {"others.1.amount": "Expected `int`, got `str`"}),
        ({"method": {"kind": "saved"}}, {"method.id": "Required, and missing"}),
        (
            {"method": {"kind": "card", "x": 1}},
            {"method.x": "Unknown field; known are `kind`, `save`"},
        ),
        (
            {"method": {"kind": "cash"}},
            {"method.kind": "Invalid enum value; allowed are `card`, `saved`"},
        ),
        ({"method": {}}, {"method.kind": "Required, and missing"}),
        ({"more": 1}, {"more": "Unknown field; known are `method`, `parts`, `others`"}),
    ],
)
def test_only_what_is_wrong_is_named(changes: dict[str, Any], named: dict[str, str]) -> None:
    body = {"method": {"kind": "card"}, "parts": [PART], **changes}

    found = faults.body_faults(body, Choice)

    assert {fault["field"]: fault["message"] for fault in found} == named


def test_members_that_are_right_are_not_walked() -> None:
    """A body may be a megabyte: nine thousand right members took seconds, in which nobody else was answered."""
    walked = 0

    def count(frame: Any, event: str, _: Any) -> None:
        nonlocal walked
        walked += event == "call" and frame.f_code.co_filename == faults.__file__

    body = {"method": {"kind": "card"}, "parts": [], "others": [PART] * 5_000 + [{**PART, "amount": "5"}]}
    sys.setprofile(count)
    try:
        found = faults.body_faults(body, Choice)
    finally:
        sys.setprofile(None)

    assert [fault["field"] for fault in found] == ["others.5000.amount"]
    assert walked < 4 * len(body["others"])
