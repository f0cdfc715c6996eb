"""How an invoice adds up: the rounding rule, in one place. Pure; all amounts are integer minor units.

The rule (that of EN 16931; prices without tax are "net", prices with tax "gross"):

1. A line's amount is quantity x unit price, rounded to the currency's minor unit, once, less the line's discount. A
   discount in percent is rounded once.
2. The invoice's discount takes an amount or a percent off the sum of the lines' amounts, and is shared out over the
   lines whose amounts have the sum's sign, in proportion. So each tax is on a base that is less by its part.
3. A tax is percent x the net amounts of all lines that bear it. Of gross amounts it is the part that is in them:
   amount x percent / (100 + all percents of the line). It is rounded once for all lines together.
4. The tax shown at a line is its share of that, so that the lines sum to the tax exactly: each gets its share rounded
   towards zero, the units left over go to the largest remainders, earlier lines first.
5. Net prices: a line's gross amount is its net amount plus its taxes. Gross prices: its net amount is the gross one
   less its taxes, so the total is the sum of the prices to the cent.
6. Subtotal = sum of nets; tax = sum of taxes.
7. Some currencies are charged in steps of several minor units (KWD in tens). The total is subtotal + tax, rounded
   to a step, once. The difference is the invoice's `rounding` (BT-114): total = subtotal + tax + rounding.

Halves are rounded away from zero, and nothing else depends on a sign: the same lines with negated quantities have
the same totals, negated. So a credit note takes off exactly what the invoice charged.

Minor units make the currency's exponent (0 for JPY, 3 for KWD) irrelevant here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import lcm

from contracts.vocabulary import PriceMode, TaxCategory

PERCENT_SCALE = 100_000  # percents have up to three places: 13.5 % = 13500 / 100000


@dataclass(frozen=True, slots=True)
class TaxRate:
    """A tax that a clinic charges. `percent` has up to three places, 0 to 100; the reason is of a tax not charged."""

    code: str
    name: str
    percent: Decimal
    category: TaxCategory = "S"
    exemption_code: str = ""
    exemption_text: str = ""


@dataclass(frozen=True, slots=True)
class Discount:
    """Takes an amount off, or a percent, for a reason. It makes an amount smaller, whatever its sign."""

    amount: int = 0
    percent: Decimal | None = None
    reason: str = ""

    def of(self, amount: int) -> int:
        """The part of this amount that it takes off, with the amount's sign."""
        if self.percent is not None:
            return half_up(amount * _scaled(self.percent, 1000), PERCENT_SCALE)
        return self.amount if amount >= 0 else -self.amount


@dataclass(frozen=True, slots=True)
class Item:
    """The charge of a line: `quantity` may be negative, the price may not. Its taxes are on the same base."""

    quantity: Decimal
    unit_amount: int
    rates: tuple[TaxRate, ...]
    discount: Discount | None = None

    @property
    def full_amount(self) -> int:
        return full_amount(self.quantity, self.unit_amount)


@dataclass(frozen=True, slots=True)
class LineTotals:
    """The amounts of a line. `amount` is in the invoice's prices, before the invoice's discount; `taxes` are in the
    order of the line's rates.
    """

    discount: int
    amount: int
    invoice_discount: int
    net: int
    taxes: tuple[int, ...]

    @property
    def tax(self) -> int:
        return sum(self.taxes)


@dataclass(frozen=True, slots=True)
class TaxGroup:
    """The sum that one tax is charged on, and the tax."""

    rate: TaxRate
    base: int
    tax: int


@dataclass(frozen=True, slots=True)
class Totals:
    """`lines` are in the order of the items; `groups` in order of first use."""

    lines: tuple[LineTotals, ...]
    groups: tuple[TaxGroup, ...]
    discount: int = 0
    """The amount that the invoice's discount takes off, in its prices."""
    step: int = 1
    """The total is a multiple of this."""

    @property
    def subtotal(self) -> int:
        return sum(line.net for line in self.lines)

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
    """numerator / denominator to the nearest integer, halves away from zero. The denominator is above 0."""
    size = (2 * abs(numerator) + denominator) // (2 * denominator)
    return size if numerator >= 0 else -size


