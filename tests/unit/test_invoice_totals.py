"""How an invoice adds up, whatever the quantities, prices, discounts, taxes and currency."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.currencies import CURRENCIES, charge_of, step_of
from contracts.vocabulary import PriceMode
from services.invoice.invoices.totals import (
    Discount,
    Item,
    LineTotals,
    TaxRate,
    Totals,
    add_up,
    full_amount,
    half_up,
    share_out,
)

STD = TaxRate("STD", "VAT", Decimal("23"))
RED = TaxRate("RED", "VAT", Decimal("13.5"))
ODD = TaxRate("ODD", "GST", Decimal("7.375"))
ZERO = TaxRate("ZERO", "Exempt", Decimal("0"), "E", exemption_text="Medical care")
RATES = [(STD,), (RED,), (ODD,), (ZERO,), (STD, ODD), (ODD, RED)]

percents = st.decimals("0", "100", places=3)
discounts = st.builds(Discount, percent=percents) | st.builds(Discount, amount=st.integers(0, 10**5))
quantities = st.decimals("-99.999", "999.999", places=3).filter(bool)
items = st.builds(
    Item,
    quantities,
    st.integers(0, 10**9) | st.integers(0, 500),
    st.sampled_from(RATES),
    st.none() | discounts,
).filter(lambda item: item.discount is None or abs(item.discount.amount) <= abs(item.full_amount))
lines = st.lists(items, min_size=1, max_size=40)
modes = st.sampled_from(["net", "gross"])


@st.composite
def invoices(draw: Any) -> tuple[list[Item], PriceMode, Discount | None]:
    """Lines, how they are priced, and a discount that takes off at most all."""
    made = draw(lines)
    discount = draw(st.none() | discounts)
    if discount is not None and discount.percent is None:
        before = sum(line.amount for line in add_up(made).lines)
        discount = Discount(amount=min(discount.amount, abs(before)))
    return made, draw(modes), discount


Given = tuple[list[Item], PriceMode, Discount | None]


def totals_of(made: Given, step: int = 1) -> Totals:
    return add_up(made[0], step, prices=made[1], discount=made[2])


def item(minor: int, *rates: TaxRate, quantity: str = "1", discount: Discount | None = None) -> Item:
    return Item(Decimal(quantity), minor, rates, discount)


@given(invoices())
def test_every_sum_adds_up(made: Given) -> None:
    totals = totals_of(made)

    assert totals.subtotal == sum(line.net for line in totals.lines)
    assert totals.tax == sum(line.tax for line in totals.lines)
    assert totals.total == totals.subtotal + totals.tax
    assert totals.rounding == 0
    assert totals.discount == sum(line.invoice_discount for line in totals.lines)
    for group in totals.groups:
        members = _members(made[0], totals, group.rate)
        assert group.base == sum(line.net for line, _ in members)
        assert group.tax == sum(tax for _, tax in members)


def _members(made: Sequence[Item], totals: Totals, rate: TaxRate) -> list[tuple[LineTotals, int]]:
    """The lines that bear this tax, each with its share of it."""
    return [
        (line, line.taxes[each.rates.index(rate)])
        for each, line in zip(made, totals.lines, strict=True)
        if rate in each.rates
    ]


@given(invoices())
def test_a_second_implementation_in_exact_fractions_agrees(made: Given) -> None:
    """Written from the rule's text, not from the code: nothing is rounded but what the rule rounds."""
    given_items, prices, discount = made
    totals = totals_of(made)
    amounts = [exact_amount(each) for each in given_items]
    off = exact_discount(discount, sum(amounts))
    left = [Fraction(line.amount - line.invoice_discount) for line in totals.lines]

    assert [line.amount for line in totals.lines] == amounts
    assert totals.discount == off
    bearing = sum(each for each in amounts if (each > 0) == (sum(amounts) > 0))
    for line, amount in zip(totals.lines, amounts, strict=True):
        bears = amount != 0 and (amount > 0) == (sum(amounts) > 0)
        exact = Fraction(off * amount, bearing) if bears else Fraction(0)
        assert abs(line.invoice_discount - exact) < 1
    for group in totals.groups:
        parts = [
            exact_tax(amount, group.rate, each, prices)
            for amount, each in zip(left, given_items, strict=True)
            if group.rate in each.rates
        ]
        assert group.tax == nearest(sum(parts, Fraction(0)))
        shares = [tax for _, tax in _members(given_items, totals, group.rate)]
        assert all(abs(share - part) < 1 for share, part in zip(shares, parts, strict=True))
    if prices == "gross":
        assert totals.total == sum(amounts) - off
    else:
        assert totals.subtotal == sum(amounts) - off


