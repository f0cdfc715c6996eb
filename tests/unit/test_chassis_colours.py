"""Contrast of colours, and the text that can be read on each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chassis.locale.colours import READABLE, WHITE, Colour, contrast, from_hex, text_on, to_hex

colours: st.SearchStrategy[Colour] = st.tuples(*[st.integers(0, 255)] * 3)


@pytest.mark.parametrize(
    ("colour", "ratio"),
    [("#ffffff", 1.0), ("#000000", 21.0), ("#767676", 4.54), ("#777777", 4.48), ("#ff0000", 4.0)],
)
def test_contrast_with_white_is_as_wcag_has_it(colour: str, ratio: float) -> None:
    assert contrast(from_hex(colour), WHITE) == pytest.approx(ratio, abs=0.005)


@pytest.mark.parametrize(
    ("accent", "ink"), [("#0b6e6e", "#ffffff"), ("#ffd400", "#101214"), ("#000000", "#ffffff")]
)
def test_the_button_can_be_read_on_every_accent(accent: str, ink: str) -> None:
    assert to_hex(text_on(from_hex(accent))) == ink


@given(colours)
def test_text_is_white_wherever_white_can_be_read(background: Colour) -> None:
    text = text_on(background)

    assert contrast(background, text) >= 4.29
    assert text == WHITE or contrast(background, WHITE) < READABLE
    assert from_hex(to_hex(background)) == background
