"""Short texts that people enter: the one check of what may stand in them."""

import unicodedata

from services.chassis.errors import DomainError

_MULTILINE = frozenset("\n\t")
_REFUSED = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Control characters, halves of a pair, and separators of lines and paragraphs: headers and logs split at these."""
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""These make a text look like another one."""
_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Me", "Mn", "Zl", "Zp", "Zs"})
"""Controls, format characters such as U+200B, what has no glyph, marks, and blanks."""
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and a symbol whose glyph is empty: fillers of Hangul, and Braille without a dot."""


class InvalidText(DomainError):
    code = "invalid_text"
    status = 422


def text(value: str, field: str, *, most: int, least: int = 0, multiline: bool = False) -> str:
    """The text without blanks around it. Raises `InvalidText` when too long, empty or not printable.

    A text of characters that show nothing is an empty one.
    """
    value = value.strip()
    if not least <= len(value) <= most:
        raise InvalidText(f"{field} needs {least} to {most} characters", field=field)
    allowed = _MULTILINE if multiline else frozenset()
    # A text that Python calls printable has neither; only others are checked character by character.
    if not value.isprintable() and any(is_unprintable(char) for char in value if char not in allowed):
        raise InvalidText(f"{field} holds control characters or line separators", field=field)
    if shows(value):
        return value
    if least:
        raise InvalidText(f"{field} holds nothing that can be seen", field=field)
    return ""


def shows(value: str) -> bool:
    """Whether a reader sees anything of the text. Marks alone are seen on other characters only."""
    return value.isascii() or any(
        unicodedata.category(char) not in _UNSEEN and char not in _BLANK for char in value
    )


def is_unprintable(char: str) -> bool:
    return unicodedata.category(char) in _REFUSED or char in _REORDERING