def nearest(value: Fraction | int) -> int:
    return floor(value + Fraction(1, 2)) if value >= 0 else ceil(value - Fraction(1, 2))


def exact_amount(given_item: Item) -> int:
    full = nearest(Fraction(given_item.quantity) * given_item.unit_amount)
    return full - exact_discount(given_item.discount, full)


def exact_discount(discount: Discount | None, amount: int) -> int:
    if discount is None:
        return 0
    if discount.percent is not None:
        return nearest(amount * Fraction(discount.percent) / 100)
    return discount.amount if amount >= 0 else -discount.amount


def exact_tax(amount: Fraction, rate: TaxRate, given_item: Item, prices: str) -> Fraction:
    within = 0 if prices == "net" else sum(Fraction(each.percent) for each in given_item.rates)
    return amount * Fraction(rate.percent) / (100 + within)


@given(invoices(), st.sampled_from([1, 10, 100]))
def test_the_same_lines_negated_have_the_same_totals_negated(made: Given, step: int) -> None:
    """A credit note of an invoice's lines takes off exactly what the invoice charged."""
    given_items, prices, discount = made
    negated = [replace(each, quantity=-each.quantity) for each in given_items]
    totals, credit = totals_of(made, step), totals_of((negated, prices, discount), step)

    assert (credit.total, credit.rounding) == (-totals.total, -totals.rounding)
    assert [(line.net, line.taxes) for line in credit.lines] == [
        (-line.net, tuple(-tax for tax in line.taxes)) for line in totals.lines
    ]
    assert [(group.base, group.tax) for group in credit.groups] == [
        (-group.base, -group.tax) for group in totals.groups
    ]


EVERY = sorted(CURRENCIES)
IN_STEPS = [currency for currency in EVERY if step_of(currency) > 1]


@given(invoices(), st.sampled_from(IN_STEPS) | st.sampled_from(EVERY))
def test_a_total_is_a_whole_number_of_the_currencys_steps(made: Given, currency: str) -> None:
    step = step_of(currency)
    totals = totals_of(made, step)

    assert charge_of(abs(totals.total), currency) != "between_steps"
    assert totals.total % step == 0
    assert abs(totals.rounding) * 2 <= step
    assert sum(line.net + line.tax for line in totals.lines) + totals.rounding == totals.total


@pytest.mark.parametrize(
    ("currency", "net", "total", "rounding"),
    [
        ("KWD", 12_345, 12_350, 5),
        ("KWD", 12_344, 12_340, -4),
        ("KWD", 4, 0, -4),
        ("MGA", 100_050, 100_100, 50),
        ("MGA", 100_049, 100_000, -49),
        ("EUR", 12_345, 12_345, 0),
        ("ISK", 12_345, 12_345, 0),
    ],
)
def test_the_total_is_rounded_half_up_to_a_step(currency: str, net: int, total: int, rounding: int) -> None:
    totals = add_up([item(net, ZERO)], step_of(currency))

    assert (totals.total, totals.rounding) == (total, rounding)


@given(lines)
def test_a_groups_tax_is_rounded_once_over_its_base(given_lines: list[Item]) -> None:
    for group in add_up(given_lines).groups:
        exact = group.base * Fraction(group.rate.percent) / 100
        assert abs(group.tax - exact) <= Fraction(1, 2)


@given(lines)
def test_line_taxes_sum_to_their_group_and_none_is_a_unit_off(given_lines: list[Item]) -> None:
    totals = add_up(given_lines)
    for group in totals.groups:
        members = _members(given_lines, totals, group.rate)
        assert sum(tax for _, tax in members) == group.tax
        assert all(abs(tax - line.net * Fraction(group.rate.percent) / 100) < 1 for line, tax in members)


