"""Refunds that a clinic's `undo_hours` hold: money is set aside at once, and Stripe hears of them when they are due."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from contracts.events.invoice import InvoiceUpdated
from services.chassis.held.actions import handlers
from services.chassis.http.auth import Caller
from services.chassis.ids import new_id
from services.chassis.queue.working import InTransaction, Worker
from services.chassis.retention import delete_old
from services.payment import app, consumers
from services.payment.refunds.approvals import on_unbegun
from services.payment.refunds.held import END_UNBEGUN
from services.payment.refunds.stripe_calls import sending
from services.payment.retention import RULES
from tests.builders.events import deliver
from tests.builders.values import eur, money
from tests.running.disputes import charge_of, dispute, end, movements
from tests.running.disputes import sweep as sweep_disputes
from tests.running.payment import PaymentService
from tests.running.refunds import (
    age_refunds,
    at_stripe,
    credit_of,
    leave_credit,
    refund_events,
    refund_payment,
    request_refund,
    staff,
)
from tests.service.test_payment_refunds_paid import check_books, moved, pay_two, returned_of
from tests.service.test_refund_rules import decide, put_rules, refund
from tests.service.test_refunds_made_at_stripe import dashboard, heard

HOURS = 2


@pytest.fixture
async def payments(payments: PaymentService) -> PaymentService:
    await set_hours(payments, HOURS, version=50)
    return payments


async def set_hours(payments: PaymentService, hours: int, version: int) -> None:
    await payments.update_clinic(version, undo_hours=hours)


async def hold(payments: PaymentService, payment_id: UUID, **body: Any) -> Any:
    answer = await refund_payment(payments, payment_id, **body)
    assert answer.status_code == 202, answer.text
    [act] = answer.json()["held_acts"]
    return act


async def preview(payments: PaymentService, **body: Any) -> Any:
    before = await counted(payments)
    answer = await payments.api.call("POST", "/refunds/preview", staff(payments), json=body)
    assert await counted(payments) == before
    return answer.json()


async def counted(payments: PaymentService) -> list[Any]:
    tables = ("refunds", "entries", "held_acts", "tasks", "audit", "idempotency_keys", "outbox")
    return [await payments.db.admin.fetchval(f"SELECT count(*) FROM {table}") for table in tables]


async def undo(payments: PaymentService, act: Any, caller: Caller | None = None) -> Any:
    return await payments.api.call("POST", f"/held-acts/{act['id']}/undo", caller or staff(payments))


async def acts(payments: PaymentService, *, ended: bool = False) -> Any:
    path = f"/held-acts?ended={str(ended).lower()}"
    return (await payments.api.call("GET", path, staff(payments))).json()["items"]


async def work(payments: PaymentService) -> int:
    worker = Worker(
        payments.worker,
        [
            sending(payments.worker, payments.stripe),
            InTransaction(END_UNBEGUN, on_unbegun),
            *handlers(app.ACTS),
        ],
    )
    return await worker.work_due()


async def time_passes(payments: PaymentService, hours: int = HOURS) -> int:
    await payments.db.admin.execute("UPDATE tasks SET due_at = due_at - make_interval(hours => $1)", hours)
    return await work(payments)


async def exceptions(payments: PaymentService) -> Any:
    return (await payments.api.call("GET", "/exceptions", staff(payments))).json()["items"]


async def settle(payments: PaymentService, found: Any, how: str) -> Any:
    path = f"/exceptions/{found['id']}/settle"
    return await payments.api.call("POST", path, staff(payments), json={"how": how})


async def test_a_held_refund_sets_its_money_aside_and_nobody_hears_of_it(payments: PaymentService) -> None:
    payment_id, older, newer = await pay_two(payments)
    published = len(await moved(payments))

    act = await hold(payments, payment_id, amount=3000)

    assert (act["kind"], act["state"], act["subject_id"]) == ("refund", "held", str(payment_id))
    [planned] = act["preview"]["refunds"]
    assert (planned["amount"]["minor"], planned["to"]) == (3000, "method")
    assert [(each["account"], each["amount"]["minor"]) for each in planned["postings"]] == [
        ("refunded", 2500),
        ("refunded", 500),
        ("refund_pending", -3000),
    ]
    assert [
        (each["invoice_id"], each["status"], each["refunded"]["minor"]) for each in act["preview"]["invoices"]
    ] == [(str(newer), "refunded", 2500), (str(older), "unpaid", 500)]
    assert act["preview"]["emails"] == ["refund"]
    assert await acts(payments) == [act]
    assert await returned_of(payments) == {newer: 2500, older: 500}
    too_much = await refund_payment(payments, payment_id, amount=3501)
    assert too_much.json()["code"] == "refund_too_large"
    assert await time_passes(payments, HOURS - 1) == 0
    assert (await at_stripe(payments), len(await moved(payments))) == ([], published)
    seen = await payments.api.call("GET", f"/clients/{payments.client_id}/credit", payments.client)
    assert seen.json()["refunds"] == []
    await check_books(payments)

    assert await time_passes(payments, 1) == 2
    await payments.hook.until("refund.created")
    await payments.consume()
    [sent] = await at_stripe(payments)
    [ended] = await acts(payments, ended=True)
    assert (sent["amount"], ended["state"]) == (3000, "done")
    assert sent["metadata"]["refund_id"] == ended["result_id"]
    assert len(await refund_events(payments)) == 1
    assert sorted(await moved(payments)) == sorted([(newer, "refund", -2500), (older, "refund", -500)])
    await check_books(payments)
    assert await time_passes(payments) == 0


async def test_a_refund_was_made_when_it_was_asked_for(payments: PaymentService) -> None:
    payment_id, _, _ = await pay_two(payments)
    await hold(payments, payment_id, amount=3000)
    asked = await payments.db.admin.fetchval("SELECT created_at FROM refunds")

    await time_passes(payments)

    seen = await payments.api.call("GET", f"/clients/{payments.client_id}/credit", payments.client)
    [refund] = seen.json()["refunds"]
    assert datetime.fromisoformat(refund["created_at"]) == asked


async def test_a_preview_is_what_is_posted_then(payments: PaymentService) -> None:
    payment_id, _, newer = await pay_two(payments)
    await set_hours(payments, 0, version=51)
    await put_rules(payments, approve_above=2000)

    small = await preview(payments, payment_id=str(payment_id), amount=2000)
    large = await preview(payments, payment_id=str(payment_id), amount=2001)
    refused = await preview(payments, payment_id=str(payment_id), amount=6501)
    answer = await refund_payment(payments, payment_id, amount=2000)

    [made], [planned] = answer.json()["refunds"], small["refunds"]
    assert (planned["amount"], planned["invoices"]) == (made["amount"], made["invoices"])
    assert [(each["invoice_id"], each["refunded"]["minor"]) for each in small["invoices"]] == [
        (str(newer), 2000)
    ]
    assert (small["awaits_approval"], large["awaits_approval"]) == (False, True)
    assert (answer.status_code, refused["code"]) == (201, "refund_too_large")


async def test_a_preview_does_not_count_what_the_bank_has_as_refunded(payments: PaymentService) -> None:
    """The invoice's `refunded` never counts a dispute: it stays paid until all that was paid is given back."""
    await payments.update_clinic(51, least_part=500)
    invoice = await payments.open_invoice(eur(50))
    kept = await payments.pay((invoice, eur(30)))
    await dispute(payments, await charge_of(payments, await payments.pay((invoice, eur(20)))))
    await payments.consume()

    part = await preview(payments, payment_id=str(kept), amount=1000)
    whole = await preview(payments, payment_id=str(kept))

    after = [
        (each["refunded"]["minor"], each["status"] == "refunded")
        for each in part["invoices"] + whole["invoices"]
    ]
    assert after == [(1000, False), (3000, False)]


