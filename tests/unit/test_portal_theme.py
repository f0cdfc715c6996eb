"""A clinic may set any accent; what pages use of it can always be read."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.http.clinics import DEFAULT_ACCENT
from services.chassis.locale.colours import READABLE, Colour, contrast, from_hex, mix, text_on
from services.gateway.web import theme
from services.gateway.web.templating import STATIC
from services.gateway.web.theme import DARK_SURFACES, LIGHT_SURFACES

colours = st.tuples(*[st.integers(0, 255)] * 3)


@given(colours)
@pytest.mark.parametrize("surfaces", [LIGHT_SURFACES, DARK_SURFACES])
def test_any_accent_reads_on_every_surface_and_under_its_text(
    surfaces: tuple[str, str], accent: Colour
) -> None:
    colour = theme.readable(accent, surfaces)

    assert all(contrast(colour, from_hex(surface)) >= READABLE for surface in surfaces)
    assert contrast(colour, text_on(colour)) >= READABLE
    tint = mix(colour, from_hex(surfaces[-1]), theme.TINT)
    assert contrast(colour, tint) >= READABLE


def test_an_accent_that_reads_is_kept_as_it_is() -> None:
    assert "--accent:#0b6e6e" in theme.stylesheet("#0b6e6e")


@pytest.mark.parametrize("wrong", ["", "#", "#12345", "red", "#12345g", "#000;}body{display:none"])
def test_what_is_no_colour_becomes_the_default_and_never_style(wrong: str) -> None:
    assert theme.stylesheet(wrong) == theme.stylesheet(DEFAULT_ACCENT)


def test_the_surfaces_are_those_of_the_stylesheet() -> None:
    css = Path(STATIC / "app.css").read_text(encoding="utf-8")

    assert re.findall(r"--paper: (#\w+);", css)[:2] == [LIGHT_SURFACES[0], DARK_SURFACES[0]]
    assert re.findall(r"--surface: (#\w+);", css)[:2] == [LIGHT_SURFACES[1], DARK_SURFACES[1]]


@pytest.mark.parametrize("word", ["ink", "ink-2", "error", "good", "wait", "late"])
def test_the_stylesheets_own_colours_read_too(word: str) -> None:
    css = Path(STATIC / "app.css").read_text(encoding="utf-8")
    values = re.findall(rf"--{word}: (#\w+);", css)[:2]
    softs = re.findall(rf"--{word}-soft: (#\w+);", css)[:2] or re.findall(r"--sunken: (#\w+);", css)[:2]

    for value, soft, surfaces in zip(values, softs, (LIGHT_SURFACES, DARK_SURFACES), strict=True):
        for surface in (*surfaces, soft):
            assert contrast(from_hex(value), from_hex(surface)) >= READABLE, (word, value, surface)
