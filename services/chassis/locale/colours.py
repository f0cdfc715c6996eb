"""Colours and whether text on them can be read, as WCAG 2 counts it."""

Colour = tuple[int, int, int]
"""Red, green, blue: 0 to 255 each."""
WHITE: Colour = (255, 255, 255)
INK: Colour = (16, 18, 20)
"""Near-black, for text."""
READABLE = 4.5
"""The least contrast of text with what is behind it, by WCAG's level AA."""


def from_hex(text: str) -> Colour:
    """The colour written `#0b6e6e`."""
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def to_hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def contrast(one: Colour, other: Colour) -> float:
    """The contrast ratio, 1 to 21."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: Colour) -> float:
    """The relative luminance, 0 (black) to 1 (white)."""
    red, green, blue = (_linear(part / 255) for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def text_on(background: Colour) -> Colour:
    """White or near-black, whichever stands out more."""
    return max((WHITE, INK), key=lambda text: contrast(background, text))


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """`share` of one colour, the rest of the other."""
    red, green, blue = (round(a * share + b * (1 - share)) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
