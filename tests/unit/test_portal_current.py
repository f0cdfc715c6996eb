"""An invoice for which payment knows of money on its way is on its way on every page, and counts as due on none."""

from datetime import date
from typing import Any
from uuid import UUID

import pytest

from contracts.http.common import Money
from contracts.http.invoices import Summary
from contracts.http.payments import OnItsWay
from services.gateway.portal import statuses
from services.gateway.portal.invoices import current
from services.gateway.portal.invoices import views as invoices
from tests.builders.portal import a_clinic, a_row, an_invoice, eur


def moving(invoice: Any, open: int | None = None, *, processing: bool = True) -> dict[UUID, OnItsWay]:
    left = None if open is None else Money(open, invoice.currency)
    return {invoice.id: OnItsWay(invoice_id=invoice.id, open=left, processing=processing)}


@pytest.mark.parametrize(("open", "processing"), [(None, True), (12_500, True), (0, False), (5_000, False)])
@pytest.mark.parametrize("made", [a_row, an_invoice])
def test_it_is_on_its_way_and_offers_no_pay(made: Any, open: int | None, processing: bool) -> None:
    invoice = made(overdue=True)

    shown = current.now(invoice, moving(invoice, open, processing=processing))

    assert statuses.of_invoice(shown) is statuses.ON_ITS_WAY
    assert not invoices.row(shown, a_clinic()).payable


@pytest.mark.parametrize("status", ["unpaid", "part_paid"])
def test_what_invoice_has_booked_already_is_not_on_its_way(status: str) -> None:
    invoice = a_row(status=status, settled=2_500)

    assert current.now(invoice, moving(invoice, 10_000, processing=False)) is invoice
    assert current.now(invoice, {}) is invoice


@pytest.mark.parametrize("status", ["paid", "void", "refunded", "processing"])
def test_a_state_that_asks_for_nothing_stays(status: str) -> None:
    invoice = a_row(status=status)

    assert current.now(invoice, moving(invoice)) is invoice


def test_the_dashboard_asks_for_the_rest_alone() -> None:
    paid, dollars = (
        a_row(overdue=True, due_on=date(2026, 11, 1)),
        a_row(currency="USD", due=Money(5_000, "USD")),
    )
    later, sooner = a_row(due_on=date(2026, 12, 9)), a_row(due_on=date(2026, 12, 4))
    unpaid = [dollars, paid, later, sooner]
    found = Summary(
        due=[eur(37_500), Money(5_000, "USD")], unpaid_count=4, overdue_count=1, next=paid, last_paid=None
    )

    left = current.without(found, unpaid, moving(paid) | moving(dollars))

    assert left.due == [eur(25_000)]
    assert (left.unpaid_count, left.overdue_count) == (2, 0)
    assert left.next is sooner
