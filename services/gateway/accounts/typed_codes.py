"""Codes that people type: random letters and digits in groups. Pure."""

import secrets
import unicodedata

_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""None that look alike."""
_IN_GROUP = 4


def new_code(groups: int) -> str:
    """A code of almost 20 random bits a group, such as `k7mp-3xqa`."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(_IN_GROUP)) for _ in range(groups))


def plain(typed: str) -> str:
    """The same text for a code in either case and width."""
    return unicodedata.normalize("NFKC", typed).lower()


def bare(typed: str) -> bytes:
    """A code as it was typed, with or without hyphens and spaces, in either case."""
    code = "".join(character for character in plain(typed) if character.isalnum())
    return code.encode("utf-8", "replace")
