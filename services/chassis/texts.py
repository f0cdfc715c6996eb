"""Short texts that people enter: the one check of what may stand in them."""

import unicodedata

from services.chassis.errors import DomainError

_MULTILINE = frozenset("\n\t")
_REFUSED = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Control characters, halves of a pair, and separators of lines and paragraphs: headers and logs split at these."""
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""These make a text look like another one."""


class InvalidText(DomainError):
    code = "invalid_text"
    status = 422


def text(value: str, field: str, *, most: int, least: int = 0, multiline: bool = False) -> str:
    """The text without blanks around it. Raises `InvalidText` when too long, empty or not printable."""
    value = value.strip()
    if not least <= len(value) <= most:
        raise InvalidText(f"{field} needs {least} to {most} characters", field=field)
    allowed = _MULTILINE if multiline else frozenset()
    # A text that Python calls printable has neither; only others are checked character by character.
    if not value.isprintable() and any(is_unprintable(char) for char in value if char not in allowed):
        raise InvalidText(f"{field} holds control characters or line separators", field=field)
    return value


def is_unprintable(char: str) -> bool:
    return unicodedata.category(char) in _REFUSED or char in _REORDERING
