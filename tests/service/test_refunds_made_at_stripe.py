"""A refund that was made in Stripe's dashboard is booked like ours, however it is heard of; else it is an exception."""

import asyncio
from datetime import timedelta
from uuid import UUID

import httpx2
import pytest

from contracts.events.invoice import InvoiceUpdated
from contracts.money import Money
from deploy.ops.verify.run import verify
from services.chassis import clock
from services.chassis.ids import new_id
from services.chassis.queue.domain import Done, Outcome, Task
from services.chassis.queue.working import Worker
from services.payment import consumers
from services.payment.refunds import made_at_stripe
from services.payment.refunds import sweep as refunds_sweep
from tests.builders.events import deliver
from tests.builders.values import eur, money
from tests.running.installation import Installation
from tests.running.payment import PaymentService
from tests.running.refunds import (
    age_refunds,
    at_stripe,
    credit_of,
    refund_events,
    refund_payment,
    staff,
    sweep,
)
from tests.service.test_payment_refunds_paid import check_books, moved, pay_two, returned_of
from tests.service.waiting import until_waiting


async def dashboard(payments: PaymentService, amount: int, **more: str) -> str:
    """Somebody refunds the newest payment in Stripe's dashboard: without our metadata."""
    intent = (await payments.intents())[0]["id"]
    headers = {"Authorization": f"Bearer {payments.sandbox.secret_key}"}
    async with httpx2.AsyncClient(base_url=payments.sandbox.url, headers=headers, trust_env=False) as stripe:
        body = {"payment_intent": intent, "amount": str(amount), **more}
        made = await stripe.post("/v1/refunds", data=body)
    assert made.status_code == 200, made.text
    refund: str = made.json()["id"]
    return refund


async def compare(payments: PaymentService) -> int:
    """Do the tasks that are due, as the worker does."""
    return await Worker(
        payments.worker, [refunds_sweep.comparing(payments.worker, payments.stripe)]
    ).work_due()


async def heard(payments: PaymentService, how: str) -> None:
    """The refund is heard of by its webhook, or by the list of the account's refunds."""
    await payments.hook.until("refund.created")
    if how == "webhook":
        await payments.consume()
    else:
        await list_refunds(payments)
    await compare(payments)


async def list_refunds(payments: PaymentService) -> None:
    await payments.db.admin.execute("INSERT INTO account_states (account) VALUES ('') ON CONFLICT DO NOTHING")
    await payments.db.admin.execute("UPDATE account_states SET refunds_listed_at = '-infinity'")
    await refunds_sweep.list_refunds(payments.worker, payments.stripe)


async def exceptions(payments: PaymentService) -> list[tuple[str, str]]:
    rows = await payments.db.admin.fetch("SELECT kind, cause FROM exceptions")
    return [(row["kind"], row["cause"]) for row in rows]


@pytest.mark.parametrize("how", ["webhook", "list"])
async def test_it_is_booked_like_ours(payments: PaymentService, how: str) -> None:
    payment_id, older, newer = await pay_two(payments)
    await dashboard(payments, 3000)

    await heard(payments, how)

    assert await returned_of(payments) == {newer: 2500, older: 500}
    assert sorted(await moved(payments)) == sorted([(newer, "refund", -2500), (older, "refund", -500)])
    [refund] = (await credit_of(payments))["refunds"]
    assert (refund["made_at"], refund["status"], refund["amount"]["minor"]) == ("stripe", "succeeded", 3000)
    assert [event.amount.minor for event in await refund_events(payments)] == [3000]
    too_much = await refund_payment(payments, payment_id, amount=3501)
    assert (too_much.json()["code"], too_much.json()["refundable"]["minor"]) == ("refund_too_large", 3500)
    await check_books(payments)


async def test_it_is_booked_once_however_often_and_by_whom_it_is_heard_of(payments: PaymentService) -> None:
    await pay_two(payments)
    await dashboard(payments, 1000)
    await dashboard(payments, 500)
    await payments.hook.until("refund.created", 2)
    await payments.consume()
    await list_refunds(payments)

    await asyncio.gather(*(compare(payments) for _ in range(4)))
    await list_refunds(payments)

    assert await compare(payments) == 0
    assert sorted(event.amount.minor for event in await refund_events(payments)) == [500, 1000]
    await check_books(payments)


