"""How an invoice adds up, whatever the quantities, prices, percents and currency."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.currencies import CURRENCIES, charge_of, step_of
from services.invoice.invoices.totals import TaxRate, add_up, half_up, line_net, share_tax

RATES = [
    TaxRate("STD", "VAT", Decimal("23")),
    TaxRate("RED", "VAT", Decimal("13.5")),
    TaxRate("ODD", "GST", Decimal("7.375")),
    TaxRate("ZERO", "Exempt", Decimal("0")),
]
quantities = st.decimals(min_value="0.001", max_value="999.999", places=3)
lines = st.lists(
    st.tuples(quantities, st.integers(0, 10**9), st.sampled_from(RATES)), min_size=1, max_size=40
)


@given(lines)
def test_every_sum_adds_up(given_lines: list[tuple[Decimal, int, TaxRate]]) -> None:
    totals = add_up(given_lines)

    assert totals.subtotal == sum(totals.line_nets) == sum(group.base for group in totals.groups)
    assert totals.tax == sum(totals.line_taxes)
    assert totals.total == totals.subtotal + totals.tax
    assert totals.rounding == 0


EVERY = sorted(CURRENCIES)
IN_STEPS = [currency for currency in EVERY if step_of(currency) > 1]


@given(lines, st.sampled_from(IN_STEPS) | st.sampled_from(EVERY))
def test_a_total_is_a_whole_number_of_the_currencys_steps(
    given_lines: list[tuple[Decimal, int, TaxRate]], currency: str
) -> None:
    step = step_of(currency)
    totals = add_up(given_lines, step)

    assert charge_of(totals.total, currency) != "between_steps"
    assert totals.total % step == 0
    assert abs(totals.rounding) * 2 <= step
    assert sum(totals.line_nets) + sum(totals.line_taxes) + totals.rounding == totals.total


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
    totals = add_up([(Decimal(1), net, RATES[3])], step_of(currency))

    assert (totals.total, totals.rounding) == (total, rounding)


@given(lines)
def test_a_groups_tax_is_rounded_once_over_its_base(given_lines: list[tuple[Decimal, int, TaxRate]]) -> None:
    for group in add_up(given_lines).groups:
        exact = group.base * group.rate.percent / 100
        assert abs(Decimal(group.tax) - exact) <= Decimal("0.5")


@given(lines)
def test_line_taxes_sum_to_their_group_and_none_is_a_unit_off(
    given_lines: list[tuple[Decimal, int, TaxRate]],
) -> None:
    totals = add_up(given_lines)
    for group in totals.groups:
        members = [at for at, line in enumerate(given_lines) if line[2] == group.rate]
        assert sum(totals.line_taxes[at] for at in members) == group.tax
    for net, tax, (_, _, rate) in zip(totals.line_nets, totals.line_taxes, given_lines, strict=True):
        assert abs(tax - net * rate.percent / 100) < 1


@given(st.lists(st.integers(0, 10**12), max_size=30), st.decimals("0", "100", places=3))
def test_a_line_without_net_bears_no_tax(nets: list[int], percent: Decimal) -> None:
    shares = share_tax([*nets, 0], percent)

    assert shares[-1] == 0
    assert all(share >= 0 for share in shares)


def test_half_a_unit_rounds_up() -> None:
    assert [half_up(n, 2) for n in (0, 1, 2, 3)] == [0, 1, 1, 2]
    assert line_net(Decimal("0.5"), 25) == 13
    assert line_net(Decimal("0.333"), 1000) == 333


def test_tax_is_not_rounded_line_by_line() -> None:
    """Three lines of 1.10 at 13.5 %: 0.1485 each would round to 0.15, 0.45 in all; the group's tax is 0.4455."""
    totals = add_up([(Decimal(1), 110, RATES[1])] * 3)

    assert totals.tax == 45
    assert add_up([(Decimal(1), 10, RATES[2])] * 4).line_taxes == (1, 1, 1, 0)


def test_yen_have_no_fraction_and_fils_have_three() -> None:
    yen = add_up([(Decimal(1), 3333, TaxRate("JCT", "JCT", Decimal("10")))])
    fils = add_up([(Decimal("1.5"), 12_345, TaxRate("VAT", "VAT", Decimal("5")))])

    assert (yen.subtotal, yen.tax, yen.total) == (3333, 333, 3666)
    assert (fils.subtotal, fils.tax, fils.total) == (18_518, 926, 19_444)
