"""Replaces ids and times, which differ in each run, by names: ids by their kind, numbered in order of appearance."""

import json
import re
from collections import Counter
from typing import Any

from tests.frozen.picture import text

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_STRIPE = r"(?:ch|cus|evt|pi|pm|py|re|seti)_[A-Za-z0-9]{14,}"
_ID = re.compile(rf"{_UUID}|{_STRIPE}")
_TODAY = (
    (re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"), "{time}"),
    (re.compile(r"(Paid|Sent|Tried) on \d{1,2} [A-Z][a-z]+ 20\d\d"), r"\1 on {date}"),
    (re.compile(r"(The link works until) \d{1,2} [A-Z][a-z]+ 20\d\d"), r"\1 {date}"),
    (re.compile(r'"[0-9a-f]{64}"'), '"{signature}"'),
    (re.compile(r"/pay/[A-Za-z0-9_-]{84}"), "/pay/{token}"),
    (re.compile(r"/mail/[A-Za-z0-9_-]{80}"), "/mail/{token}"),
    (re.compile(r"Receipt R-[0-9A-F]{10}"), "Receipt {number}"),
    (re.compile(r'"method_exp_year": 20\d\d'), '"method_exp_year": "{year}"'),
)


class Placeholders:
    """The placeholders of one story: an id has the same name everywhere in it."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._counted = Counter[str]()

    def replace(self, picture: Any) -> Any:
        """The picture with names in place of ids and of what today's date changes."""
        written = _ID.sub(lambda found: self._name(found[0]), text(picture))
        for pattern, name in _TODAY:
            written = pattern.sub(name, written)
        return json.loads(written)

    def _name(self, found: str) -> str:
        if found not in self._names:
            kind = found.partition("_")[0] if "_" in found else "id"
            self._counted[kind] += 1
            self._names[found] = f"{{{kind} {self._counted[kind]}}}"
        return self._names[found]
