"""Bodies read as JSON says them."""

import json
from typing import Any, TypeVar

import msgspec

from services.chassis.errors import DomainError

T = TypeVar("T")


class BodyInvalid(DomainError):
    code = "request_invalid"
    status = 400


class DuplicateMember(BodyInvalid):
    """Readers differ in which of two members they take, and what was meant is not known."""

    code = "duplicate_member"


def strictly(body: bytes, shape: type[T]) -> T:
    """The body as JSON says it: Litestar's own reading takes "125" for 125, and money is no place for that."""
    if b"\\u0000" in body:
        raise BodyInvalid("No text may hold a NUL character.")
    try:
        found = msgspec.json.decode(body, type=shape)
        _check_members(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        detail = (
            str(error)
            if isinstance(error, msgspec.ValidationError)
            else "The body is not JSON as we read it."
        )
        raise BodyInvalid(detail) from None
    return found


def _check_members(body: bytes) -> None:
    """Refuse an object, however deep, that names a member twice; msgspec takes the last. Raises `DuplicateMember`."""
    json.loads(body.decode(), object_pairs_hook=_members, parse_int=str, parse_float=str)


def _members(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) < len(pairs):
        raise DuplicateMember("An object in the body names a member twice.")


def patch_of(body: bytes, shape: type[msgspec.Struct]) -> dict[str, Any]:
    """The members of a merge patch, which `shape` has checked; null is kept, since it says something."""
    strictly(body, shape)
    return msgspec.json.decode(body, type=dict[str, Any])
