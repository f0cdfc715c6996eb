"""A clinic's accent colour as a stylesheet, made dark or light enough to be read."""

import re
from collections.abc import Sequence

from contracts.http.clinics import DEFAULT_ACCENT
from services.chassis.locale.colours import (
    READABLE,
    Colour,
    contrast,
    from_hex,
    luminance,
    mix,
    text_on,
    to_hex,
)

LIGHT_SURFACES = ("#faf9f7", "#ffffff")
DARK_SURFACES = ("#131517", "#1b1e21")
"""`--paper` and `--surface` of app.css; a test keeps them equal."""
TINT = 0.10
"""How much accent is in `--accent-soft`."""


def stylesheet(accent: str) -> str:
    """The custom properties of an accent such as `#0b6e6e`; what is no colour is the default accent."""
    wished = from_hex(accent) if re.fullmatch(r"#[0-9a-fA-F]{6}", accent) else from_hex(DEFAULT_ACCENT)
    light = _properties(readable(wished, LIGHT_SURFACES), LIGHT_SURFACES[1])
    dark = _properties(readable(wished, DARK_SURFACES), DARK_SURFACES[1])
    return f":root{{{light}}}\n@media (prefers-color-scheme: dark){{:root{{{dark}}}}}\n"


def readable(accent: Colour, surfaces: Sequence[str]) -> Colour:
    """The colour nearest to the accent that reads on each surface, on its own tint, and under its text."""
    towards = (0, 0, 0) if luminance(from_hex(surfaces[0])) > 0.5 else (255, 255, 255)
    for step in range(101):
        colour = mix(towards, accent, step / 100)
        if _reads(colour, surfaces):
            return colour
    raise AssertionError("black reads on light surfaces, and white on dark ones")


def _reads(colour: Colour, surfaces: Sequence[str]) -> bool:
    backgrounds = [from_hex(surface) for surface in surfaces]
    backgrounds.append(mix(colour, backgrounds[-1], TINT))
    return all(contrast(colour, other) >= READABLE for other in (*backgrounds, text_on(colour)))


def _properties(accent: Colour, surface: str) -> str:
    soft = mix(accent, from_hex(surface), TINT)
    return f"--accent:{to_hex(accent)};--on-accent:{to_hex(text_on(accent))};--accent-soft:{to_hex(soft)}"
