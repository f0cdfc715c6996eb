"""The public API's OpenAPI document."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from inspect import cleandoc
from typing import Any, Literal

import msgspec
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, OpenAPI, SecurityScheme
from msgspec import UNSET, UnsetType

from contracts.http.common import Answer, Request
from contracts.vocabulary import UNKNOWN
from services.gateway.api.refusals import refusals_of


@dataclass
class _Document(OpenAPI):
    """The document, in which each set of values that a service answers with has `unknown` too.

    The gateway answers `unknown` for a value of a newer service (`contracts.http.reading`).
    """

    def to_schema(self) -> dict[str, Any]:
        document = super().to_schema()
        schemas = document["components"]["schemas"]
        for body in _classes_below(Answer) | _classes_below(Request):
            if body.__doc__ and body.__name__ in schemas:
                schemas[body.__name__]["description"] = cleandoc(body.__doc__)
        for schema in schemas.values():
            for member in schema.get("properties", {}).values():
                # Litestar takes the dots of an annotated `tuple[int, ...]` for a second type, which anything is.
                if {} in member.get("items", {}).get("oneOf", ()):
                    [member["items"]] = filter(None, member["items"]["oneOf"])
        for name in {answer.__name__ for answer in _classes_below(Answer)}:
            for values in _sets_of_values(schemas.get(name, {})):
                values.insert(sum(value is not None for value in values), UNKNOWN)
        _, problem = msgspec.json.schema_components([Problem], ref_template="#/components/schemas/{name}")
        schemas.update(problem)
        for method, path, operation in _operations(document):
            operation["responses"].update(_refused(method, path, operation))
            operation["responses"]["429"] = {"$ref": "#/components/responses/TooManyRequests"}
            for response in operation["responses"].values():
                if "$ref" not in response:
                    response["headers"] = {**_LEFT, **response.get("headers", {})}
        document["components"].update(headers=_HEADERS, responses={"TooManyRequests": _TOO_MANY})
        return document


class Fault(msgspec.Struct, rename={"where": "in"}, omit_defaults=True):
    """A fault of the request. `pointer` (RFC 6901) is there for a body's; `field` is the same path with dots, or the
    parameter's name. A value that is refused by its meaning has a `code`."""

    where: Literal["body", "query", "header", "path"]
    field: str
    message: str
    pointer: str | UnsetType = UNSET
    code: str | UnsetType = UNSET


class Problem(msgspec.Struct):
    """A refusal by RFC 9457. `errors` names all faults of body, query and headers at once, at most a hundred."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[Fault] | UnsetType = UNSET


_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_WHY = {
    "400": "The request is malformed, or members and parameters are missing, unknown or wrong",
    "401": "The API key is missing or unknown",
    "403": "Another kind of key is needed",
    "404": "What the address or the body names is not there",
    "409": "Not possible as things are now",
    "413": "The body is too large",
    "415": "The body is not what it has to be: JSON, not compressed",
    "422": "A value is refused by its meaning",
    "500": "A fault on our side: send it again with the same key",
    "502": "A part of ClinicPay, or Stripe, gave no usable answer: send it again with the same key",
    "503": "Not now: send it again with the same key, after `Retry-After` seconds",
}
"""The meaning of each status of a refusal; the codes name the cause."""

_HEADERS = {
    "RateLimit-Policy": {
        "description": "`q` requests in `w` seconds (draft-ietf-httpapi-ratelimit-headers)",
        "schema": {"type": "string", "examples": ['"default";q=1200;w=60']},
    },
    "RateLimit": {
        "description": "`r` requests are left for the next `t` seconds",
        "schema": {"type": "string", "examples": ['"default";r=1199;t=60']},
    },
}
_LEFT = {name: {"$ref": f"#/components/headers/{name}"} for name in _HEADERS}
_TOO_MANY = {
    "description": "Too many requests a minute of this API key, or of this address without a valid one",
    "headers": {**_LEFT, "Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer"}}},
    "content": _PROBLEM,
}


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each operation with its method and its path."""
    for path, methods in document["paths"].items():
        for method, each in methods.items():
            if isinstance(each, dict) and "responses" in each:
                yield method, path, each


def _refused(method: str, path: str, operation: dict[str, Any]) -> dict[str, Any]:
    """The answers that refuse, by status. `x-codes` names the codes for programs; it may grow."""
    codes = refusals_of(method, path.removeprefix("/api/v1"), operation)
    return {
        status: {
            "description": f"{_WHY[status]}: {', '.join(f'`{code}`' for code in codes[status])}",
            "content": _PROBLEM,
            "x-codes": codes[status],
        }
        for status in _WHY
        if status in codes
    }


@dataclass
class _Config(OpenAPIConfig):
    def to_openapi_schema(self) -> OpenAPI:
        built = super().to_openapi_schema()
        return _Document(**{field.name: getattr(built, field.name) for field in fields(built)})


def openapi_config() -> OpenAPIConfig:
    return _Config(
        title="ClinicPay API",
        version="1",
        description="Put clinics on, add their clients, issue invoices. Money is integer minor units.",
        # At this one address: below a path, the plugin would answer unknown addresses of the API with a page.
        path="/api/v1/openapi.json",
        render_plugins=[JsonRenderPlugin(path="/")],
        components=Components(
            security_schemes={
                "api_key": SecurityScheme(type="http", scheme="bearer", description="An API key.")
            }
        ),
        use_handler_docstrings=True,
    )


def _classes_below(parent: type) -> set[type]:
    """The class and all that derive from it, with the lenient ones, which have the same names and words.

    Their names are the names of their schemas.
    """
    return {parent}.union(*map(_classes_below, parent.__subclasses__()))


def _sets_of_values(schema: Any) -> Iterator[list[str | None]]:
    """Every `enum` in the schema."""
    if isinstance(schema, dict):
        if "enum" in schema:
            yield schema["enum"]
        for part in schema.values():
            yield from _sets_of_values(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _sets_of_values(part)
