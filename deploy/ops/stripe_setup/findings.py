"""The result of a check: what was found, in words, and the way forward."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["good", "note", "wrong", "unknown"]
"""`note`: nothing has to be done, or nobody can check it. `unknown`: Stripe did not tell."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`about` is the key, endpoint, account or domain that was looked at."""

    check: str
    level: Level
    about: str
    words: str
    way: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def good(check: str, about: str, words: str) -> Finding:
    return Finding(check, "good", about, words)


def note(check: str, about: str, words: str, way: str = "") -> Finding:
    return Finding(check, "note", about, words, way)


def wrong(check: str, about: str, words: str, way: str) -> Finding:
    return Finding(check, "wrong", about, words, way)


def unknown(check: str, about: str, words: str, way: str) -> Finding:
    return Finding(check, "unknown", about, words, way)


def exit_code(findings: list[Finding]) -> int:
    """0: all is right. 1: something is wrong. 2: nothing is known to be wrong, but something could not be asked."""
    levels = {finding.level for finding in findings}
    return 1 if "wrong" in levels else 2 if "unknown" in levels else 0
