"""Credit goes back to the payment that left it: once, never more, by staff alone."""

import asyncio
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from services.chassis.ids import new_id
from services.payment.refunds import reemit as refunds_reemit
from services.payment.refunds.store import JOINED, REFUND
from tests.builders.callers import a_caller
from tests.builders.values import eur, money
from tests.running.payment import PaymentService
from tests.running.refunds import (
    CREDIT,
    PAID,
    SENT,
    WAITS,
    at_stripe,
    credit_of,
    leave_credit,
    pay_what_changed,
    refund_events,
    request_refund,
    send_refund,
    staff,
)


async def test_one_click_sends_the_credit_back_to_the_card_it_came_from(payments: PaymentService) -> None:
    payment_id = await leave_credit(payments)
    before = await credit_of(payments)

    answer = await request_refund(payments)
    await payments.hook.until("refund.created")
    await payments.consume()

    assert before["refundable"] == before["balances"] == [{"minor": 2500, "currency": "EUR"}]
    assert [each["payment_id"] for each in before["payments"]] == [str(payment_id)]
    [made] = answer.json()["refunds"]
    assert (answer.status_code, made["status"], made["amount"]["minor"]) == (201, "pending", 2500)
    after = await credit_of(payments)
    assert (after["balances"], after["payments"]) == ([], [])
    assert [each["status"] for each in after["refunds"]] == ["succeeded"]
    assert await payments.books() == SENT
    [published] = await refund_events(payments)
    assert (published.refund_id, published.payment_id, published.client_id) == (
        UUID(made["id"]),
        payment_id,
        payments.client_id,
    )
    assert published.amount == CREDIT
    assert published.method is not None
    assert published.method.last4 == "4242"
    seen = await payments.api.call("GET", f"/clients/{payments.client_id}/credit", payments.client)
    assert [each["id"] for each in seen.json()["refunds"]] == [made["id"]]
    assert (await payments.api.call("GET", "/credit", payments.client)).json() == []


async def test_twenty_presses_at_once_make_one_refund(payments: PaymentService) -> None:
    await leave_credit(payments)

    answers = await asyncio.gather(*(request_refund(payments) for _ in range(20)))

    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 19]
    assert {answer.json().get("code") for answer in answers} == {None, "nothing_to_refund"}
    assert [each["amount"] for each in await at_stripe(payments)] == [2500]
    assert await payments.books() == WAITS


async def test_one_key_is_one_refund_however_often_it_is_sent(payments: PaymentService) -> None:
    await leave_credit(payments)

    answers = await asyncio.gather(*(request_refund(payments, "k", amount=1000) for _ in range(5)))
    other = await request_refund(payments, "k", amount=500)
    without = await payments.api.call(
        "POST", "/refunds", staff(payments), json={"client_id": str(payments.client_id), "currency": "EUR"}
    )

    assert {answer.status_code for answer in answers} == {201}
    assert len({each["id"] for answer in answers for each in answer.json()["refunds"]}) == 1
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert without.status_code == 400
    assert [each["amount"] for each in await at_stripe(payments)] == [1000]


async def test_no_more_goes_back_than_a_payment_left(payments: PaymentService) -> None:
    small = await pay_what_changed(payments, eur(40), eur(30))
    large = await leave_credit(payments)

    too_much = await request_refund(payments, payment_id=str(small), amount=1001)
    await request_refund(payments, payment_id=str(small), amount=400)
    still_too_much = await request_refund(payments, amount=3101)
    rest = await request_refund(payments)

    assert (too_much.status_code, too_much.json()["code"]) == (409, "refund_too_large")
    assert too_much.json()["refundable"] == {"minor": 1000, "currency": "EUR"}
    assert still_too_much.json()["refundable"] == {"minor": 3100, "currency": "EUR"}
    parts = {each["payment_id"]: each["amount"]["minor"] for each in rest.json()["refunds"]}
    assert parts == {str(small): 600, str(large): 2500}
    charged = {intent["id"]: intent["amount"] for intent in await payments.intents()}
    back: dict[str, int] = {}
    for each in await at_stripe(payments):
        back[each["payment_intent"]] = back.get(each["payment_intent"], 0) + each["amount"]
    assert sorted((charged[intent], amount) for intent, amount in back.items()) == [
        (2500, 2500),
        (4000, 1000),
    ]
    assert (await request_refund(payments)).json()["code"] == "nothing_to_refund"


