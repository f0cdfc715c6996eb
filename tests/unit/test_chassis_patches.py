"""Merge patches: RFC 7396's own examples, and what a shape makes of a patch."""

from typing import Any

import msgspec
import pytest

from services.chassis.http.patches import PatchInvalid, merge, patched


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_it_merges_as_the_rfc_shows(target: object, patch: object, result: object) -> None:
    assert merge(target, patch) == result


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    city: str = ""


class Shape(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    size: int = 1
    inner: Inner = msgspec.field(default_factory=Inner)


class Shown(Shape):
    version: int = 7


@pytest.mark.parametrize(
    "patch",
    [{"version": 8}, {"version": None}, {"name": None}, {"size": "2"}, {"inner": {"fax": "1"}}, {"inner": 3}],
)
def test_a_patch_that_does_not_fit_is_refused(patch: dict[str, Any]) -> None:
    with pytest.raises(PatchInvalid):
        patched(Shown("a", 2), patch, Shape)


def test_null_sets_back_to_the_default_and_the_rest_stays() -> None:
    assert patched(Shown("a", 2, Inner("x")), {"size": None}, Shape) == Shape("a", 1, Inner("x"))
