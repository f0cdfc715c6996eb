"""Phone numbers: the link that dials them, and what is none."""

import pytest

from services.chassis.locale.phones import dial_link, is_phone


@pytest.mark.parametrize(
    ("text", "locale", "link"),
    [
        ("+1 (212) 555-0100 x3", "en-US", "tel:+1-212-555-0100;ext=3"),
        ("(212) 555-0100 ext. 42", "en-US", "tel:+1-212-555-0100;ext=42"),
        ("+353 1 555 0123", "en-IE", "tel:+353-1-555-0123"),
        ("01 555 0123", "en-IE", "tel:+353-1-555-0123"),
        ("+41 44 555 01 77", "en-IE", "tel:+41-44-555-01-77"),
        ("030 5550123", "de-DE", "tel:+49-30-5550123"),
        ("+44 (0)20 5550 0119", "en-IE", "tel:+44-20-5550-0119"),
        ("٠١ ٥٥٥ ٠١٢٣", "en-IE", "tel:+353-1-555-0123"),
    ],
)
def test_a_number_is_dialled_with_its_country_and_extension(text: str, locale: str, link: str) -> None:
    assert is_phone(text, locale)
    assert dial_link(text, locale) == link


@pytest.mark.parametrize(
    "text", ["", "ask at the desk", "1", "+", "12345678901234567890", "<b>", "a@b.example"]
)
@pytest.mark.parametrize("locale", ["en-IE", "de", "nonsense"])
def test_no_number_has_no_link(text: str, locale: str) -> None:
    assert not is_phone(text, locale)
    assert dial_link(text, locale) == ""


def test_without_a_country_only_a_number_with_its_countrys_code_is_one() -> None:
    assert is_phone("+49 30 5550123", "de")
    assert not is_phone("030 5550123", "de")