async def test_only_staff_refund_and_only_their_own_clinics_clients(payments: PaymentService) -> None:
    payment_id = await leave_credit(payments)
    elsewhere, other_client = a_caller("staff", new_id()), str(new_id())

    assert (await request_refund(payments, caller=payments.client)).status_code == 403
    assert (await request_refund(payments, caller=elsewhere)).json()["code"] == "client_not_found"
    assert (await request_refund(payments, client_id=other_client)).json()["code"] == "client_not_found"
    assert (await request_refund(payments, payment_id=str(new_id()))).json()["code"] == "payment_not_found"
    assert (await request_refund(payments, payment_id=str(payment_id), currency="USD")).json()[
        "code"
    ] == "nothing_to_refund"
    assert (await request_refund(payments, amount=0)).status_code == 400
    for stranger in (elsewhere, a_caller("client", payments.clinic_id)):
        seen = await payments.api.call("GET", f"/clients/{payments.client_id}/credit", stranger)
        assert seen.json()["code"] == "client_not_found"
    assert await at_stripe(payments) == []
    assert await payments.books() == PAID


async def test_no_connection_is_held_while_stripe_is_called(
    payments: PaymentService, monkeypatch: pytest.MonkeyPatch
) -> None:
    await leave_credit(payments)
    held: list[int] = []
    real = type(payments.stripe).create_refund

    async def watched(self: Any, refund: Any, **how: bool) -> Any:
        rows = await payments.db.admin.fetch(
            "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
        )
        held.append(len(rows))
        assert await payments.books() == WAITS
        return await real(self, refund, **how)

    monkeypatch.setattr(type(payments.stripe), "create_refund", watched)
    assert (await request_refund(payments)).status_code == 201
    assert held == [0]


async def test_each_press_leaves_one_line_in_the_audit_log(payments: PaymentService) -> None:
    await leave_credit(payments)
    who = staff(payments)

    await request_refund(payments, "k", who)
    await request_refund(payments, "k", who)
    await request_refund(payments)

    rows = await payments.db.admin.fetch("SELECT actor, role, action, subject_id FROM audit")
    assert [tuple(row) for row in rows] == [(who.subject, "staff", "refund_credit", payments.client_id)]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO entries SELECT clinic_id, gen_random_uuid(), payment_id, 'pi_x', 'capture', now() FROM entries",
        "INSERT INTO entries SELECT clinic_id, gen_random_uuid(), payment_id, 'r', 'refund_paid', now() FROM entries",
        "INSERT INTO postings SELECT clinic_id, entry_id, 9, 'stripe', NULL, NULL, -1, 'EUR' FROM postings",
        "UPDATE postings SET amount = 1",
        "DELETE FROM refunds",
    ],
)
async def test_the_api_role_books_no_money_that_stripe_gave_or_took(
    payments: PaymentService, statement: str
) -> None:
    await leave_credit(payments)

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with payments.db.api.tx(payments.clinic_id) as tx:
            await tx.execute(statement)


async def test_a_refund_is_said_again_under_its_own_id(payments: PaymentService) -> None:
    await send_refund(payments)
    await payments.consume()
    published = await refund_events(payments)

    rows = await payments.db.admin.fetch(f"SELECT {REFUND} FROM {JOINED}")

    assert [event for row in rows for event in refunds_reemit.refund_events(row)] == [
        event.model_copy(update={"traceparent": None}) for event in published
    ]


async def test_yen_go_back_as_stripe_counts_them(payments: PaymentService) -> None:
    await leave_credit(payments, money(500, "JPY"))

    [made] = (await request_refund(payments, currency="JPY")).json()["refunds"]

    assert made["amount"] == {"minor": 500, "currency": "JPY"}
    assert [(each["amount"], each["currency"]) for each in await at_stripe(payments)] == [(500, "jpy")]
