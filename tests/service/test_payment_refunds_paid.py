"""Money that settled invoices goes back: to where it came from or to credit, once, and never more than is left."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from contracts.events.invoice import InvoiceUpdated
from contracts.events.payment import PaymentSettled
from deploy.ops.verify.payment_checks import CHECKS
from services.chassis.ids import new_id
from services.payment import consumers
from tests.builders.events import deliver, outbox_events
from tests.builders.values import eur, money
from tests.running.payment import PaymentService
from tests.running.refunds import (
    age_refunds,
    at_stripe,
    credit_of,
    fault,
    leave_credit,
    refund_events,
    refund_payment,
    settle_refund,
    sweep,
)


async def pay_two(payments: PaymentService) -> tuple[UUID, UUID, UUID]:
    """A payment of €40 for an invoice and €25 for a newer one."""
    older, newer = await payments.open_invoice(eur(40)), await payments.open_invoice(eur(25))
    return await payments.pay((older, eur(40)), (newer, eur(25))), older, newer


async def check_books(payments: PaymentService) -> None:
    """Every check of `verify` on the payment service's own database finds nothing."""
    for check in CHECKS:
        assert [dict(row) for row in await payments.db.admin.fetch(check.sql)] == [], check.name


async def moved(payments: PaymentService) -> list[tuple[UUID, str, int]]:
    """(invoice, kind, amount) of each movement that was published, but for payments."""
    return [
        (event.invoice_id, event.kind, event.amount.minor)
        for event in await outbox_events(payments.db)
        if isinstance(event, PaymentSettled) and event.kind != "payment"
    ]


async def returned_of(payments: PaymentService) -> dict[UUID, int]:
    rows = await payments.db.admin.fetch("SELECT id, returned_amount FROM payables WHERE returned_amount > 0")
    return {row["id"]: row["returned_amount"] for row in rows}


async def test_a_part_goes_back_to_the_card_from_the_newest_invoice_first(payments: PaymentService) -> None:
    payment_id, older, newer = await pay_two(payments)

    answer = await refund_payment(payments, payment_id, amount=3000)
    reserved = await returned_of(payments)
    await check_books(payments)
    await payments.hook.until("refund.created")
    await payments.consume()

    [made] = answer.json()["refunds"]
    assert (answer.status_code, made["status"], made["to"]) == (201, "pending", "method")
    assert [(each["invoice_id"], each["amount"]["minor"]) for each in made["invoices"]] == [
        (str(newer), 2500),
        (str(older), 500),
    ]
    assert reserved == await returned_of(payments) == {newer: 2500, older: 500}
    assert [each["amount"] for each in await at_stripe(payments)] == [3000]
    assert sorted(await moved(payments)) == sorted([(newer, "refund", -2500), (older, "refund", -500)])
    assert await payments.books() == [
        ("receivable", -6500),
        ("refund_pending", 0),
        ("refunded", 3000),
        ("stripe", 3500),
    ]
    [published] = await refund_events(payments)
    assert {(each.invoice_id, each.amount.minor) for each in published.invoices} == {
        (newer, 2500),
        (older, 500),
    }
    assert (await credit_of(payments))["balances"] == []
    await check_books(payments)


async def test_a_split_says_what_goes_back_of_which_invoice(payments: PaymentService) -> None:
    payment_id, older, newer = await pay_two(payments)

    async def split(**of: Any) -> Any:
        parts = [{"invoice_id": str(each), "amount": amount} for each, amount in of.pop("parts")]
        return await refund_payment(payments, payment_id, invoices=parts, **of)

    too_much = await split(parts=[(newer, 2501)])
    stranger = await split(parts=[(new_id(), 1)])
    twice = await split(parts=[(older, 1), (older, 1)])
    unequal = await split(parts=[(older, 100)], amount=200)
    good = await split(parts=[(older, 700), (newer, 300)], amount=1000)

    assert (too_much.status_code, too_much.json()["code"]) == (409, "refund_too_large")
    assert (too_much.json()["invoice_id"], too_much.json()["refundable"]["minor"]) == (str(newer), 2500)
    assert stranger.json()["code"] == "refund_too_large"
    assert (twice.status_code, twice.json()["code"], unequal.json()["code"]) == (
        422,
        "unclear_refund",
        "unclear_refund",
    )
    assert good.status_code == 201
    assert await returned_of(payments) == {older: 700, newer: 300}
    await check_books(payments)


