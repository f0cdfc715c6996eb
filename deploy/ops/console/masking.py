"""Records of events without what is personal in them: values are shown by a list of what is known to be none. Pure."""

import json
import re
from typing import Any

HIDDEN = "•••"
_SHOWN = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|(acct|ch|cus|dp|du|evt|pi|pm|py|pyr|re|seti)_[A-Za-z0-9]{1,100}"
    r"|\d{4}-\d{2}-\d{2}([T ][0-9:.]+(Z|[+-]\d{2}:?\d{2})?)?"
    r"|00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"
    r"|[A-Z]{3}"
)
"""Ids of ours and of Stripe's, times, traces, currencies."""
_ENVELOPE = frozenset({"specversion", "source", "type", "datacontenttype", "dataschema"})
_CODES = frozenset({"status", "kind", "state", "outcome", "code", "template", "slug", "number"})
"""Members that hold a word of a list, or a name that is public."""


def shown(raw: bytes | None, *, whole: bool) -> str:
    """A record's key or value as text: with `whole` as it is, else with personal texts hidden."""
    if raw is None:
        return "(none)"
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return raw.hex() if whole else f"{len(raw)} bytes that are no text"
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text if whole or _SHOWN.fullmatch(text) else f"{len(text)} characters that are no JSON"
    return json.dumps(value if whole else _masked(value, ""), indent=2, ensure_ascii=False)


def _masked(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: _masked(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_masked(each, name) for each in value]
    if isinstance(value, str) and value:
        is_shown = name in _ENVELOPE or name in _CODES or _SHOWN.fullmatch(value)
        return value if is_shown else HIDDEN
    return value
