"""Records of events without what is personal in them: names and values are shown if they look like none. Pure."""

import json
import re
from typing import Any

HIDDEN = "•••"
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,40}")
"""How members and headers of ours are named."""
_SHOWN = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|(acct|ch|cus|dp|du|evt|pi|pm|py|pyr|re|seti)_[A-Za-z0-9]{1,100}"
    r"|\d{4}-\d{2}-\d{2}([T ][0-9:.]+(Z|[+-]\d{2}:?\d{2})?)?"
    r"|00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"
    r"|[A-Z]{3}"
)
"""Ids of ours and of Stripe's, times, traces, currencies."""
_MEMBERS = {
    "specversion": re.compile(r"1\.\d"),
    "source": re.compile(r"clinicpay/[a-z]+"),
    "type": re.compile(r"[a-z_]+(\.[a-z_]+)+"),
    "datacontenttype": re.compile(r"application/json"),
    "dataschema": re.compile(r"[a-z_.]+/\d+"),
    "number": re.compile(r"([A-Z]{1,3}-)?\d{4}-\d{6,}"),
    **dict.fromkeys(
        ("status", "kind", "state", "outcome", "code", "template"), re.compile(r"[a-z]+(_[a-z]+)*")
    ),
}
"""Members that hold a word of a list, or a number of ours, in the form that such a one has."""


def shown(raw: bytes | None, *, whole: bool) -> str:
    """A record's key or value as text: with `whole` as it is, else with what may be personal hidden."""
    if raw is None:
        return "(none)"
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return raw.hex() if whole else "(hidden: no text)"
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text if whole or _SHOWN.fullmatch(text) else "(hidden: no JSON)"
    return json.dumps(value if whole else _masked(value, ""), indent=2, ensure_ascii=False)


def name_shown(name: str, *, whole: bool) -> str:
    """The name of a member, or of a header."""
    return name if whole or _NAME.fullmatch(name) else HIDDEN


def _masked(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {name_shown(key, whole=False): _masked(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_masked(each, name) for each in value]
    if isinstance(value, str) and value:
        form = _MEMBERS.get(name)
        return value if _SHOWN.fullmatch(value) or (form and form.fullmatch(value)) else HIDDEN
    return value
