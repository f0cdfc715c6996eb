"""Which money without Stripe a restore lost, by what the topics say and what payment's database has."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from contracts.events.envelope import Method
from contracts.events.payment import PaymentRefunded, PaymentSettled, PaymentSucceeded, Share
from contracts.money import Money
from deploy.ops.restore.lost_acts import Here, Lost, lost_of
from deploy.ops.restore.seen import Seen
from deploy.ops.restore.words import in_words
from services.chassis.ids import new_id
from tests.builders.values import eur, money

CLINIC, CLIENT, INVOICE = new_id(), new_id(), new_id()
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
CASH, CARD, CREDIT = Method(kind="cash"), Method(kind="card"), Method(kind="credit")


def moved(
    payment: UUID, kind: Any, minor: int, method: Method | None, cause: str | None = None
) -> PaymentSettled:
    movement_id = new_id()
    return PaymentSettled(
        id=movement_id,
        time=NOW,
        clinic_id=CLINIC,
        movement_id=movement_id,
        invoice_id=INVOICE,
        payment_id=payment,
        kind=kind,
        amount=money(minor),
        method=method,
        stripe_object_id=cause,
    )


def succeeded(payment: UUID, method: Method) -> PaymentSucceeded:
    return PaymentSucceeded(
        id=new_id(),
        time=NOW,
        clinic_id=CLINIC,
        payment_id=payment,
        client_id=CLIENT,
        version=1,
        status="succeeded",
        amount=eur(50),
        invoices=(Share(invoice_id=INVOICE, amount=eur(50)),),
        method=method,
    )


def refunded(payment: UUID, destination: Any) -> PaymentRefunded:
    return PaymentRefunded(
        id=new_id(),
        time=NOW,
        clinic_id=CLINIC,
        refund_id=new_id(),
        payment_id=payment,
        client_id=CLIENT,
        amount=eur(3),
        destination=destination,
    )


def lost(*events: Any, here: tuple[UUID, ...] = ()) -> list[Lost]:
    seen = Seen()
    for event in events:
        seen.add(event)
    keys = frozenset((CLINIC, each) for each in here)
    return lost_of(seen, Here(payments=keys, movements=keys, refunds=keys))


def test_recorded_money_is_lost_with_all_that_it_moved_and_is_told_once() -> None:
    payment = new_id()
    state, paid, excess = (
        succeeded(payment, CASH),
        moved(payment, "payment", 5_000, CASH),
        moved(payment, "credit", -1_000, None),
    )

    found = lost(state, paid, excess)

    assert {(each.family, each.key[1], each.version) for each in found} == {
        ("payment", payment, 1),
        ("movement", paid.id, 0),
        ("movement", excess.id, 0),
    }
    assert [each.words for each in found if each.words] == [
        f"client {CLIENT} cash: 50.00 EUR (50.00 EUR of invoice {INVOICE})"
    ]
    back = moved(payment, "reversal", -5_000, CASH)
    assert [each.words for each in lost(state, paid, back) if each.words] == [], (
        "it was taken back: nothing to do"
    )


def test_acts_on_a_payment_that_is_here_are_lost_alone() -> None:
    payment, used = new_id(), new_id()
    back, credit = moved(payment, "reversal", -5_000, CASH), moved(used, "credit", 700, CREDIT)
    to_credit, of_it = refunded(payment, "credit"), moved(payment, "refund", -300, None, "refund-1")

    found = lost(back, credit, to_credit, of_it, here=(payment,))

    assert [(each.family, each.key[1]) for each in found] == [
        ("movement", back.id),
        ("movement", credit.id),
        ("movement", of_it.id),
        ("refund", to_credit.refund_id),
    ]
    assert [each.words for each in found] == [
        f"payment {payment} taken back",
        f"invoice {INVOICE} paid with credit: 7.00 EUR",
        "",
        f"client {CLIENT} payment {payment} refunded to credit: 3.00 EUR",
    ]


def test_what_stripe_knows_comes_back_from_stripe() -> None:
    gone, here = new_id(), new_id()
    charged = moved(gone, "payment", 5_000, CARD, "pi_1")
    by_bank = moved(here, "reversal", -5_000, CARD, "dp_1")
    sent = moved(here, "refund", -300, CARD, "refund-1")
    excess = moved(here, "credit", -1_000, None)

    assert (
        lost(succeeded(gone, CARD), charged, by_bank, sent, excess, refunded(here, "method"), here=(here,))
        == []
    )


def test_what_is_in_the_dump_is_not_lost() -> None:
    payment = new_id()
    paid, to_credit = moved(payment, "payment", 5_000, CASH), refunded(payment, "credit")

    assert lost(succeeded(payment, CASH), paid, to_credit, here=(payment, paid.id, to_credit.refund_id)) == []


@pytest.mark.parametrize(
    ("amount", "words"),
    [(money(105), "1.05 EUR"), (money(500, "JPY"), "500 JPY"), (money(1250, "KWD"), "1.250 KWD")],
)
def test_sums_are_written_with_their_currencys_decimals(amount: Money, words: str) -> None:
    assert in_words(amount) == words
