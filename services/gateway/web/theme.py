"""A clinic's accent colour as a stylesheet, made dark or light enough to be read."""

import re
from collections.abc import Sequence

CONTRAST = 4.5
"""WCAG AA for text; the accent carries text on every surface, and text stands on it."""
DEFAULT_ACCENT = "#0b6e6e"

LIGHT_SURFACES = ("#faf9f7", "#ffffff")
DARK_SURFACES = ("#131517", "#1b1e21")
"""`--paper` and `--surface` of app.css; a test keeps them equal."""
TINT = 0.10
"""How much accent is in `--accent-soft`."""

Colour = tuple[int, int, int]


def stylesheet(accent: str) -> str:
    """The custom properties of an accent such as `#0b6e6e`; what is no colour is the default accent."""
    wished = _colour(accent) if re.fullmatch(r"#[0-9a-fA-F]{6}", accent) else _colour(DEFAULT_ACCENT)
    light = _properties(readable(wished, LIGHT_SURFACES), LIGHT_SURFACES[1])
    dark = _properties(readable(wished, DARK_SURFACES), DARK_SURFACES[1])
    return f":root{{{light}}}\n@media (prefers-color-scheme: dark){{:root{{{dark}}}}}\n"


def readable(accent: Colour, surfaces: Sequence[str]) -> Colour:
    """The colour nearest to the accent that reads on each surface, on its own tint, and under its text."""
    towards = (0, 0, 0) if luminance(_colour(surfaces[0])) > 0.5 else (255, 255, 255)
    for step in range(101):
        colour = mix(towards, accent, step / 100)
        if _reads(colour, surfaces):
            return colour
    raise AssertionError("black reads on light surfaces, and white on dark ones")


def text_on(colour: Colour) -> Colour:
    """White or near-black, whichever stands out more."""
    return max(((255, 255, 255), (16, 18, 20)), key=lambda text: contrast(colour, text))


def contrast(one: Colour, other: Colour) -> float:
    """WCAG 2 contrast ratio, 1 to 21."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: Colour) -> float:
    """WCAG 2 relative luminance, 0 to 1."""
    red, green, blue = (_linear(part / 255) for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """`share` of one colour, the rest of the other."""
    red, green, blue = (round(a * share + b * (1 - share)) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _reads(colour: Colour, surfaces: Sequence[str]) -> bool:
    backgrounds = [_colour(surface) for surface in surfaces]
    backgrounds.append(mix(colour, backgrounds[-1], TINT))
    return all(contrast(colour, other) >= CONTRAST for other in (*backgrounds, text_on(colour)))


def _properties(accent: Colour, surface: str) -> str:
    soft = mix(accent, _colour(surface), TINT)
    return f"--accent:{_hex(accent)};--on-accent:{_hex(text_on(accent))};--accent-soft:{_hex(soft)}"


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4


def _colour(text: str) -> Colour:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