@pytest.mark.parametrize(
    ("on_behalf_of", "code"),
    [
        ("two\nlines", "invalid_text"),
        ("\u202egnidaelsim", "invalid_text"),
        ("\u200b", "invalid_text"),
        ("4242 4242 4242 4242", "card_number_refused"),
        ("\u00b2" * 16, None),  # digits to Python, and no numbers
        (" Dr. Byrne \U0001f600", None),
    ],
)
async def test_for_whom_a_refund_is_made_is_a_text_on_one_line_without_a_card(
    payments: PaymentService, on_behalf_of: str, code: str | None
) -> None:
    payment_id, _, _ = await pay_two(payments)

    answer = await refund_payment(payments, payment_id, amount=100, on_behalf_of=on_behalf_of)

    kept = await payments.db.admin.fetch("SELECT on_behalf_of FROM refunds")
    assert answer.json().get("code") == code
    assert [row["on_behalf_of"] for row in kept] == ([] if code else [on_behalf_of.strip()])


async def test_to_credit_asks_nobody_and_the_credit_can_go_back_later(payments: PaymentService) -> None:
    payment_id, older, _ = await pay_two(payments)

    answer = await refund_payment(payments, payment_id, amount=2600, to="credit")
    await check_books(payments)
    credit = await credit_of(payments)
    again = await refund_payment(payments, payment_id, amount=3901, to="credit")
    back = await refund_payment(payments, payment_id)
    await payments.hook.until("refund.created")
    await payments.consume()

    [made] = answer.json()["refunds"]
    assert (made["status"], made["to"], made["refunded_at"] is not None) == ("succeeded", "credit", True)
    assert credit["balances"] == credit["refundable"] == [{"minor": 2600, "currency": "EUR"}]
    assert again.json()["refundable"] == {"minor": 3900, "currency": "EUR"}
    [rest] = back.json()["refunds"]
    assert rest["amount"]["minor"] == 6500
    assert [(each["invoice_id"], each["amount"]["minor"]) for each in rest["invoices"]] == [
        (str(older), 3900)
    ]
    assert [each["amount"] for each in await at_stripe(payments)] == [6500]
    assert sorted(amount for _, kind, amount in await moved(payments)) == [-3900, -2500, -100]
    assert [each.destination for each in await refund_events(payments)] == ["credit", "method"]
    await check_books(payments)


async def test_twenty_presses_at_once_give_back_no_more_than_was_paid(payments: PaymentService) -> None:
    payment_id, _, _ = await pay_two(payments)

    answers = await asyncio.gather(
        *(
            refund_payment(payments, payment_id, amount=1000, to="credit" if at % 3 else "method")
            for at in range(20)
        )
    )

    made = [answer for answer in answers if answer.status_code == 201]
    to_method = sum(each["amount"] for each in await at_stripe(payments))
    assert {answer.json()["code"] for answer in answers if answer.status_code != 201} <= {"refund_too_large"}
    assert len(made) >= 6 and to_method <= 6500
    await check_books(payments)


async def test_a_refund_that_fails_after_its_success_settles_the_invoice_again(
    payments: PaymentService,
) -> None:
    invoice = await payments.open_invoice(eur(40))
    payment_id = await payments.pay((invoice, eur(40)))
    await refund_payment(payments, payment_id, amount=1500)
    await payments.hook.until("refund.created")
    await payments.consume()

    await settle_refund(payments, "failed")
    await payments.consume()

    assert await moved(payments) == [(invoice, "refund", -1500), (invoice, "refund", 1500)]
    assert await returned_of(payments) == {}
    assert (await credit_of(payments))["balances"] == []
    assert (await refund_payment(payments, payment_id, amount=4000)).status_code == 201
    await check_books(payments)