async def test_credit_is_held_and_previewed_for_each_payment(payments: PaymentService) -> None:
    first, second = await leave_credit(payments), await leave_credit(payments)

    said = await preview(payments, client_id=str(payments.client_id), currency="EUR")
    answer = await request_refund(payments)

    assert {each["payment_id"] for each in said["refunds"]} == {str(first), str(second)}
    assert answer.status_code == 202
    held = answer.json()["held_acts"]
    assert {act["subject_id"] for act in held} == {str(first), str(second)}
    assert (await credit_of(payments))["balances"] == []
    assert (await undo(payments, held[0])).status_code == 200
    assert [each["minor"] for each in (await credit_of(payments))["balances"]] == [2500]
    await check_books(payments)
    await time_passes(payments)
    assert [each["amount"] for each in await at_stripe(payments)] == [2500]
    await check_books(payments)


async def test_a_refund_to_credit_is_held_and_becomes_credit(payments: PaymentService) -> None:
    payment_id, _, newer = await pay_two(payments)

    await hold(payments, payment_id, amount=1000, to="credit")
    before = (await credit_of(payments))["balances"]
    await time_passes(payments)

    assert (before, await moved(payments)) == ([], [(newer, "refund", -1000)])
    assert [each["minor"] for each in (await credit_of(payments))["balances"]] == [1000]
    assert await at_stripe(payments) == []
    await check_books(payments)


