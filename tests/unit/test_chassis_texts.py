"""The characters allowed in texts that people enter."""

import sys
import unicodedata

import pytest

from services.chassis.texts import InvalidText, text

SPLITTING = [
    char for char in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(char) in ("Cc", "Zl", "Zp")
]
REORDERING = [*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))]


@pytest.mark.parametrize("multiline", [False, True])
def test_no_text_holds_what_splits_a_line_elsewhere_or_turns_it_round(multiline: bool) -> None:
    assert {"\u2028", "\u2029", "\x85", "\x0b", "\x1c", "\r"} < set(SPLITTING)
    for char in (*SPLITTING, *REORDERING):
        if multiline and char in "\n\t":
            assert text(f"a{char}b", "field", most=9, multiline=True) == f"a{char}b"
            continue
        with pytest.raises(InvalidText) as refused:
            text(f"a{char}b", "field", most=9, multiline=multiline)
        assert (refused.value.status, refused.value.fields) == (422, {"field": "field"}), repr(char)


INVISIBLE = [
    "\u200b",
    "\u200b \u200d",
    "\u2060\ufeff",
    "\u00ad",
    "\u3164",
    "\u2800",
    "\u0301",
    "\ufe0f",
    "\ue000",
]


@pytest.mark.parametrize("nothing", INVISIBLE, ids=ascii)
def test_a_text_that_shows_nothing_is_an_empty_one(nothing: str) -> None:
    assert text(nothing, "place", most=9) == ""
    with pytest.raises(InvalidText):
        text(nothing, "name", least=1, most=9)


@pytest.mark.parametrize(
    "name",
    ["Praxis Dr. Müller", "عيادة الشفاء", "クリニック", "O’Brien & Søn", "👩‍⚕️ Care", "a\u200cb", "a\xa0b"],
)
def test_names_of_any_script_stay_as_they_are(name: str) -> None:
    assert text(name, "name", most=50) == name