async def test_what_comes_back_to_an_invoice_that_is_due_less_by_then_is_credit(
    payments: PaymentService,
) -> None:
    invoice = await payments.open_invoice(eur(40))
    payment_id = await payments.pay((invoice, eur(40)))
    await refund_payment(payments, payment_id, amount=1500)
    await payments.hook.until("refund.created")
    await payments.consume()
    lowered = payments.invoice(invoice, eur(20), 2, InvoiceUpdated, status="paid")
    await deliver(payments.worker, consumers, lowered)
    before = await credit_of(payments)

    await settle_refund(payments, "failed")
    await payments.consume()

    assert before["balances"] == [{"minor": 500, "currency": "EUR"}]
    assert (await credit_of(payments))["balances"] == [{"minor": 2000, "currency": "EUR"}]
    assert await moved(payments) == [
        (invoice, "refund", -1500),
        (invoice, "credit", -500),
        (invoice, "refund", 1500),
        (invoice, "credit", -1500),
    ]
    await check_books(payments)


async def test_what_stripe_refuses_is_paid_again_at_once(payments: PaymentService) -> None:
    payment_id, _, _ = await pay_two(payments)
    await fault(payments, "400_refunded")

    [made] = (await refund_payment(payments, payment_id, amount=3000)).json()["refunds"]

    assert made["status"] == "failed"
    assert await returned_of(payments) == {}
    assert await moved(payments) == []
    await check_books(payments)


async def test_the_worker_ends_a_refund_whose_money_is_too_much_by_now(
    payments: PaymentService, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoice = await payments.open_invoice(eur(40))
    payment_id = await payments.pay((invoice, eur(40)))
    real = type(payments.stripe).create_refund

    async def lowered_meanwhile(self: Any, refund: Any, **how: bool) -> Any:
        state = payments.invoice(invoice, eur(20), 2, InvoiceUpdated, status="paid")
        await deliver(payments.worker, consumers, state)
        return await real(self, refund, **how)

    monkeypatch.setattr(type(payments.stripe), "create_refund", lowered_meanwhile)
    await fault(payments, "400_refunded", 2)
    [made] = (await refund_payment(payments, payment_id, amount=4000)).json()["refunds"]
    monkeypatch.setattr(type(payments.stripe), "create_refund", real)
    await age_refunds(payments, timedelta(minutes=11))
    await sweep(payments)

    assert made["status"] == "created"
    assert (await credit_of(payments))["balances"] == [{"minor": 2000, "currency": "EUR"}]
    assert await returned_of(payments) == {}
    await check_books(payments)


async def test_a_surplus_goes_first_and_only_as_far_as_there_is_credit(payments: PaymentService) -> None:
    payment_id, older, _ = await pay_two(payments)
    lowered = payments.invoice(older, eur(30), 2, InvoiceUpdated, status="paid")
    await deliver(payments.worker, consumers, lowered)

    [first] = (await refund_payment(payments, payment_id, amount=1000)).json()["refunds"]
    rest = await refund_payment(payments, payment_id, amount=5501)

    assert first["invoices"] == []
    assert rest.json()["refundable"] == {"minor": 5500, "currency": "EUR"}
    assert (await credit_of(payments))["balances"] == []
    await check_books(payments)


async def test_a_request_names_credit_or_a_payment(payments: PaymentService) -> None:
    payment_id = await leave_credit(payments)
    client = {"client_id": str(payments.client_id)}

    for body in (
        {},
        client,
        {"currency": "EUR"},
        {"currency": "EUR", "payment_id": str(payment_id)},
        {**client, "currency": "EUR", "to": "credit"},
        {**client, "currency": "EUR", "invoices": [{"invoice_id": str(new_id()), "amount": 1}]},
    ):
        answer = await refund_payment(payments, None, **body)
        assert (answer.status_code, answer.json()["code"]) == (422, "unclear_refund"), body
    unknown = await refund_payment(payments, new_id())
    to_credit = await refund_payment(payments, payment_id, to="credit")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "payment_not_found")
    assert (to_credit.status_code, to_credit.json()["code"]) == (409, "nothing_to_refund")
    assert (await refund_payment(payments, payment_id, to="elsewhere")).status_code == 400
    assert await at_stripe(payments) == []
    await check_books(payments)


async def test_yen_of_an_invoice_go_back_as_stripe_counts_them(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(money(500, "JPY"))
    payment_id = await payments.pay((invoice, money(500, "JPY")))

    [made] = (await refund_payment(payments, payment_id, amount=200)).json()["refunds"]

    assert made["amount"] == {"minor": 200, "currency": "JPY"}
    assert [(each["amount"], each["currency"]) for each in await at_stripe(payments)] == [(200, "jpy")]
