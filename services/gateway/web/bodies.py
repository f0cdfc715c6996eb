"""JSON bodies, decoded strictly: Litestar's own decoding accepts "125" for 125, and the last of two equal members."""

import json
import re
from typing import Any, TypeVar

import msgspec
from litestar.dto import AbstractDTO
from litestar.openapi.spec import Reference, Schema
from litestar.typing import FieldDefinition

from services.chassis.errors import DomainError
from services.chassis.http.faults import Fault, body_fault, body_faults, path_of, without_value

T = TypeVar("T")


class BodyInvalid(DomainError):
    code = "request_invalid"
    status = 400


class FieldsInvalid(BodyInvalid):
    def __init__(self, errors: list[Fault]) -> None:
        super().__init__("Some fields are missing or wrong.", errors=errors)


class DuplicateMember(BodyInvalid):
    """JSON readers differ in which of two equal members they use, so the sender's intent is not known."""

    code = "duplicate_member"


class StrictBody(AbstractDTO[Any]):
    """Decodes the `data` that a route declares, by `strictly`. A router or route names it as its `dto`.

    Litestar's documented hook for a decoder of one's own; the OpenAPI document shows the declared type unchanged.
    """

    @classmethod
    def create_for_field_definition(cls, *_: Any, **__: Any) -> None:
        """Litestar would derive a transfer type here. The declared type is decoded as it is."""

    @classmethod
    def create_openapi_schema(
        cls, field_definition: FieldDefinition, handler_id: str, schema_creator: Any
    ) -> Reference | Schema:
        schema: Reference | Schema = schema_creator.for_field_definition(field_definition)
        return schema

    def decode_bytes(self, value: bytes) -> Any:
        declared = self.asgi_connection.route_handler.parsed_data_field
        return strictly(value, declared.annotation)


def strictly(body: bytes, shape: type[T]) -> T:
    """Decode JSON into `shape` without converting types. Raises `BodyInvalid`, which names all faulty fields."""
    if b"\\u0000" in body:
        raise BodyInvalid("No text may hold a NUL character.")
    try:
        return _decoded(body, shape)
    except RecursionError:
        raise BodyInvalid("The body is nested too deeply.") from None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise BodyInvalid("The request is malformed.") from None


def _decoded(body: bytes, shape: type[T]) -> T:
    try:
        found = msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        raise FieldsInvalid(_faults(body, shape) or [_first(str(error))]) from None
    _check_members(body)
    return found


def _faults(body: bytes, shape: Any) -> list[Fault]:
    """Raises `msgspec.DecodeError` when what is wrong is no JSON further on."""
    return body_faults(msgspec.json.decode(body), shape)


def _first(message: str) -> Fault:
    """The fault in msgspec's own message, which is about the first of them."""
    path = re.search(r"`\$(.+)`$", message)
    wrong = without_value(message.split(" - ", maxsplit=1)[0])
    return body_fault(path_of(path.group(1)) if path else (), wrong)


def _check_members(body: bytes) -> None:
    """Refuse an object, however deep, that names a member twice; msgspec keeps the last. Raises `DuplicateMember`."""
    json.loads(body.decode(), object_pairs_hook=_members, parse_int=str, parse_float=str)


def _members(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) < len(pairs):
        raise DuplicateMember("An object in the body names a member twice.")


def members_of(patch: msgspec.Struct) -> dict[str, Any]:
    """The members that a merge patch names, as plain values. Null stays: it sets a member back to its default."""
    members: dict[str, Any] = msgspec.to_builtins(patch)
    return members
