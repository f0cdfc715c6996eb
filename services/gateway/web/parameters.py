"""Every fault of a request at once: of its query, its headers and its body.

The framework would ignore a query parameter that a route does not declare, so a filter that was mistyped, or does not
exist, would be answered with everything.
"""

import re
from collections import Counter
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from litestar.enums import ParamType
from litestar.handlers import HTTPRouteHandler
from litestar.params import ParameterKwarg

from services.chassis.http.faults import MISSING, Fault, listed, parameter_fault, wrong
from services.chassis.http.problems import AnyRequest
from services.gateway.web.bodies import BodyInvalid, FieldsInvalid, strictly

_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})


_DIGITS = re.compile("-?[0-9]+")


class _Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request that needs none."""


class Parameter(NamedTuple):
    shape: Any
    required: bool


async def check_whole(request: AnyRequest) -> None:
    """Refuse faulty parameters with the body's faults. A faulty body alone is refused when it is decoded.

    A route that takes no body takes an empty object, as programs send it. Raises `BodyInvalid`.
    """
    if found := _query_faults(request) + _header_faults(request):
        raise FieldsInvalid(found + await _body_faults(request))
    takes_none = request.route_handler.parsed_data_field is None and request.method in _WITH_BODY
    if takes_none and (body := await request.body()):
        strictly(body, _Nothing)


def path_faults(request: AnyRequest) -> list[Fault]:
    """Which ids in an unknown address are none, if ids in their place would make it one of ours."""
    given = request.scope["path"].split("/")
    for route in request.app.routes:
        names = route.path_format.split("/")
        if len(names) == len(given) and all(_fits(*each) for each in zip(names, given, strict=True)):
            return [
                parameter_fault("path", name[1:-1], "Expected a UUID")
                for name, value in zip(names, given, strict=True)
                if name.endswith("_id}") and wrong(value, UUID)
            ]
    return []


def _fits(name: str, value: str) -> bool:
    return name == value or name.startswith("{")


def _query_faults(request: AnyRequest) -> list[Fault]:
    declared = _declared(request.route_handler, ParamType.QUERY)
    given = list(request.query_params.multi_items())
    faults = [
        parameter_fault("query", name, f"Given {times} times")
        for name, times in Counter(name for name, _ in given).items()
        if times > 1
    ]
    for name, value in given:
        if name not in declared:
            faults.append(parameter_fault("query", name, _unknown(declared)))
        elif message := _wrong_text(value, declared[name].shape):
            faults.append(parameter_fault("query", name, message))
    return faults


def _wrong_text(value: str, shape: Any) -> str | None:
    """The message about a wrong text in an address; None for a right one.

    A number is digits, and no number is a time: read laxly, `1e1` is 10, `2026` a second of 1970, and `null` nothing.
    """
    message = wrong(value, shape, strict=False)
    strict = wrong(value, shape)
    if message or strict is None:
        return message
    found = msgspec.convert(value, type=shape, strict=False)
    return (
        None if isinstance(found, bool) or (isinstance(found, int) and _DIGITS.fullmatch(value)) else strict
    )


def _header_faults(request: AnyRequest) -> list[Fault]:
    faults = []
    for name, parameter in _declared(request.route_handler, ParamType.HEADER).items():
        value = request.headers.get(name)
        message = (
            wrong(value, parameter.shape) if value is not None else MISSING if parameter.required else None
        )
        if message:
            faults.append(parameter_fault("header", name, message))
    return faults


async def _body_faults(request: AnyRequest) -> list[Fault]:
    declared = request.route_handler.parsed_data_field
    if declared is None:
        return []
    try:
        strictly(await request.body(), declared.annotation)
    except BodyInvalid as error:
        faults: list[Fault] = error.fields.get("errors", [])
        return faults
    return []


@cache
def _declared(handler: HTTPRouteHandler, kind: ParamType) -> dict[str, Parameter]:
    """The parameters of this kind that a route declares, by their names in requests."""
    injected = handler.resolve_dependencies()
    found = {}
    for name, field in handler.parsed_fn_signature.parameters.items():
        about = field.kwarg_definition
        if name not in injected and isinstance(about, ParameterKwarg) and about.param_type is kind:
            shape = handler.signature_model.__annotations__[name]
            found[about.name or name] = Parameter(shape, not field.has_default)
    return found


def _unknown(declared: dict[str, Parameter]) -> str:
    known = listed(declared)
    return f"Unknown parameter; known are {known}" if known else "Unknown parameter; this address takes none"
