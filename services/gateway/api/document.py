"""The public API's OpenAPI document."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, OpenAPI, SecurityScheme

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
        return document


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