def full_amount(quantity: Decimal, unit_amount: int) -> int:
    """Quantity (up to three places) x unit price, rounded once."""
    return half_up(_scaled(quantity, 1000) * unit_amount, 1000)


def add_up(
    items: Sequence[Item], step: int = 1, *, prices: PriceMode = "net", discount: Discount | None = None
) -> Totals:
    """Totals of these items, in a currency that is charged in such steps."""
    discounts = [item.discount.of(item.full_amount) if item.discount else 0 for item in items]
    amounts = [item.full_amount - off for item, off in zip(items, discounts, strict=True)]
    off = discount.of(sum(amounts)) if discount else 0
    shares = _shares_of(off, amounts)
    taxed = [amount - share for amount, share in zip(amounts, shares, strict=True)]
    taxes = _taxes(items, taxed, prices)
    nets = [amount - (sum(taxes[at].values()) if prices == "gross" else 0) for at, amount in enumerate(taxed)]
    lines = [
        LineTotals(
            discount=discounts[at],
            amount=amounts[at],
            invoice_discount=shares[at],
            net=nets[at],
            taxes=tuple([taxes[at][rate] for rate in item.rates]),
        )
        for at, item in enumerate(items)
    ]
    groups = [
        TaxGroup(
            rate,
            sum(net for net, found in zip(nets, taxes, strict=True) if rate in found),
            sum(found.get(rate, 0) for found in taxes),
        )
        for rate in _rates(items)
    ]
    return Totals(tuple(lines), tuple(groups), off, step)


def share_out(numerators: Sequence[int], denominator: int) -> list[int]:
    """Integers in proportion to these parts, by largest remainder. They sum to the parts' sum, rounded once.

    Each differs from its part by less than 1, and one whose part is an integer is that integer.
    """
    shares = [abs(each) // denominator * (1 if each >= 0 else -1) for each in numerators]
    left = half_up(sum(numerators), denominator) - sum(shares)
    unit = 1 if left > 0 else -1
    by_remainder = sorted(
        range(len(shares)), key=lambda at: unit * (shares[at] * denominator - numerators[at])
    )
    for at in by_remainder[: abs(left)]:
        shares[at] += unit
    return shares


def _shares_of(discount: int, amounts: Sequence[int]) -> list[int]:
    """The invoice's discount shared out over the lines whose amounts have the sum's sign."""
    sign = 1 if sum(amounts) >= 0 else -1
    weights = [abs(amount) if amount * sign > 0 else 0 for amount in amounts]
    if not discount or not any(weights):
        return [0] * len(amounts)
    return share_out([discount * weight for weight in weights], sum(weights))


def _taxes(items: Sequence[Item], taxed: Sequence[int], prices: PriceMode) -> list[dict[TaxRate, int]]:
    """Each line's taxes, by rate."""
    found: list[dict[TaxRate, int]] = [{} for _ in items]
    for rate in _rates(items):
        members = [at for at, item in enumerate(items) if rate in item.rates]
        parts = [_denominator(items[at], prices) for at in members]
        common = lcm(*parts)
        factor = _scaled(rate.percent, 1000)
        numerators = [taxed[at] * factor * (common // part) for at, part in zip(members, parts, strict=True)]
        for at, share in zip(members, share_out(numerators, common), strict=True):
            found[at][rate] = share
    return found


def _denominator(item: Item, prices: PriceMode) -> int:
    """The whole of which a rate's percent is the tax: the net amount, or the gross amount with all taxes in it."""
    if prices == "net":
        return PERCENT_SCALE
    return PERCENT_SCALE + sum(_scaled(rate.percent, 1000) for rate in item.rates)


def _rates(items: Sequence[Item]) -> list[TaxRate]:
    """The rates in order of first use."""
    return list(dict.fromkeys(rate for item in items for rate in item.rates))


def _scaled(value: Decimal, scale: int) -> int:
    scaled = value * scale
    assert scaled == int(scaled), "checked where texts become decimals: at most three places"
    return int(scaled)