async def test_two_who_compare_at_once_book_it_once_and_neither_fails(payments: PaymentService) -> None:
    payment_id, _, _ = await pay_two(payments)
    await dashboard(payments, 1000)
    now = clock.now()
    payload, kind = {"payment_id": str(payment_id)}, made_at_stripe.TASK
    task = Task(payments.clinic_id, kind, new_id(), payload, None, 0, now, None, timedelta(0))
    handler = refunds_sweep.comparing(payments.worker, payments.stripe)

    async def compared() -> Outcome:
        return await handler.call(task)

    async with payments.db.admin.acquire() as other, other.transaction():
        await other.execute("SELECT FROM payables FOR UPDATE")
        two = [asyncio.create_task(compared()) for _ in range(2)]
        await until_waiting(payments.db, *two)

    assert await asyncio.gather(*two) == [Done(), Done()]
    assert [event.amount.minor for event in await refund_events(payments)] == [1000]


async def test_a_list_that_did_not_come_is_read_again_at_the_next_run(payments: PaymentService) -> None:
    await pay_two(payments)
    await dashboard(payments, 1000)
    await payments.sandbox.control(
        "POST", "/faults/api", {"kind": "500_before", "method": "GET", "path": "/v1/refunds", "count": 9}
    )
    await list_refunds(payments)
    unheard = await refund_events(payments)
    await payments.sandbox.control("DELETE", "/faults")

    await refunds_sweep.list_refunds(payments.worker, payments.stripe)
    await compare(payments)

    assert unheard == []
    assert [event.amount.minor for event in await refund_events(payments)] == [1000]


async def test_its_failure_is_heard_of_and_settles_the_invoice_again(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(40))
    await payments.pay((invoice, eur(40)))
    refund = await dashboard(payments, 1500)
    await heard(payments, "webhook")
    before = await returned_of(payments)

    await payments.sandbox.control(
        "POST", f"/accounts/platform/refunds/{refund}/settle", {"outcome": "failed"}
    )
    await age_refunds(payments, timedelta(days=2))
    await sweep(payments)

    assert before == {invoice: 1500}
    assert await returned_of(payments) == {}
    assert [amount for _, _, amount in await moved(payments)] == [-1500, 1500]
    await check_books(payments)


async def test_one_that_failed_before_it_was_heard_of_is_nothing(payments: PaymentService) -> None:
    await pay_two(payments)
    refund = await dashboard(payments, 1500)
    await payments.sandbox.control(
        "POST", f"/accounts/platform/refunds/{refund}/settle", {"outcome": "failed"}
    )

    await heard(payments, "webhook")

    assert (await credit_of(payments))["refunds"] == []
    assert await exceptions(payments) == []
    await check_books(payments)


async def test_what_is_more_than_is_left_is_an_exception_once(payments: PaymentService) -> None:
    """The clinic made the payment credit here, the client spent it, and somebody sent the money back at Stripe."""
    payment_id, _, _ = await pay_two(payments)
    await refund_payment(payments, payment_id, amount=6000, to="credit")
    await payments.db.admin.execute("UPDATE credit_balances SET amount = 0")
    await dashboard(payments, 501)

    await heard(payments, "webhook")
    await heard(payments, "list")

    assert await exceptions(payments) == [("refund_at_stripe", "refund_too_large")]
    [listed] = (await payments.api.call("GET", "/exceptions", staff(payments))).json()["items"]
    await payments.db.admin.execute("UPDATE credit_balances SET amount = 6000")
    settle = {"how": "compare"}
    path = f"/exceptions/{listed['id']}/settle"
    assert (await payments.api.call("POST", path, staff(payments), json=settle)).status_code == 200
    assert await compare(payments) == 1
    made = (await credit_of(payments))["refunds"]
    assert sorted((each["made_at"], each["status"]) for each in made) == [
        ("clinicpay", "succeeded"),
        ("stripe", "succeeded"),
    ]


