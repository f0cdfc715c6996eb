"""The public API's OpenAPI document."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Literal

import msgspec
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, OpenAPI, SecurityScheme
from msgspec import UNSET, UnsetType

from contracts.http.common import Answer
from contracts.vocabulary import UNKNOWN


@dataclass
class _Document(OpenAPI):
    """The document, in which each set of values that a service answers with has `unknown` too.

    The gateway answers `unknown` for a value of a newer service (`contracts.http.reading`).
    """

    def to_schema(self) -> dict[str, Any]:
        document = super().to_schema()
        schemas = document["components"]["schemas"]
        for name in _names_below(Answer):
            for values in _sets_of_values(schemas.get(name, {})):
                values.insert(sum(value is not None for value in values), UNKNOWN)
        _, problem = msgspec.json.schema_components([Problem], ref_template="#/components/schemas/{name}")
        schemas.update(problem)
        for operation in _operations(document):
            if "400" in operation["responses"]:
                operation["responses"]["400"] = dict(_REFUSED)
            operation["responses"]["429"] = {"$ref": "#/components/responses/TooManyRequests"}
            for response in operation["responses"].values():
                if "$ref" not in response:
                    response["headers"] = {**_LEFT, **response.get("headers", {})}
        document["components"].update(headers=_HEADERS, responses={"TooManyRequests": _TOO_MANY})
        return document


class Fault(msgspec.Struct, rename={"where": "in"}, omit_defaults=True):
    """A fault of the request. `pointer` (RFC 6901) is there for a body's; `field` is the same path with dots, or the
    parameter's name."""

    where: Literal["body", "query", "header", "path"]
    field: str
    message: str
    pointer: str | UnsetType = UNSET


class Problem(msgspec.Struct):
    """A refusal by RFC 9457. `errors` names all faults of body, query and headers at once, at most a hundred."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[Fault] | UnsetType = UNSET


_REFUSED = {
    "description": "The request is malformed, or members and parameters are missing, unknown or wrong",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}

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
    "content": _REFUSED["content"],
}


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from (each for each in path.values() if isinstance(each, dict) and "responses" in each)


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


def _names_below(parent: type) -> set[str]:
    """The names of the class and of all that derive from it, which are the names of their schemas."""
    return {parent.__name__}.union(*map(_names_below, parent.__subclasses__()))


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
