"""A clinic's rules of refunds: so much in 24 hours for each login or key, and above a sum another one approves."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from contracts.events.invoice import InvoiceUpdated
from services.chassis.http.auth import Caller
from services.chassis.ids import new_id
from services.chassis.queue.working import InTransaction, Worker
from services.payment import consumers
from services.payment.refunds import store as refunds
from services.payment.refunds.approvals import on_unbegun
from services.payment.refunds.held import END_UNBEGUN
from services.payment.stripe.params import NewRefund, refund_params
from tests.builders.callers import a_caller
from tests.builders.events import deliver
from tests.builders.values import eur
from tests.running.disputes import charge_of, dispute, end
from tests.running.payment import PaymentService
from tests.running.refunds import age_refunds, at_stripe, credit_of, request_refund, staff, sweep
from tests.service.test_payment_refunds_paid import check_books, moved, pay_two, returned_of
from tests.service.waiting import until_waiting


async def put_rules(payments: PaymentService, **rules: Any) -> None:
    operator = a_caller("operator", payments.clinic_id)
    answer = await payments.api.call("PUT", "/refund-rules", operator, json=rules)
    assert answer.status_code == 200, answer.text


async def refund(payments: PaymentService, caller: Caller, payment_id: UUID, **body: Any) -> Any:
    asked, headers = {"payment_id": str(payment_id), **body}, {"Idempotency-Key": str(new_id())}
    return await payments.api.call("POST", "/refunds", caller, json=asked, headers=headers)


async def decide(payments: PaymentService, caller: Caller, made: Any, *, approved: bool = True) -> Any:
    path = f"/refunds/{made['id']}/approval"
    return await payments.api.call("PUT", path, caller, json={"approved": approved})


async def test_one_gives_back_so_much_a_day_and_another_as_much_again(payments: PaymentService) -> None:
    payment_id, _, _ = await pay_two(payments)
    one, other = staff(payments), staff(payments)
    await put_rules(payments, most_a_day=3, most_amount_a_day=2000)

    sums = [await refund(payments, one, payment_id, amount=amount) for amount in (1500, 501, 500)]
    of_other = await refund(payments, other, payment_id, amount=2000)
    await put_rules(payments, most_a_day=2)
    count = await refund(payments, one, payment_id, amount=1)
    await age_refunds(payments, timedelta(hours=25))
    next_day = await refund(payments, one, payment_id, amount=1)

    assert [answer.status_code for answer in sums] == [201, 409, 201]
    assert (sums[1].json()["code"], sums[1].json()["left"]["minor"]) == ("refund_limit_reached", 500)
    assert (of_other.status_code, count.json()["code"], count.json()["most"]) == (
        201,
        "refund_limit_reached",
        2,
    )
    assert next_day.status_code == 201
    await check_books(payments)


async def test_presses_at_once_are_all_counted(payments: PaymentService) -> None:
    payment_id, _, _ = await pay_two(payments)
    one = staff(payments)
    await put_rules(payments, most_a_day=3)

    answers = await asyncio.gather(*(refund(payments, one, payment_id, amount=100) for _ in range(9)))

    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [409] * 6


async def test_a_refund_is_counted_after_one_of_any_other_payment_that_began_before(
    payments: PaymentService,
) -> None:
    payment_id, _, _ = await pay_two(payments)
    await put_rules(payments, most_a_day=3)

    async with payments.db.api.tx(payments.clinic_id) as tx:
        await refunds.lock_rules(tx, payments.clinic_id)
        later = asyncio.create_task(refund(payments, staff(payments), payment_id, amount=100))
        await until_waiting(payments.db, later)
        assert not later.done()

    assert (await later).status_code == 201


async def test_a_refund_above_the_sum_waits_for_another_one(payments: PaymentService) -> None:
    payment_id, _, newer = await pay_two(payments)
    one, other = staff(payments), staff(payments)
    await put_rules(payments, approve_above=1000)

    [small] = (await refund(payments, one, payment_id, amount=1000)).json()["refunds"]
    [made] = (await refund(payments, one, payment_id, amount=1001, on_behalf_of="Dr. Byrne")).json()[
        "refunds"
    ]
    await age_refunds(payments, timedelta(days=2))
    await sweep(payments)
    unasked = await payments.db.admin.fetchval(
        "SELECT checked_at < app_now() - interval '1 day' FROM refunds WHERE id = $1", UUID(made["id"])
    )
    waiting = [each["amount"] for each in await at_stripe(payments)]
    seen_by_client = await payments.api.call("GET", f"/clients/{payments.client_id}/credit", payments.client)
    await check_books(payments)
    itself = await decide(payments, one, made)
    stranger = await decide(payments, a_caller("staff", new_id()), made)
    good = await decide(payments, other, made)
    again = await decide(payments, other, made)
    await payments.hook.until("refund.created", 2)
    await payments.consume()

    assert (small["status"], made["status"]) == ("pending", "awaiting_approval")
    assert waiting == [1000] and unasked, "the sweep takes up only what may be at Stripe"
    assert [each["id"] for each in seen_by_client.json()["refunds"]] == [small["id"]]
    assert (itself.status_code, itself.json()["code"]) == (409, "approval_by_another")
    assert stranger.json()["code"] == "refund_not_found"
    assert good.json()["refunds"][0]["status"] == again.json()["refunds"][0]["status"] == "pending"
    assert (await decide(payments, other, small)).json()["code"] == "not_awaiting_approval"
    assert sorted(each["amount"] for each in await at_stripe(payments)) == [1000, 1001]
    assert await returned_of(payments) == {newer: 2001}
    row = await payments.db.admin.fetchrow("SELECT * FROM refunds WHERE id = $1", UUID(made["id"]))
    assert row is not None
    assert (row["made_by"], row["approved_by"], row["on_behalf_of"]) == (
        one.subject,
        other.subject,
        "Dr. Byrne",
    )
    actions = await payments.db.admin.fetch("SELECT actor, action FROM audit WHERE action LIKE '%refund%'")
    assert (other.subject, "approve_refund") in {(each["actor"], each["action"]) for each in actions}
    await check_books(payments)


async def test_a_refund_to_credit_waits_too(payments: PaymentService) -> None:
    payment_id, _, _ = await pay_two(payments)
    await put_rules(payments, approve_above=0)

    [made] = (await refund(payments, staff(payments), payment_id, amount=500, to="credit")).json()["refunds"]
    before = await credit_of(payments)
    await decide(payments, staff(payments), made)

    assert (made["status"], before["balances"]) == ("awaiting_approval", [])
    assert (await credit_of(payments))["balances"] == [{"minor": 500, "currency": "EUR"}]
    await check_books(payments)


async def test_credit_waits_too(payments: PaymentService) -> None:
    payment_id, _, _ = await pay_two(payments)
    await refund(payments, staff(payments), payment_id, amount=500, to="credit")
    await put_rules(payments, approve_above=0)

    [made] = (await request_refund(payments)).json()["refunds"]

    assert made["status"] == "awaiting_approval"
    assert (await decide(payments, staff(payments), made)).json()["refunds"][0]["status"] == "pending"


@pytest.mark.parametrize("lowered", [False, True])
async def test_what_is_not_approved_is_what_it_was_before(payments: PaymentService, lowered: bool) -> None:
    invoice = await payments.open_invoice(eur(40))
    payment_id = await payments.pay((invoice, eur(40)))
    one = staff(payments)
    await put_rules(payments, approve_above=0)
    [made] = (await refund(payments, one, payment_id, amount=4000)).json()["refunds"]
    if lowered:
        state = payments.invoice(invoice, eur(15), 2, InvoiceUpdated, status="paid")
        await deliver(payments.worker, consumers, state)

    answer = await decide(payments, one, made, approved=False)
    again = await decide(payments, one, made, approved=False)
    await Worker(payments.worker, [InTransaction(END_UNBEGUN, on_unbegun)]).work_due()

    assert (answer.status_code, again.status_code) == (200, 200)
    [shown] = (await credit_of(payments))["refunds"]
    assert (shown["status"], shown["failure_reason"]) == ("canceled", "not_approved")
    assert (await decide(payments, staff(payments), made)).json()["code"] == "not_awaiting_approval"
    assert await returned_of(payments) == {}
    assert [amount for _, _, amount in await moved(payments)] == ([-2500] if lowered else [])
    assert await at_stripe(payments) == []
    await check_books(payments)


def test_a_part_of_the_application_fee_goes_back_only_where_it_is_asked_for() -> None:
    wanted = NewRefund("acct_1", "pi_1", 100, "EUR", {}, "refund-1")

    assert "refund_application_fee" not in refund_params(wanted)
    assert refund_params(NewRefund("acct_1", "pi_1", 100, "EUR", {}, "refund-1", True))[
        "refund_application_fee"
    ]


async def test_credit_that_waits_for_approval_is_no_credit_yet(payments: PaymentService) -> None:
    """Other credit of the client, of cash, cannot go back to the card in its place."""
    payment_id, _, _ = await pay_two(payments)
    headers = {"Idempotency-Key": "till"}
    cash = {"client_id": str(payments.client_id), "kind": "cash", "amount": 9000, "currency": "EUR"}
    recorded = await payments.api.call(
        "POST", "/payments/recorded", staff(payments), json=cash, headers=headers
    )
    assert recorded.status_code == 201, recorded.text
    by_cash = await refund(payments, staff(payments), UUID(recorded.json()["id"]))
    assert (by_cash.status_code, by_cash.json()["code"]) == (409, "nothing_to_refund")
    assert "take it back by `reverse`" in by_cash.json()["detail"]
    await put_rules(payments, approve_above=3000)
    await refund(payments, staff(payments), payment_id, to="credit")

    other = await refund(payments, staff(payments), payment_id, amount=1000)

    assert (other.status_code, other.json()["code"]) == (409, "nothing_to_refund")
    assert [each["minor"] for each in (await credit_of(payments))["balances"]] == [9000]
    await dispute(payments, await charge_of(payments, payment_id))
    await payments.consume()
    assert [each["minor"] for each in (await credit_of(payments))["balances"]] == [9000]
    await check_books(payments)


async def test_what_the_bank_has_taken_meanwhile_does_not_become_credit_too(payments: PaymentService) -> None:
    payment_id, _, _ = await pay_two(payments)
    await put_rules(payments, approve_above=3000)
    [made] = (await refund(payments, staff(payments), payment_id, to="credit")).json()["refunds"]
    disputed = await dispute(payments, await charge_of(payments, payment_id))
    await payments.consume()

    refused = await decide(payments, staff(payments), made)
    await end(payments, disputed["id"], "won")
    await payments.consume()
    approved = await decide(payments, staff(payments), made)

    assert (refused.status_code, refused.json()["code"]) == (409, "charge_disputed")
    assert approved.status_code == 200
    assert [each["minor"] for each in (await credit_of(payments))["balances"]] == [6500]
    await check_books(payments)
