"""Every fault of a body, with one spelling of its path and the limit that it is above."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
from msgspec import UNSET, UnsetType

from services.chassis.http.faults import MOST, body_fault, body_faults, path_of


class Price(msgspec.Struct, forbid_unknown_fields=True):
    minor: Annotated[int, msgspec.Meta(ge=0, le=1000)]
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]


class Line(msgspec.Struct, forbid_unknown_fields=True):
    service: Annotated[str, msgspec.Meta(min_length=1, max_length=5)]
    price: Price
    way: Literal["card", "cash"] | None = None


class Shape(msgspec.Struct, forbid_unknown_fields=True):
    id: UUID
    lines: Annotated[list[Line], msgspec.Meta(min_length=1, max_length=2)] | UnsetType | None = UNSET
    parts: Sequence[Line] = ()
    free: dict[str, Any] | None = None
    on: bool = False


LINE = {"service": "Visit", "price": {"minor": 1, "currency": "EUR"}}
ID = "018f0000-0000-7000-8000-000000000001"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"id": ID, "lines": [LINE], "parts": [LINE], "free": {"a": 1}}, []),
        ({}, [("/id", "Required, and missing")]),
        ([], [("", "Expected `object`, got `array`")]),
        ({"id": "x", "on": "yes"}, [("/id", "Invalid UUID"), ("/on", "Expected `bool`, got `str`")]),
        (
            {"id": ID, "lines": [{"service": "", "price": {"minor": "1", "currency": "eur", "x": 1}}]},
            [
                ("/lines/0/service", "Expected `str` of length >= 1"),
                ("/lines/0/price/minor", "Expected `int`, got `str`"),
                ("/lines/0/price/currency", "Expected `str` matching regex '^[A-Z]{3}$'"),
                ("/lines/0/price/x", "Unknown field; known are `minor`, `currency`"),
            ],
        ),
        (
            {"id": ID, "lines": [LINE, LINE, {**LINE, "way": "SECRET"}]},
            [("/lines", "Expected `array` of length <= 2")],
        ),
        ({"id": ID, "lines": []}, [("/lines", "Expected `array` of length >= 1")]),
        ({"id": ID, "lines": 3}, [("/lines", "Expected `array | null`, got `int`")]),
        (
            {"id": ID, "parts": [{**LINE, "price": {"minor": 1001, "currency": "EUR"}}]},
            [("/parts/0/price/minor", "Expected `int` <= 1000")],
        ),
        (
            {"id": ID, "a/b~c": 1},
            [("/a~1b~0c", "Unknown field; known are `id`, `lines`, `parts`, `free`, `on`")],
        ),
    ],
)
def test_every_fault_is_named_with_its_place_and_its_limit(body: Any, found: list[tuple[str, str]]) -> None:
    assert [(each["pointer"], each["message"]) for each in body_faults(body, Shape)] == found
    assert all("SECRET" not in str(each) for each in body_faults(body, Shape))


def test_a_flood_of_faults_is_listed_as_far_as_anybody_reads() -> None:
    assert len(body_faults({"id": ID, "parts": [1] * 10_000}, Shape)) == MOST


@pytest.mark.parametrize("spelt", ["lines.0.price.minor", "lines[0].price.minor", ".lines[0].price.minor"])
def test_a_place_has_one_spelling(spelt: str) -> None:
    assert body_fault(path_of(spelt), "wrong") == {
        "in": "body",
        "field": "lines.0.price.minor",
        "pointer": "/lines/0/price/minor",
        "message": "wrong",
    }
