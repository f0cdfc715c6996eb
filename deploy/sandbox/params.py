"""Reads Stripe's form encoding, and gives values the types that Stripe's OpenAPI document says."""

import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from deploy.sandbox.errors import BadParameter, Json

BRACKETS = re.compile(r"\[([^\]]*)\]")


@cache
def spec() -> Json:
    """Operations and shapes of one API version: `version`, `operations`, `$defs`."""
    document: Json = msgspec.json.decode((Path(__file__).parent / "openapi/stripe.json").read_bytes())
    return document


def version() -> str:
    text: str = spec()["version"]
    return text


def decode_form(text: str) -> Json:
    """`a[b]=1&c[]=2` as `{"a": {"b": "1"}, "c": {"0": "2"}}`; lists are dicts until their type is known."""
    form: Json = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        head, *rest = [name.split("[", 1)[0], *BRACKETS.findall(name)]
        node = form
        for key in rest:
            child = node.setdefault(head, {})
            if not isinstance(child, dict):
                raise BadParameter(f"Invalid parameter: {name}", name)
            node, head = child, key or str(len(child))
        node[head] = value
    return form


def typed(operation: str, form: Json) -> Json:
    """The parameters of `POST /v1/…` as Stripe's document types them; BadParameter names the first that is wrong."""
    return _object(spec()["operations"][operation], form, "")


def _object(schema: Json, value: Any, name: str) -> Json:
    if not isinstance(value, dict):
        raise BadParameter("Invalid object", name)
    known = schema.get("properties", {})
    free = schema.get("additionalProperties")
    read = {}
    for key, given in value.items():
        full = f"{name}[{key}]" if name else key
        field = known.get(key, free if isinstance(free, dict) else None)
        if field is None:
            raise BadParameter(f"Received unknown parameter: {full}", full, "parameter_unknown")
        read[key] = coerce(field, given, full)
    for key in schema.get("required", ()):
        if key not in read:
            full = f"{name}[{key}]" if name else key
            raise BadParameter(f"Missing required param: {full}.", full, "parameter_missing")
    return read


def coerce(schema: Json, value: Any, name: str) -> Any:
    if options := schema.get("anyOf"):
        return _first_that_fits(options, value, name)
    reader = _READERS.get(schema.get("type", ""))
    return reader(schema, value, name) if reader else value


def _first_that_fits(options: list[Json], value: Any, name: str) -> Any:
    """Of all complaints, that of the first choice for a nested value tells most, else that of the last."""
    complaints = []
    for option in options:
        try:
            return coerce(option, value, name)
        except BadParameter as complaint:
            complaints.append(complaint)
    raise complaints[0 if isinstance(value, dict) else -1]


def _array(schema: Json, value: Any, name: str) -> list[Any]:
    if value == "":
        return []
    if not isinstance(value, dict):
        raise BadParameter("Invalid array", name)
    return [coerce(schema.get("items", {}), given, f"{name}[{key}]") for key, given in value.items()]


def _integer(schema: Json, value: Any, name: str) -> int:
    if not (isinstance(value, str) and re.fullmatch(r"-?\d{1,18}", value)):
        raise BadParameter(f"Invalid integer: {value}", name, "parameter_invalid_integer")
    return int(value)


def _number(schema: Json, value: Any, name: str) -> str:
    if not (isinstance(value, str) and re.fullmatch(r"-?\d{1,18}(\.\d{1,12})?", value)):
        raise BadParameter(f"Invalid decimal: {value}", name)
    return value


def _boolean(schema: Json, value: Any, name: str) -> bool:
    if value not in ("true", "false"):
        raise BadParameter(f"Invalid boolean: {value}", name)
    return bool(value == "true")


def _string(schema: Json, value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise BadParameter(f"Invalid string: {value}", name)
    if (choices := schema.get("enum")) and value not in choices:
        raise BadParameter(f"Invalid {name}: must be one of {', '.join(choices)}", name)
    return value


_READERS = {
    "object": _object,
    "array": _array,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "string": _string,
}
