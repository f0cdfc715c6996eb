"""JSON merge patches (RFC 7396): what a `PATCH` changes, and everything else as it was."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from services.chassis.errors import DomainError
from services.chassis.http.faults import Fault, body_fault, body_faults

T = TypeVar("T", bound=msgspec.Struct)


class PatchInvalid(DomainError):
    code = "request_invalid"
    status = 400


def merge(target: object, patch: object) -> object:
    """The target with the patch's members in place of its own; null takes a member away, objects merge."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


def patched(current: msgspec.Struct, patch: Mapping[str, Any], shape: type[T]) -> T:
    """`current` after the patch, as `shape` checks it: a member that null removes has the shape's default.

    Raises `PatchInvalid` for a member that the shape does not know, or that it needs and null takes away.
    """
    members = set(shape.__struct_fields__)
    if unknown := sorted(set(patch) - members):
        raise _invalid(*(body_fault((name,), "Unknown field") for name in unknown))
    known: dict[str, Any] = msgspec.to_builtins(current)
    whole = merge({name: value for name, value in known.items() if name in members}, patch)
    try:
        return msgspec.convert(whole, shape)
    except msgspec.ValidationError:
        raise _invalid(*body_faults(whole, shape)) from None


def _invalid(*errors: Fault) -> PatchInvalid:
    return PatchInvalid("Some fields are missing or wrong.", errors=list(errors))
