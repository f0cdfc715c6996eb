"""Bodies read as JSON says them."""

from typing import Any, TypeVar

import msgspec

from services.chassis.errors import DomainError

T = TypeVar("T")


class BodyInvalid(DomainError):
    code = "request_invalid"
    status = 400


def strictly(body: bytes, shape: type[T]) -> T:
    """The body as JSON says it: Litestar's own reading takes "125" for 125, and money is no place for that."""
    if b"\\u0000" in body:
        raise BodyInvalid("No text may hold a NUL character.")
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        detail = (
            str(error)
            if isinstance(error, msgspec.ValidationError)
            else "The body is not JSON as we read it."
        )
        raise BodyInvalid(detail) from None


def patch_of(body: bytes, shape: type[msgspec.Struct]) -> dict[str, Any]:
    """The members of a merge patch, which `shape` has checked; null is kept, since it says something."""
    strictly(body, shape)
    return msgspec.json.decode(body, type=dict[str, Any])
