"""The steps of a payment: each with its time, from what the services answered."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from contracts.http.common import Money, PaidWith
from contracts.http.contacts import ReceiptOut
from contracts.http.invoices import InvoiceOut, MovementOut
from contracts.http.payments import PaymentOut, PaymentShareOut
from services.chassis.ids import new_id
from services.chassis.locale.formats import Formats
from services.gateway.portal.payments.steps import Steps, steps
from tests.builders.portal import NOON, a_clinic, a_payment, an_invoice, eur

WRITE = Formats.of(a_clinic())
SEPA = PaidWith(kind="sepa_debit", last4="3000")


def of(
    payment: PaymentOut, *paid: InvoiceOut, receipt: ReceiptOut | None = None, later: timedelta = timedelta(0)
) -> Steps:
    return steps(payment, paid, receipt, WRITE, NOON + later)


def said(found: Steps) -> list[tuple[str, str, str]]:
    return [(step.words, step.state, step.when) for step in found.steps]


def a_success(**changes: Any) -> PaymentOut:
    return a_payment("succeeded", succeeded_at=NOON + timedelta(minutes=1), **changes)


def paid_by(payment: PaymentOut, kind: Any = "payment") -> list[InvoiceOut]:
    """The invoices of the payment, two minutes after its start."""
    move = MovementOut(
        id=new_id(),
        kind=kind,
        amount=eur(12_500),
        method=None,
        booked_at=NOON + timedelta(minutes=2),
        payment_id=payment.id,
    )
    return [an_invoice(id=part.invoice_id, movements=[move]) for part in payment.invoices]


def a_receipt(payment: PaymentOut, state: Any) -> ReceiptOut:
    sent = NOON + timedelta(minutes=3) if state == "sent" else None
    return ReceiptOut(payment_id=payment.id, state=state, sent_at=sent)


def test_a_payment_that_went_through_has_a_time_for_each_step() -> None:
    payment = a_success()

    found = of(payment, *paid_by(payment), receipt=a_receipt(payment, "sent"))

    assert said(found) == [
        ("Sent", "done", "23 Nov 2026, 12:00"),
        ("Received", "done", "23 Nov 2026, 12:01"),
        ("Put on the invoice", "done", "23 Nov 2026, 12:02"),
        ("Receipt sent by e-mail", "done", "23 Nov 2026, 12:03"),
    ]
    assert not found.unsettled


def test_what_follows_within_seconds_is_waited_for() -> None:
    payment = a_success()

    behind = of(payment, an_invoice(id=payment.invoices[0].invoice_id), receipt=a_receipt(payment, "sent"))
    unsent = of(payment, *paid_by(payment), receipt=a_receipt(payment, "due"))
    unknown = of(payment, *paid_by(payment))
    old = of(payment, *paid_by(payment), later=timedelta(hours=1))

    assert said(behind)[2] == ("Put on the invoice", "now", "")
    assert said(unsent)[3] == said(unknown)[3] == ("Receipt by e-mail", "now", "")
    assert behind.unsettled and unsent.unsettled and unknown.unsettled
    assert len(old.steps) == 3 and not old.unsettled


def test_a_receipt_that_no_mail_server_took_says_where_it_is() -> None:
    payment = a_success()

    found = of(payment, *paid_by(payment), receipt=a_receipt(payment, "failed"))

    assert (found.steps[-1].state, found.steps[-1].detail) == ("failed", "Print it here.")
    assert len(of(payment, *paid_by(payment), receipt=a_receipt(payment, "dropped")).steps) == 3


@pytest.mark.parametrize(
    ("method", "currency", "expected"),
    [
        (SEPA, "EUR", "Usually by 1 December 2026."),
        (PaidWith(kind="us_bank_account"), "USD", "Usually by 27 November 2026."),
        (PaidWith(kind="card", brand="visa", last4="4242"), "EUR", ""),
        (PaidWith(kind="ideal"), "EUR", ""),
        (None, "EUR", ""),
    ],
)
def test_a_debit_says_by_which_working_day_it_is_usually_there(
    method: PaidWith | None, currency: str, expected: str
) -> None:
    """23 November 2026 is a Monday."""
    payment = a_payment(
        "processing", method=method, amount=Money(100, currency), status_at=NOON + timedelta(minutes=5)
    )

    _, bank, *to_come = of(payment).steps

    assert (bank.words, bank.state, bank.when) == (
        "Your bank is confirming it",
        "now",
        "23 Nov 2026, 12:05",
    )
    assert bank.detail == expected
    assert [step.state for step in to_come] == ["next", "next", "next"]
    assert not of(payment).unsettled


@pytest.mark.parametrize(
    ("status", "changes", "states"),
    [
        ("failed", {}, [("Sent", "done"), ("Not paid", "failed")]),
        ("canceled", {}, [("Sent", "done"), ("Cancelled", "failed")]),
        ("created", {}, [("Sent", "done"), ("To be confirmed by you", "now")]),
        ("created", {"asked": False}, [("Sent", "done"), ("Waiting for an answer", "now")]),
        ("processing", {"taken": True}, [("Sent", "done"), ("Received", "now")]),
        ("of_a_newer_release", {}, [("Sent", "done"), ("Waiting for an answer", "now")]),
    ],
)
def test_a_payment_that_has_not_arrived_says_where_it_is(
    status: Any, changes: dict[str, Any], states: list[tuple[str, str]]
) -> None:
    found = of(a_payment(status, **changes))

    assert [(step.words, step.state) for step in found.steps][:2] == states
    assert not any(step.state == "done" for step in found.steps[1:])


def test_credit_and_recorded_money_have_steps_of_their_own() -> None:
    credit = a_success(method=PaidWith(kind="credit"))
    cash = a_success(method=PaidWith(kind="cash"))

    assert [step.words for step in of(credit, *paid_by(credit, "credit")).steps] == [
        "Your credit was used",
        "Put on the invoice",
    ]
    assert [step.words for step in of(cash, *paid_by(cash), receipt=a_receipt(cash, "sent")).steps] == [
        "Recorded by the clinic",
        "Put on the invoice",
        "Receipt sent by e-mail",
    ]
    assert of(replace(cash, reversed_at=NOON)).steps == []


def test_several_invoices_are_one_step_and_what_paid_none_is_credit() -> None:
    shares = [PaymentShareOut(invoice_id=new_id(), amount=eur(6_250)) for _ in range(2)]
    both, deposit = a_success(invoices=shares), a_success(invoices=[])
    late = a_success(invoices=[PaymentShareOut(invoice_id=new_id(), amount=eur(0))])

    assert said(of(both, *paid_by(both)))[2] == ("Put on 2 invoices", "done", "23 Nov 2026, 12:02")
    assert said(of(both, paid_by(both)[0]))[2] == ("Put on 2 invoices", "now", "")
    assert said(of(deposit))[2][0] == said(of(late))[2][0] == "Kept as your credit"
