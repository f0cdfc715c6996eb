"""Texts that the fonts can show. A document that must be accessible cannot hold a character that no font has."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from fontTools.ttLib import TTFont

FONTS = Path(__file__).parent / "fonts"
FAMILIES = (
    "Noto Sans",
    "Noto Sans Arabic",
    "Noto Sans Hebrew",
    "Noto Sans Armenian",
    "Noto Sans Georgian",
    "Noto Sans Thai",
    "Noto Sans Devanagari",
    "Noto Sans Bengali",
    "Noto Sans Tamil",
)
"""In the order in which a character's font is looked for. The first has Latin, Greek and Cyrillic."""
REPLACEMENT = "\ufffd"
"""Shown in place of each character that no font has."""
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SPACES = re.compile(r"[\t\r\n\v\f\x85\u2028\u2029]")


class Fonts:
    """The characters of each font. `plain`: of the first font alone, without accents that it has no letter for."""

    def __init__(self) -> None:
        self._have = [characters(family) for family in FAMILIES]

    def shown(self, text: str, *, plain: bool = False) -> str:
        """The text without invisible characters, and with `REPLACEMENT` for what no font has.

        Lines stay lines. Marks for directions go too: they could show figures in another order.
        """
        fonts = self._have[:1] if plain else self._have
        return "\n".join(
            "".join(_fitting(cluster, fonts, plain) for cluster in _clusters(line))
            for line in text.split("\n")
        )


def characters(family: str) -> frozenset[int]:
    with TTFont(FONTS / f"{family.replace(' ', '')}-Regular.ttf", lazy=True) as font:
        return frozenset(font.getBestCmap())


def _clusters(line: str) -> Iterator[str]:
    """Each letter with the marks on it."""
    cluster = ""
    for letter in unicodedata.normalize("NFC", _SPACES.sub(" ", line)):
        kind = unicodedata.category(letter)
        if kind in _INVISIBLE:
            continue
        if cluster and not kind.startswith("M"):
            yield cluster
            cluster = ""
        cluster += letter
    if cluster:
        yield cluster


def _fitting(cluster: str, fonts: Sequence[frozenset[int]], plain: bool) -> str:
    if plain and len(cluster) > 1:
        return _fitting(cluster[0], fonts, plain)
    for written in (cluster, unicodedata.normalize("NFKC", cluster)):
        if any(font.issuperset(map(ord, written)) for font in fonts):
            return written
    return REPLACEMENT if len(cluster) == 1 else _fitting(cluster[0], fonts, plain) + REPLACEMENT
