"""The lenient reading of an answer, derived from its one definition.

A service may be newer than the gateway that reads its answer. So the gateway ignores unknown fields at every level, and
an enum value that it does not know becomes `unknown`, and numbers have no bounds. Requests are read as they are
defined: strictly.
"""

from collections.abc import Sequence
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

import msgspec
from msgspec.structs import astuple

from contracts.vocabulary import UNKNOWN

T = TypeVar("T")


def lenient(body: type[T]) -> type[T]:
    """The type that reads `body` leniently. Its values are instances of `body`, and equal to values of `body`."""
    opened: type[T] = _opened(cast(Any, body))
    return opened


@cache
def _opened(kind: Any) -> Any:
    """The type with each body in it read leniently, and each set of texts opened."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        return _open_enum(args) if all(isinstance(value, str) for value in args) else kind
    if origin is Annotated:
        return Annotated[(_opened(args[0]), *(_unbounded(each) for each in args[1:]))]
    if origin in (Union, UnionType):
        return Union[tuple(_opened(arg) for arg in args)]  # noqa: UP007
    if _is_struct(origin or kind):
        return _lenient_struct(kind)
    if origin in (list, tuple, Sequence):
        return origin[tuple(_opened(arg) for arg in args)]
    return kind


def _unbounded(meta: Any) -> Any:
    """Without bounds of a number: those of a request. A sum of many may be larger than one amount that is asked for."""
    if not isinstance(meta, msgspec.Meta):
        return meta
    kept = ("multiple_of", "pattern", "min_length", "max_length", "title", "description")
    return msgspec.Meta(**{name: getattr(meta, name) for name in kept})


class _OpenEnum(StrEnum):
    """Texts that read any other text as `unknown`."""

    @classmethod
    def _missing_(cls, value: object) -> Any:
        return cls(UNKNOWN) if isinstance(value, str) else None


@cache
def _open_enum(values: tuple[str, ...]) -> Any:
    """An enum whose members equal the texts."""
    make: Any = _OpenEnum
    return make("Opened", {value: value for value in (*values, UNKNOWN)})


def _lenient_struct(kind: Any) -> type[msgspec.Struct]:
    """A subclass that ignores unknown fields; the fields keep their order, defaults and limits."""
    body = get_origin(kind) or kind
    return msgspec.defstruct(
        body.__name__,
        [_field(field) for field in msgspec.structs.fields(kind)],
        bases=(body,),
        module=body.__module__,
        namespace={"__doc__": body.__doc__, **_comparison(body)},
        frozen=True,
        kw_only=True,
        eq=False,
        forbid_unknown_fields=False,
    )


def _field(field: msgspec.structs.FieldInfo) -> Any:
    opened = _opened(field.type)
    if field.required:
        return field.name, opened
    if field.default_factory is not msgspec.NODEFAULT:
        return field.name, opened, msgspec.field(default_factory=field.default_factory)
    return field.name, opened, field.default


def _comparison(body: type[msgspec.Struct]) -> dict[str, Any]:
    """Equality by fields. A msgspec struct is equal to structs of its own class alone."""

    def equal(self: msgspec.Struct, other: object) -> bool:
        return isinstance(other, body) and astuple(self) == astuple(other)

    def unequal(self: msgspec.Struct, other: object) -> bool:
        return not equal(self, other)

    return {"__eq__": equal, "__ne__": unequal, "__hash__": None}


def _is_struct(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
