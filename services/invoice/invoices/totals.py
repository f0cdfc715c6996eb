"""How an invoice adds up: the rounding rule, in one place. Pure; all amounts are integer minor units.

The rule (that of EN 16931, prices without tax):

1. A line's net is quantity x unit price, rounded half up to the currency's minor unit, once.
2. Lines with the same tax code form a group. Its base is the sum of their nets, its tax is base x percent,
   rounded half up once for the group.
3. The tax shown at a line is its share of the group's tax, so that the lines sum to the group exactly: each
   gets its share rounded down, the units left over go to the largest remainders, earlier lines first.
4. Subtotal = sum of nets; tax = sum of group taxes.
5. Some currencies are charged in steps of several minor units (KWD in tens). The total is subtotal + tax, rounded half
   up to a step, once. The difference is the invoice's `rounding` (BT-114): total = subtotal + tax + rounding.

Minor units make the currency's exponent (0 for JPY, 3 for KWD) irrelevant here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

PERCENT_SCALE = 100_000  # percents have up to three places: 13.5 % = 13500 / 100000


@dataclass(frozen=True, slots=True)
class TaxRate:
    """A tax that a clinic charges. `percent` has up to three places, 0 to 100."""

    code: str
    name: str
    percent: Decimal


@dataclass(frozen=True, slots=True)
class TaxGroup:
    """The sum that is taxed at one rate, and its tax."""

    rate: TaxRate
    base: int
    tax: int


@dataclass(frozen=True, slots=True)
class Totals:
    """`line_nets` and `line_taxes` stand in the order of the lines; `groups` in order of first use."""

    line_nets: tuple[int, ...]
    line_taxes: tuple[int, ...]
    groups: tuple[TaxGroup, ...]
    step: int = 1
    """The total is a multiple of this."""

    @property
    def subtotal(self) -> int:
        return sum(self.line_nets)

    @property
    def tax(self) -> int:
        return sum(group.tax for group in self.groups)

    @property
    def total(self) -> int:
        return half_up(self.subtotal + self.tax, self.step) * self.step

    @property
    def rounding(self) -> int:
        """The difference that rounding to a step made to the total: half a step at most."""
        return self.total - self.subtotal - self.tax


def half_up(numerator: int, denominator: int) -> int:
    """numerator / denominator to the nearest integer, halves up. Both are at least 0 here."""
    return (2 * numerator + denominator) // (2 * denominator)


def line_net(quantity: Decimal, unit_amount: int) -> int:
    """Quantity (up to three places) x unit price, rounded once."""
    return half_up(_scaled(quantity, 1000) * unit_amount, 1000)


def add_up(lines: Sequence[tuple[Decimal, int, TaxRate]], step: int = 1) -> Totals:
    """Totals of lines given as (quantity, unit price, tax rate), in a currency that is charged in such steps."""
    nets = [line_net(quantity, unit_amount) for quantity, unit_amount, _ in lines]
    members: dict[TaxRate, list[int]] = {}
    for position, (_, _, rate) in enumerate(lines):
        members.setdefault(rate, []).append(position)
    taxes = [0] * len(nets)
    groups = []
    for rate, positions in members.items():
        shares = share_tax([nets[position] for position in positions], rate.percent)
        for position, share in zip(positions, shares, strict=True):
            taxes[position] = share
        groups.append(TaxGroup(rate, sum(nets[position] for position in positions), sum(shares)))
    return Totals(tuple(nets), tuple(taxes), tuple(groups), step)


def share_tax(nets: Sequence[int], percent: Decimal) -> list[int]:
    """The group's tax, rounded once over the sum of nets, shared out by largest remainder."""
    factor = _scaled(percent, 1000)
    group_tax = half_up(sum(nets) * factor, PERCENT_SCALE)
    shares = [net * factor // PERCENT_SCALE for net in nets]
    by_remainder = sorted(range(len(nets)), key=lambda at: -(nets[at] * factor % PERCENT_SCALE))
    for at in by_remainder[: group_tax - sum(shares)]:
        shares[at] += 1
    return shares


def _scaled(value: Decimal, scale: int) -> int:
    scaled = value * scale
    assert scaled == int(scaled), "checked where texts become decimals: at most three places"
    return int(scaled)