async def test_undone_the_money_is_what_it_was(payments: PaymentService) -> None:
    payment_id, _, _ = await pay_two(payments)
    act = await hold(payments, payment_id, amount=3000)

    undone, again = await undo(payments, act), await undo(payments, act)

    assert (undone.status_code, undone.json()["state"], again.json()) == (200, "undone", undone.json())
    assert await returned_of(payments) == {}
    assert await time_passes(payments) == 0
    assert await at_stripe(payments) == []
    seen = await payments.api.call("GET", f"/clients/{payments.client_id}/credit", payments.client)
    assert seen.json()["refunds"] == []
    await check_books(payments)
    await hold(payments, payment_id, amount=6500)


async def test_what_is_done_cannot_be_undone(payments: PaymentService) -> None:
    payment_id, _, _ = await pay_two(payments)
    act = await hold(payments, payment_id, amount=3000)
    await time_passes(payments)

    refused = await undo(payments, act)

    assert (refused.status_code, refused.json()["code"]) == (409, "already_done")


async def test_undo_at_the_moment_when_it_is_due_is_one_or_the_other(payments: PaymentService) -> None:
    payment_id, _, _ = await pay_two(payments)
    for _ in range(8):
        act = await hold(payments, payment_id, amount=100)
        before = len(await at_stripe(payments))

        answer, _worked = await asyncio.gather(undo(payments, act), time_passes(payments))
        await work(payments)

        sent = len(await at_stripe(payments)) - before
        assert (answer.status_code, sent) in ((200, 0), (409, 1))
    await check_books(payments)


async def test_presses_at_once_hold_no_more_than_was_paid(payments: PaymentService) -> None:
    payment_id, _, _ = await pay_two(payments)

    answers = await asyncio.gather(*(refund_payment(payments, payment_id, amount=3000) for _ in range(5)))

    assert sorted(answer.status_code for answer in answers) == [202, 202, 409, 409, 409]
    await check_books(payments)


async def test_the_same_key_is_one_refund_and_is_answered_as_it_is_by_now(payments: PaymentService) -> None:
    payment_id, _, _ = await pay_two(payments)
    key = str(new_id())

    first = await refund_payment(payments, payment_id, key=key, amount=100)
    again = await refund_payment(payments, payment_id, key=key, amount=100)
    await time_passes(payments)
    later = await refund_payment(payments, payment_id, key=key, amount=100)

    assert (again.status_code, again.json()) == (202, first.json())
    assert (later.status_code, later.json()["held_acts"][0]["state"]) == (202, "done")
    assert len(await at_stripe(payments)) == 1


async def test_a_refund_that_would_be_of_other_money_is_an_exception_that_a_person_does(
    payments: PaymentService,
) -> None:
    payment_id, older, newer = await pay_two(payments)
    act = await hold(payments, payment_id, amount=3000, on_behalf_of="Dr. Byrne")
    # Credited meanwhile: €20 of the older invoice are the client's credit, which a refund takes first.
    await deliver(payments.worker, consumers, payments.invoice(older, eur(20), 2, InvoiceUpdated))

    await time_passes(payments)

    [found] = await exceptions(payments)
    assert (found["kind"], found["subject_id"], found["cause"]) == (
        "refund_changed",
        act["id"],
        "posts_differ",
    )
    assert (await returned_of(payments), await at_stripe(payments)) == ({}, [])
    await check_books(payments)
    settled = await settle(payments, found, "do")
    await work(payments)
    assert settled.status_code == 200, settled.text
    assert await returned_of(payments) == {newer: 1000}
    [sent] = await at_stripe(payments)
    assert sent["amount"] == 3000
    rows = await payments.db.admin.fetch("SELECT status, on_behalf_of, act_id FROM refunds ORDER BY id")
    assert [tuple(row) for row in rows] == [
        ("canceled", "Dr. Byrne", UUID(act["id"])),
        ("pending", "Dr. Byrne", UUID(act["id"])),
    ]
    await check_books(payments)


