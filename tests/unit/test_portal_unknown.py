"""A value of a newer service, which this gateway reads as `unknown`, is shown as being updated. No page breaks."""

from typing import Any

import pytest

from contracts.http.common import Money, PaidWith
from contracts.http.credit import CreditOut, RefundOut
from contracts.http.invoices import MovementOut
from contracts.vocabulary import UNKNOWN
from services.chassis.ids import new_id
from services.gateway.portal import statuses
from services.gateway.portal.credit.views import credit
from services.gateway.portal.invoices import views as invoices
from services.gateway.portal.methods import views as methods
from services.gateway.portal.payments import views as payments
from tests.builders.portal import NOON, a_clinic, a_payment, an_invoice

AMOUNT = Money(2_500, "EUR")


def test_an_invoice_of_unknown_status_is_being_updated_and_is_not_payable() -> None:
    shown = invoices.invoice(an_invoice(status=UNKNOWN), a_clinic())

    assert shown.row.status == statuses.BEING_UPDATED
    assert shown.row.spoken.endswith("is being updated")
    assert (shown.row.payable, shown.row.not_online) == (False, "")
    assert (shown.headline, shown.timing) == (
        "Invoice total",
        "This invoice is being updated. Please look again in a few minutes.",
    )


def test_a_payment_of_unknown_status_offers_no_second_payment() -> None:
    shown = payments.result(a_payment(UNKNOWN), [an_invoice()], a_clinic())

    assert (shown.outcome, shown.title, shown.status) == (
        "on_its_way",
        "Being updated",
        statuses.BEING_UPDATED,
    )
    assert "do not pay a second time" in shown.message


def test_a_refund_of_unknown_status_is_neither_on_its_way_nor_sent() -> None:
    status: Any = UNKNOWN
    refund = RefundOut(
        id=new_id(),
        client_id=new_id(),
        payment_id=new_id(),
        status=status,
        amount=AMOUNT,
        method=PaidWith(kind="paypal"),
        failure_reason=None,
        created_at=NOON,
        updated_at=NOON,
        refunded_at=None,
    )
    shown = credit(CreditOut(balances=[], refundable=[], payments=[], refunds=[refund]), a_clinic())

    assert shown is not None
    assert [each.words for each in shown.refunds] == ["A refund of €25.00 to PayPal is being updated."]


def test_a_movement_of_unknown_kind_is_another_movement_without_a_receipt() -> None:
    kind: Any = UNKNOWN
    moved = MovementOut(
        id=new_id(), kind=kind, amount=AMOUNT, method=None, booked_at=NOON, payment_id=new_id()
    )
    [shown] = invoices.invoice(an_invoice(movements=[moved]), a_clinic()).movements

    assert (shown.label, shown.receipt, shown.amount) == ("Other movement", "", "€25.00")


@pytest.mark.parametrize("accepted", [(UNKNOWN,), ("card", UNKNOWN)])
def test_an_unknown_way_to_pay_is_not_offered(accepted: tuple[Any, ...]) -> None:
    found, clinic = an_invoice(methods=accepted), a_clinic(methods=accepted)
    known = "card" in accepted

    assert methods.accepted(accepted) == ("Card" if known else "")
    assert invoices.payable(found, clinic) == known
    assert (invoices.not_online(found, clinic) == "") == known


def test_an_unknown_reason_against_a_charge_is_the_clinics_own() -> None:
    shown = invoices.row(an_invoice(methods=(), online_charge=UNKNOWN), a_clinic())

    assert shown.not_online == "Harbour Physiotherapy does not take payments in this portal."