@given(st.lists(st.integers(-(10**12), 10**12), max_size=30), st.integers(1, 10**6))
def test_what_is_whole_already_gets_no_share_of_the_rest(parts: list[int], denominator: int) -> None:
    shares = share_out([*parts, 7 * denominator], denominator)

    assert shares[-1] == 7
    assert sum(shares) == half_up(sum(parts) + 7 * denominator, denominator)


def test_half_a_unit_rounds_away_from_zero() -> None:
    assert [half_up(n, 2) for n in (0, 1, 2, 3)] == [0, 1, 1, 2]
    assert [half_up(n, 2) for n in (-1, -2, -3)] == [-1, -1, -2]
    assert full_amount(Decimal("0.5"), 25) == 13
    assert full_amount(Decimal("-0.5"), 25) == -13
    assert full_amount(Decimal("0.333"), 1000) == 333


def test_tax_is_not_rounded_line_by_line() -> None:
    """Three lines of 1.10 at 13.5 %: 0.1485 each would round to 0.15, 0.45 in all; the group's tax is 0.4455."""
    totals = add_up([item(110, RED)] * 3)

    assert totals.tax == 45
    assert [line.tax for line in add_up([item(10, ODD)] * 4).lines] == [1, 1, 1, 0]


def test_yen_have_no_fraction_and_fils_have_three() -> None:
    yen = add_up([item(3333, TaxRate("JCT", "JCT", Decimal("10")))])
    fils = add_up([item(12_345, TaxRate("VAT", "VAT", Decimal("5")), quantity="1.5")])

    assert (yen.subtotal, yen.tax, yen.total) == (3333, 333, 3666)
    assert (fils.subtotal, fils.tax, fils.total) == (18_518, 926, 19_444)


def test_a_price_list_with_tax_is_met_to_the_cent() -> None:
    """Three times 9.99 at 23 %: net prices of 8.12 each would come to 29.96 with tax."""
    totals = add_up([item(999, STD)] * 3, prices="gross")

    assert (totals.total, totals.tax, totals.subtotal) == (2997, 560, 2437)
    assert add_up([item(812, STD)] * 3).total == 2996


def test_two_taxes_are_charged_on_the_same_amount() -> None:
    gst, pst = TaxRate("GST", "GST", Decimal("5")), TaxRate("PST", "PST", Decimal("7"))
    net = add_up([item(10_000, gst, pst), item(5_000, gst)])
    gross = add_up([item(11_200, gst, pst)], prices="gross")

    assert [(group.rate.code, group.base, group.tax) for group in net.groups] == [
        ("GST", 15_000, 750),
        ("PST", 10_000, 700),
    ]
    assert (gross.subtotal, gross.lines[0].taxes, gross.total) == (10_000, (500, 700), 11_200)


def test_a_discount_makes_each_taxs_base_less_by_its_part() -> None:
    totals = add_up([item(10_000, STD), item(30_000, ZERO)], discount=Discount(amount=4_000))

    assert [(group.base, group.tax) for group in totals.groups] == [(9_000, 2_070), (27_000, 0)]
    assert (totals.discount, totals.total) == (4_000, 38_070)


def test_a_line_that_takes_off_bears_none_of_the_invoices_discount() -> None:
    totals = add_up(
        [item(10_000, STD), item(2_000, STD, quantity="-1")], discount=Discount(percent=Decimal(10))
    )

    assert [(line.invoice_discount, line.net) for line in totals.lines] == [(800, 9_200), (0, -2_000)]
    assert totals.groups[0].base == 7_200


def test_a_lines_discount_is_taken_off_before_tax() -> None:
    percent = item(9_990, STD, discount=Discount(percent=Decimal("12.5")))
    amount = item(9_990, STD, quantity="-2", discount=Discount(amount=1_000))

    assert [(line.discount, line.amount) for line in add_up([percent, amount]).lines] == [
        (1_249, 8_741),
        (-1_000, -18_980),
    ]
