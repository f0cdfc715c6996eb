"""How much of a client's credit pays invoices: pure decisions."""

from collections.abc import Collection, Sequence

from contracts.currencies import CURRENCIES, Charge, charge_of
from contracts.http.common import Money

BY_CREDIT_ALONE: Collection[Charge] = ("below_minimum", "between_steps", "above_maximum")
"""Why an amount cannot be charged where credit can pay it."""


def credit_for(total: Money, number: int, held: Sequence[Money]) -> int:
    """The most of the client's credit that pays so many invoices: all of the sum, or what leaves a rest to charge."""
    known = CURRENCIES.get(total.currency)
    have = sum(each.minor for each in held if each.currency == total.currency)
    if known is None or have >= total.minor:
        return total.minor if known else 0
    most = min(have, total.minor - known.beside_credit(number))
    return max(0, most - most % known.step)


def is_only_way(total: Money) -> bool:
    """Whether nothing but credit can pay this sum."""
    return total.minor > 0 and charge_of(total.minor, total.currency) in BY_CREDIT_ALONE


def pays_alone(total: Money, number: int, held: Sequence[Money]) -> bool:
    """Whether the client's credit pays all of a sum, of so many invoices, that cannot be charged."""
    return is_only_way(total) and credit_for(total, number, held) == total.minor
