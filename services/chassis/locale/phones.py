"""Phone numbers as people write them, and the link that dials them (RFC 3966)."""

import phonenumbers
from babel import Locale, UnknownLocaleError
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat


def is_phone(text: str, locale: str) -> bool:
    """Whether the text can be dialled: with `+` and a country's code, or as the locale's country writes it."""
    return _parsed(text, locale) is not None


def dial_link(text: str, locale: str) -> str:
    """`tel:+1-212-555-0100;ext=3`; empty for a text that is no phone number."""
    number = _parsed(text, locale)
    return "" if number is None else phonenumbers.format_number(number, PhoneNumberFormat.RFC3966)


def _parsed(text: str, locale: str) -> PhoneNumber | None:
    try:
        number = phonenumbers.parse(text, _country(locale))
    except NumberParseException:
        return None
    return number if phonenumbers.is_possible_number(number) else None


def _country(locale: str) -> str | None:
    try:
        return Locale.parse(locale, sep="-").territory
    except (UnknownLocaleError, ValueError):
        return None
