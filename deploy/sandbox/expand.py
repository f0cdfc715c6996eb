"""`expand[]`: ids in an answer replaced by the objects that they name."""

from deploy.sandbox.errors import Json, invalid
from deploy.sandbox.sandbox import PLATFORM, Call


def expanded(call: Call, answer: Json) -> Json:
    for path in call.params.get("expand", ()):
        _expand(call, answer, path.split("."), path)
    return answer


def _expand(call: Call, node: Json, steps: list[str], path: str) -> None:
    head, *rest = steps
    if head not in node:
        raise invalid(f"This property cannot be expanded ({path}).", param="expand")
    value = node[head]
    if isinstance(value, str):
        value = call.store.get(call.account, value) or call.store.get(PLATFORM, value)
        if value is None:
            raise invalid(f"This property cannot be expanded ({path}).", param="expand")
        node[head] = value
    for child in value if isinstance(value, list) else [value]:
        if rest and isinstance(child, dict):
            _expand(call, child, rest, path)