async def test_a_refund_that_is_planned_again_has_its_own_money_for_it(payments: PaymentService) -> None:
    payment_id, older, _ = await pay_two(payments)
    await hold(payments, payment_id, amount=4000)
    await deliver(payments.worker, consumers, payments.invoice(older, eur(20), 2, InvoiceUpdated))

    await time_passes(payments)

    [found] = await exceptions(payments)
    assert found["cause"] == "posts_differ", "with €40 set aside, €25 are left beside it"


async def test_the_right_refund_is_done_when_the_wrong_one_before_it_is_undone(
    payments: PaymentService,
) -> None:
    payment_id, older, newer = await pay_two(payments)
    wrong = await hold(payments, payment_id, amount=2400)
    right = await hold(payments, payment_id, amount=3000)

    await undo(payments, wrong)
    await time_passes(payments)

    assert ends_of(await acts(payments, ended=True)) == {wrong["id"]: "undone", right["id"]: "done"}
    assert (await exceptions(payments), await returned_of(payments)) == ([], {newer: 100, older: 2900})
    assert [each["amount"] for each in await at_stripe(payments)] == [3000]
    await check_books(payments)


@pytest.mark.parametrize(
    ("currency", "paid"), [("EUR", 4000), ("JPY", 4000), ("KWD", 40_000), ("MGA", 900_000)]
)
async def test_refunds_of_one_payment_do_not_change_each_other(
    payments: PaymentService, currency: str, paid: int
) -> None:
    await payments.update_clinic(51, currency=currency, undo_hours=HOURS)
    owed = [(await payments.open_invoice(money(paid, currency)), money(paid, currency)) for _ in range(2)]
    payment_id = await payments.pay(*owed)

    held = [
        await hold(payments, payment_id, amount=amount, to=to)
        for amount, to in ((1003, "credit"), (1000, "method"), (paid, "method"))
    ]
    await leave_credit(payments, money(paid, currency))
    await time_passes(payments)

    assert ends_of(await acts(payments, ended=True)) == {act["id"]: "done" for act in held}
    assert await exceptions(payments) == []
    assert len(await at_stripe(payments)) == 2
    await check_books(payments)


def ends_of(ended: Any) -> dict[str, str]:
    return {act["id"]: act["state"] for act in ended}


async def test_the_preview_of_an_approved_refund_is_what_was_set_aside(payments: PaymentService) -> None:
    payment_id, older, newer = await pay_two(payments)
    await put_rules(payments, approve_above=1000)
    await deliver(payments.worker, consumers, payments.invoice(older, eur(35), 2, InvoiceUpdated))
    [made] = (await refund(payments, staff(payments), payment_id, amount=2000)).json()["refunds"]
    # More of the payment is credit by now: a new plan would take all of it from there.
    await deliver(payments.worker, consumers, payments.invoice(older, eur(20), 3, InvoiceUpdated))

    await decide(payments, staff(payments), made)
    [act] = await acts(payments)
    await time_passes(payments)

    [planned] = act["preview"]["refunds"]
    assert planned["invoices"] == made["invoices"]
    assert [each["invoice_id"] for each in planned["invoices"]] == [str(newer)]
    assert (await returned_of(payments), await exceptions(payments)) == ({newer: 1500}, [])
    await check_books(payments)


async def test_an_old_exception_can_still_be_done(payments: PaymentService) -> None:
    payment_id, older, _ = await pay_two(payments)
    await hold(payments, payment_id, amount=3000)
    await deliver(payments.worker, consumers, payments.invoice(older, eur(20), 2, InvoiceUpdated))
    await time_passes(payments)
    [found] = await exceptions(payments)
    await payments.db.admin.execute("UPDATE held_acts SET ended_at = ended_at - interval '401 days'")

    kept = await delete_old(payments.worker.worker_tx, RULES)
    done = await settle(payments, found, "do")
    await payments.db.admin.execute("UPDATE held_acts SET ended_at = ended_at - interval '401 days'")
    deleted = await delete_old(payments.worker.worker_tx, RULES)

    assert (kept, done.status_code, deleted) == (0, 200, 1), done.text


