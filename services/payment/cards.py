"""Card numbers in texts that staff write: they are never kept. Pure."""

import re

_RUN = re.compile(r"\d+(?:[\W_]{1,3}\d+)*")
_MOST_DIGITS = 16
_BRANDS = re.compile(
    r"4\d{15}"  # Visa
    r"|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|3(?:0[0-5]|[689]\d)\d{11}"  # Diners Club
    r"|(?:6\d|35)\d{14}"  # Discover, UnionPay, Maestro, JCB
)


def holds_card(text: str) -> bool:
    """Whether the text holds a card's number, in groups or not. Dates, phone numbers and most references pass."""
    return any(_has_card(run.group()) for run in _RUN.finditer(text))


def _has_card(run: str) -> bool:
    groups = ["".join(str(int(digit)) for digit in group) for group in re.findall(r"\d+", run)]
    for first in range(len(groups)):
        number = ""
        for group in groups[first:]:
            number += group
            if len(number) > _MOST_DIGITS:
                break
            if _BRANDS.fullmatch(number) and _is_valid(number):
                return True
    return False


def _is_valid(number: str) -> bool:
    """The check of ISO/IEC 7812 (Luhn)."""
    doubled = [int(digit) * (2 if at % 2 else 1) for at, digit in enumerate(reversed(number))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0
