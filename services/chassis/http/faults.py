"""Every fault of a request's body and parameters, each with where it is and what would be right, never with its value.

A fault is an object with these members, in an answer's `errors`:
in          `body`, `query`, `header` or `path`
field       the member's path, `lines.0.unit_price.minor`, or the parameter's name; empty for the whole body
pointer     the same path as a JSON Pointer (RFC 6901), of a body alone
message     what would be right, with its limit or its allowed values
code        of a value that is refused by its meaning
"""

import re
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec.structs import fields as fields_of

Path = tuple[str | int, ...]
Fault = dict[str, str]

MISSING = "Required, and missing"
NO_BODY = "The request has no body; send a JSON object"
MOST = 100
"""How many faults of one request are listed."""
_LONGEST_NAME = 200
_LISTS = (list, tuple, Sequence)


def body_faults(value: Any, shape: Any) -> list[Fault]:
    """The faults of a decoded JSON value. It is checked member by member, since msgspec stops at the first fault."""
    return [body_fault(path, message) for path, message in islice(_faults(value, shape, ()), MOST)]


def body_fault(path: Path, message: str) -> Fault:
    names = [str(each)[:_LONGEST_NAME] for each in path]
    pointer = "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)
    return {"in": "body", "field": ".".join(names), "pointer": pointer, "message": message}


def parameter_fault(where: Literal["query", "header", "path"], name: str, message: str) -> Fault:
    return {"in": where, "field": name[:_LONGEST_NAME], "message": message}


def path_of(field: str) -> Path:
    """The path in a member's name: `lines.0.minor`, and msgspec's own `lines[0].minor`."""
    return tuple(part for part in re.split(r"[.\[\]]+", field) if part)


def wrong(value: Any, shape: Any, *, strict: bool = True) -> str | None:
    """The message about a wrong value; None for a right one."""
    try:
        msgspec.convert(value, type=shape, strict=strict)
    except msgspec.ValidationError as error:
        message = str(error).split(" - ", maxsplit=1)[0]
        allowed = _allowed(shape) if message.startswith("Invalid enum value") else ""
        return without_value(message) + allowed
    return None


def without_value(message: str) -> str:
    """msgspec's message without the enum value that was sent, which it quotes."""
    return re.sub(r"Invalid enum value .*", "Invalid enum value", message, flags=re.DOTALL)


def _faults(value: Any, shape: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Walks into a wrong value alone: a right one is told by msgspec, which is a hundred times as fast."""
    message = wrong(value, shape)
    if message is None:
        return
    structs = []
    for option in _options(shape):
        bare = _bare(option)
        if isinstance(value, dict) and isinstance(bare, type) and issubclass(bare, msgspec.Struct):
            structs.append(bare)
        if isinstance(value, list) and get_origin(bare) in _LISTS:
            yield from _of_list(value, option, path)
            return
    if not structs:
        yield path, message
    elif meant := next((each for each in structs if _is_meant(value, each)), None):
        yield from _of_object(value, meant, path)
    else:
        tag = str(structs[0].__struct_config__.tag_field)
        kinds = listed(str(each.__struct_config__.tag) for each in structs)
        yield (*path, tag), f"Invalid enum value; allowed are {kinds}" if tag in value else MISSING


def _is_meant(value: Mapping[str, Any], struct: type[msgspec.Struct]) -> bool:
    """Whether the object says by its tag that it is this one; a struct without a tag is the only one."""
    config = struct.__struct_config__
    return config.tag_field is None or value.get(config.tag_field) == config.tag


def _of_list(value: list[Any], shape: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Its members are not looked at while there are too many of them."""
    limits = getattr(shape, "__metadata__", ())
    if limits and (message := wrong(value, Annotated[(list[Any], *limits)])):
        yield path, message
        return
    for position, item in enumerate(value):
        yield from _faults(item, get_args(_bare(shape))[0], (*path, position))


def _of_object(
    value: Mapping[str, Any], struct: type[msgspec.Struct], path: Path
) -> Iterator[tuple[Path, str]]:
    known = {field.encode_name: field for field in fields_of(struct)}
    tag = struct.__struct_config__.tag_field
    for name, field in known.items():
        if name in value:
            yield from _faults(value[name], field.type, (*path, name))
        elif field.required:
            yield (*path, name), MISSING
    if struct.__struct_config__.forbid_unknown_fields:
        for name in value:
            if name not in known and name != tag:
                names = [tag, *known] if tag else known
                yield (*path, name), f"Unknown field; known are {listed(names)}"


def _options(shape: Any) -> list[Any]:
    """The types that a value of this one may have, each with its limits."""
    if get_origin(_bare(shape)) in (Union, types.UnionType):
        return [option for each in get_args(_bare(shape)) for option in _options(each)]
    return [shape]


def _bare(shape: Any) -> Any:
    return get_args(shape)[0] if get_origin(shape) is Annotated else shape


def _allowed(shape: Any) -> str:
    values = [
        value
        for each in _options(shape)
        if get_origin(_bare(each)) is Literal
        for value in get_args(_bare(each))
    ]
    return f"; allowed are {listed(values)}" if values else ""


def listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