async def test_what_comes_back_by_undo_where_less_is_due_becomes_credit(payments: PaymentService) -> None:
    payment_id, _, newer = await pay_two(payments)
    act = await hold(payments, payment_id, amount=2500)
    await deliver(payments.worker, consumers, payments.invoice(newer, eur(5), 2, InvoiceUpdated))

    assert (await undo(payments, act)).status_code == 200
    await work(payments)

    assert [each["minor"] for each in (await credit_of(payments))["balances"]] == [2000]
    assert await movements(payments, newer) == [("payment", 2500), ("credit", -2000)]
    await check_books(payments)


@pytest.mark.parametrize("found_by", ["webhook", "sweep"])
async def test_a_dispute_cancels_what_is_held(payments: PaymentService, found_by: str) -> None:
    payment_id, _, newer = await pay_two(payments)
    charge = await charge_of(payments, payment_id)
    if found_by == "sweep":
        asked = await dispute(payments, charge, amount=6500, status="warning_needs_response")
        await payments.consume()
        act = await hold(payments, payment_id, amount=3000)
        await end(payments, asked["id"], "escalated")
        await sweep_disputes(payments)
    else:
        act = await hold(payments, payment_id, amount=3000)
        await dispute(payments, charge, amount=6500)
        await payments.consume()

    [ended] = await acts(payments, ended=True)
    assert (ended["id"], ended["state"], ended["reason"]) == (act["id"], "canceled", "disputed")
    assert await time_passes(payments) == 0
    assert await at_stripe(payments) == []
    taken = await payments.db.admin.fetchval("SELECT sum(taken_amount)::int FROM dispute_shares")
    assert taken == 6500
    assert (await undo(payments, act)).json()["code"] == "not_held"
    assert newer in await returned_of(payments)
    await check_books(payments)


@pytest.mark.parametrize("hours", [0, HOURS])
async def test_to_credit_is_refused_alike_held_or_not_and_by_its_preview(
    payments: PaymentService, hours: int
) -> None:
    payment_id, _, _ = await pay_two(payments)
    await set_hours(payments, hours, version=51)
    await dispute(payments, await charge_of(payments, payment_id), amount=2000)
    await payments.consume()

    said = await preview(payments, payment_id=str(payment_id), to="credit")
    refused = await refund_payment(payments, payment_id, to="credit")

    assert (said["code"], refused.status_code, refused.json()["code"]) == (
        "charge_disputed",
        409,
        "charge_disputed",
    )
    assert (await credit_of(payments))["balances"] == []


async def test_an_inquiry_cancels_nothing(payments: PaymentService) -> None:
    payment_id, _, _ = await pay_two(payments)
    await hold(payments, payment_id, amount=3000)

    await dispute(
        payments, await charge_of(payments, payment_id), amount=6500, status="warning_needs_response"
    )
    await payments.consume()
    await time_passes(payments)

    assert [each["amount"] for each in await at_stripe(payments)] == [3000]


@pytest.mark.parametrize("to", ["credit", "method"])
@pytest.mark.parametrize("elsewhere", [6500, 4000])
async def test_a_refund_at_stripe_of_the_same_money_cancels_what_is_held(
    payments: PaymentService, to: str, elsewhere: int
) -> None:
    payment_id, _, _ = await pay_two(payments)
    act = await hold(payments, payment_id, amount=3000, to=to)

    await dashboard(payments, elsewhere)
    await heard(payments, "webhook")

    [ended] = await acts(payments, ended=True)
    assert (ended["id"], ended["state"], ended["reason"]) == (act["id"], "canceled", "refunded_at_stripe")
    assert (await exceptions(payments), await time_passes(payments)) == ([], 0)
    assert [each["amount"] for each in await at_stripe(payments)] == [elsewhere]
    assert ((await credit_of(payments))["balances"], sum((await returned_of(payments)).values())) == (
        [],
        elsewhere,
    )
    await check_books(payments)


async def test_a_refund_at_stripe_that_leaves_enough_cancels_nothing(payments: PaymentService) -> None:
    payment_id, _, _ = await pay_two(payments)
    await hold(payments, payment_id, amount=3000)

    await dashboard(payments, 3500)
    await heard(payments, "webhook")
    await time_passes(payments)

    assert sorted(each["amount"] for each in await at_stripe(payments)) == [3000, 3500]
    assert await exceptions(payments) == []
    await check_books(payments)