async def test_what_a_person_dismissed_is_not_told_again(payments: PaymentService) -> None:
    payment_id, _, _ = await pay_two(payments)
    await refund_payment(payments, payment_id, to="credit")
    await payments.db.admin.execute("UPDATE credit_balances SET amount = 0")
    await dashboard(payments, 501)
    await heard(payments, "webhook")
    [listed] = (await payments.api.call("GET", "/exceptions", staff(payments))).json()["items"]
    path = f"/exceptions/{listed['id']}/settle"
    await payments.api.call("POST", path, staff(payments), json={"how": "dismiss"})

    await heard(payments, "list")

    assert len(await exceptions(payments)) == 1


async def test_our_own_and_those_of_others_are_left_alone(payments: PaymentService) -> None:
    payment_id, _, _ = await pay_two(payments)
    await refund_payment(payments, payment_id, amount=1000)
    await payments.hook.until("refund.created")

    await list_refunds(payments)

    assert await compare(payments) == 0
    assert len(await at_stripe(payments)) == 1
    assert await payments.db.admin.fetchval("SELECT count(*) FROM refunds") == 1


async def test_a_copied_seal_of_a_refund_is_booked_as_made_at_stripe(payments: PaymentService) -> None:
    """The dashboard's refund carries metadata that somebody typed: the money went all the same."""
    await pay_two(payments)
    await dashboard(
        payments, 700, **{"metadata[installation]": "elsewhere", "metadata[refund_id]": str(UUID(int=5))}
    )

    await heard(payments, "webhook")

    [refund] = (await credit_of(payments))["refunds"]
    assert (refund["made_at"], refund["amount"]["minor"]) == ("stripe", 700)
    await check_books(payments)


async def test_verify_finds_nothing_once_it_is_booked(installation: Installation) -> None:
    payments = installation.payments
    invoice = await installation.open_invoice(4_000)
    await installation.pay((invoice, money(4_000)))
    already = payments.hook.count("refund.created")
    await dashboard(payments, 1_500)
    await payments.hook.until("refund.created", already + 1)
    before = await verify(installation.access, wait=0)
    await payments.consume()
    await compare(payments)
    await installation.pump()
    shown = await installation.world.get(f"/invoices/{invoice}")
    report = await verify(installation.access, wait=0)

    assert {breach.check for breach in before.breaches} == {"refunds_at_stripe_are_booked"}
    assert (shown["refunded"]["minor"], shown["status"]) == (1_500, "paid")
    assert not report.breaches, str(report)


async def test_what_stripe_refunded_and_we_could_not_book_becomes_no_credit(payments: PaymentService) -> None:
    payment_id, older, newer = await pay_two(payments)
    await use_all_credit(payments, older, due=eur(20))
    await dashboard(payments, 6500)
    await heard(payments, "webhook")
    [(kind, _)] = await exceptions(payments)
    asked = {"payment_id": str(payment_id), "amount": 3000, "to": "credit"}

    said = await payments.api.call("POST", "/refunds/preview", staff(payments), json=asked)
    refused = await refund_payment(payments, payment_id, amount=3000, to="credit")
    await payments.db.admin.execute(
        "UPDATE exceptions SET settled_at = app_now(), settled_by = $1, settled_how = 'dismiss'", new_id()
    )
    dismissed = await refund_payment(payments, payment_id, amount=1, to="credit")

    assert (kind, said.json()["code"]) == ("refund_at_stripe", "refunded_at_stripe")
    assert (refused.status_code, refused.json()["code"]) == (409, "refunded_at_stripe")
    assert refused.json()["refundable"] == {"minor": 0, "currency": "EUR"}
    assert dismissed.json()["code"] == "refunded_at_stripe"
    assert (await credit_of(payments))["balances"] == []
    assert newer not in await returned_of(payments)
    await check_books(payments)


async def use_all_credit(payments: PaymentService, paid: UUID, *, due: Money) -> None:
    """Less is due of a paid invoice, and another one is paid with the credit that this leaves."""
    await deliver(payments.worker, consumers, payments.invoice(paid, due, 2, InvoiceUpdated))
    await payments.open_invoice(eur(20))
    used = await payments.api.call(
        "POST",
        "/credit/uses",
        staff(payments),
        json={"client_id": str(payments.client_id), "currency": "EUR"},
        headers={"Idempotency-Key": str(new_id())},
    )
    assert used.status_code == 201, used.text