async def test_a_refund_at_stripe_cancels_what_waits_for_approval(payments: PaymentService) -> None:
    payment_id, _, _ = await pay_two(payments)
    await put_rules(payments, approve_above=1000)
    [made] = (await refund(payments, staff(payments), payment_id, to="credit")).json()["refunds"]

    await dashboard(payments, 6500)
    await heard(payments, "webhook")

    assert (await decide(payments, staff(payments), made)).json()["code"] == "not_awaiting_approval"
    assert (await credit_of(payments))["balances"] == []
    assert (await exceptions(payments), sum((await returned_of(payments)).values())) == ([], 6500)
    await check_books(payments)


async def test_a_refund_is_approved_first_and_then_held(payments: PaymentService) -> None:
    payment_id, _, newer = await pay_two(payments)
    one, other = staff(payments), staff(payments)
    await put_rules(payments, approve_above=1000)

    asked = await refund(payments, one, payment_id, amount=2000)
    [made] = asked.json()["refunds"]
    nothing = await acts(payments)
    approved, again = await decide(payments, other, made), await decide(payments, other, made)
    [act] = await acts(payments)

    assert (asked.status_code, made["status"], nothing) == (201, "awaiting_approval", [])
    assert (approved.json()["refunds"][0]["status"], again.json()) == ("held", approved.json())
    assert (act["subject_id"], await returned_of(payments)) == (str(payment_id), {newer: 2000})
    assert (await decide(payments, one, made, approved=False)).json()["code"] == "not_awaiting_approval"
    await check_books(payments)
    await time_passes(payments)
    [row] = await payments.db.admin.fetch("SELECT made_by, approved_by, status FROM refunds")
    assert tuple(row) == (one.subject, other.subject, "pending")
    assert [each["amount"] for each in await at_stripe(payments)] == [2000]
    await check_books(payments)


async def test_held_refunds_count_as_given(payments: PaymentService) -> None:
    payment_id, _, _ = await pay_two(payments)
    one = staff(payments)
    await put_rules(payments, most_a_day=1)

    first = await refund(payments, one, payment_id, amount=100)
    second = await refund(payments, one, payment_id, amount=100)
    await undo(payments, first.json()["held_acts"][0])
    third = await refund(payments, one, payment_id, amount=100)

    assert (first.status_code, second.json()["code"], third.status_code) == (
        202,
        "refund_limit_reached",
        202,
    )


async def test_a_changed_refund_that_is_done_after_all_counts_as_one_more(payments: PaymentService) -> None:
    payment_id, older, _ = await pay_two(payments)
    one = staff(payments)
    await put_rules(payments, most_a_day=1)
    await refund(payments, one, payment_id, amount=3000)
    await deliver(payments.worker, consumers, payments.invoice(older, eur(20), 2, InvoiceUpdated))
    await time_passes(payments)
    [found] = await exceptions(payments)
    second = await refund(payments, one, payment_id, amount=100)

    too_many = await settle(payments, found, "do")
    await undo(payments, second.json()["held_acts"][0])
    done = await settle(payments, found, "do")

    assert (second.status_code, too_many.status_code, too_many.json()["code"]) == (
        202,
        409,
        "refund_limit_reached",
    )
    assert done.status_code == 200, done.text
    assert (await refund(payments, one, payment_id, amount=100)).json()["code"] == "refund_limit_reached"
    await check_books(payments)


async def test_a_held_refund_counts_from_when_it_was_asked_for(payments: PaymentService) -> None:
    payment_id, _, _ = await pay_two(payments)
    one = staff(payments)
    await put_rules(payments, most_a_day=1)
    await refund(payments, one, payment_id, amount=100)
    await age_refunds(payments, timedelta(hours=23))
    await time_passes(payments)

    at_the_limit = await refund(payments, one, payment_id, amount=100)
    await payments.db.admin.execute("UPDATE refunds SET asked_at = asked_at - interval '1 hour 1 second'")
    a_day_later = await refund(payments, one, payment_id, amount=100)

    assert (at_the_limit.json()["code"], a_day_later.status_code) == ("refund_limit_reached", 202)


async def test_without_hours_it_is_sent_at_once(payments: PaymentService) -> None:
    payment_id, _, _ = await pay_two(payments)
    await set_hours(payments, 0, version=51)

    answer = await refund_payment(payments, payment_id, amount=100)

    assert (answer.status_code, answer.json()["refunds"][0]["status"]) == (201, "pending")
    assert await payments.db.admin.fetchval("SELECT count(*) FROM held_acts") == 0
