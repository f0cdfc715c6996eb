"""Credit goes back to the payment that left it: once, never more, by staff alone."""

import asyncio
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from contracts.invoice import InvoiceUpdated
from deploy.ops import reemit
from services.chassis.ids import new_id
from services.payment import consumers
from services.payment.refunds.store import JOINED, REFUND
from tests.builders.callers import a_caller
from tests.builders.events import deliver
from tests.builders.values import eur, money
from tests.running.payment import Desk
from tests.running.refunds import (
    CREDIT,
    PAID,
    SENT,
    WAITS,
    at_stripe,
    credit_of,
    leaves_credit,
    press,
    refunds_said,
    staff,
)


async def test_one_click_sends_the_credit_back_to_the_card_it_came_from(desk: Desk) -> None:
    payment_id = await leaves_credit(desk)
    before = await credit_of(desk)

    answer = await press(desk)
    await desk.hook.until("refund.created")
    await desk.hear()

    assert before["refundable"] == before["balances"] == [{"minor": 2500, "currency": "EUR"}]
    assert [each["payment_id"] for each in before["payments"]] == [str(payment_id)]
    [made] = answer.json()["refunds"]
    assert (answer.status_code, made["status"], made["amount"]["minor"]) == (201, "pending", 2500)
    after = await credit_of(desk)
    assert (after["balances"], after["payments"]) == ([], [])
    assert [each["status"] for each in after["refunds"]] == ["succeeded"]
    assert await desk.books() == SENT
    [said] = await refunds_said(desk)
    assert (said.refund_id, said.payment_id, said.client_id) == (UUID(made["id"]), payment_id, desk.client_id)
    assert said.amount == CREDIT
    assert said.method is not None
    assert said.method.last4 == "4242"
    seen = await desk.api.call("GET", f"/clients/{desk.client_id}/credit", desk.client)
    assert [each["id"] for each in seen.json()["refunds"]] == [made["id"]]
    assert (await desk.api.call("GET", "/credit", desk.client)).json() == []


async def test_twenty_presses_at_once_make_one_refund(desk: Desk) -> None:
    await leaves_credit(desk)

    answers = await asyncio.gather(*(press(desk) for _ in range(20)))

    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 19]
    assert {answer.json().get("code") for answer in answers} == {None, "nothing_to_refund"}
    assert [each["amount"] for each in await at_stripe(desk)] == [2500]
    assert await desk.books() == WAITS


async def test_one_key_is_one_refund_however_often_it_is_sent(desk: Desk) -> None:
    await leaves_credit(desk)

    answers = await asyncio.gather(*(press(desk, "k", amount=1000) for _ in range(5)))
    other = await press(desk, "k", amount=500)
    without = await desk.api.call(
        "POST", "/refunds", staff(desk), json={"client_id": str(desk.client_id), "currency": "EUR"}
    )

    assert {answer.status_code for answer in answers} == {201}
    assert len({each["id"] for answer in answers for each in answer.json()["refunds"]}) == 1
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert without.status_code == 400
    assert [each["amount"] for each in await at_stripe(desk)] == [1000]


async def test_no_more_goes_back_than_a_payment_left(desk: Desk) -> None:
    invoice = await desk.owes(eur(40))
    started = await desk.start((invoice, eur(40)))
    await deliver(desk.worker, consumers, desk.invoice(invoice, eur(30), 2, InvoiceUpdated))
    await desk.confirm(started)
    await desk.hook.until("payment_intent.succeeded")
    await desk.hear()
    small = UUID(started.json()["payment_id"])
    large = await leaves_credit(desk)

    too_much = await press(desk, payment_id=str(small), amount=1001)
    await press(desk, payment_id=str(small), amount=400)
    still_too_much = await press(desk, amount=3101)
    rest = await press(desk)

    assert (too_much.status_code, too_much.json()["code"]) == (409, "refund_too_large")
    assert too_much.json()["refundable"] == {"minor": 1000, "currency": "EUR"}
    assert still_too_much.json()["refundable"] == {"minor": 3100, "currency": "EUR"}
    parts = {each["payment_id"]: each["amount"]["minor"] for each in rest.json()["refunds"]}
    assert parts == {str(small): 600, str(large): 2500}
    charged = {intent["id"]: intent["amount"] for intent in await desk.intents()}
    back: dict[str, int] = {}
    for each in await at_stripe(desk):
        back[each["payment_intent"]] = back.get(each["payment_intent"], 0) + each["amount"]
    assert sorted((charged[intent], amount) for intent, amount in back.items()) == [
        (2500, 2500),
        (4000, 1000),
    ]
    assert (await press(desk)).json()["code"] == "nothing_to_refund"


async def test_only_staff_refund_and_only_their_own_clinics_clients(desk: Desk) -> None:
    payment_id = await leaves_credit(desk)
    elsewhere, other_client = a_caller("staff", new_id()), str(new_id())

    assert (await press(desk, caller=desk.client)).status_code == 403
    assert (await press(desk, caller=elsewhere)).json()["code"] == "client_not_found"
    assert (await press(desk, client_id=other_client)).json()["code"] == "client_not_found"
    assert (await press(desk, payment_id=str(new_id()))).json()["code"] == "payment_not_found"
    assert (await press(desk, payment_id=str(payment_id), currency="USD")).json()[
        "code"
    ] == "nothing_to_refund"
    assert (await press(desk, amount=0)).status_code == 400
    for stranger in (elsewhere, a_caller("client", desk.clinic_id)):
        seen = await desk.api.call("GET", f"/clients/{desk.client_id}/credit", stranger)
        assert seen.json()["code"] == "client_not_found"
    assert await at_stripe(desk) == []
    assert await desk.books() == PAID


async def test_no_connection_is_held_while_stripe_is_called(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await leaves_credit(desk)
    held: list[int] = []
    real = type(desk.stripe).create_refund

    async def watched(self: Any, refund: Any, **how: bool) -> Any:
        rows = await desk.db.admin.fetch(
            "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
        )
        held.append(len(rows))
        assert await desk.books() == WAITS
        return await real(self, refund, **how)

    monkeypatch.setattr(type(desk.stripe), "create_refund", watched)
    assert (await press(desk)).status_code == 201
    assert held == [0]


async def test_each_press_leaves_one_line_in_the_audit_log(desk: Desk) -> None:
    await leaves_credit(desk)
    who = staff(desk)

    await press(desk, "k", who)
    await press(desk, "k", who)
    await press(desk)

    rows = await desk.db.admin.fetch("SELECT actor, role, action, subject_id FROM audit")
    assert [tuple(row) for row in rows] == [(who.subject, "staff", "refund_credit", desk.client_id)]


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
async def test_the_api_role_books_no_money_that_stripe_gave_or_took(desk: Desk, statement: str) -> None:
    await leaves_credit(desk)

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with desk.db.api.tx(desk.clinic_id) as tx:
            await tx.execute(statement)


async def test_a_refund_is_said_again_under_its_own_id(desk: Desk) -> None:
    await leaves_credit(desk)
    await press(desk)
    await desk.hook.until("refund.created")
    await desk.hear()
    said = await refunds_said(desk)

    rows = await desk.db.admin.fetch(f"SELECT {REFUND} FROM {JOINED}")

    assert [event for row in rows for event in reemit.refund_events(row)] == [
        event.model_copy(update={"traceparent": None}) for event in said
    ]


async def test_yen_go_back_as_stripe_counts_them(desk: Desk) -> None:
    await leaves_credit(desk, money(500, "JPY"))

    [made] = (await press(desk, currency="JPY")).json()["refunds"]

    assert made["amount"] == {"minor": 500, "currency": "JPY"}
    assert [(each["amount"], each["currency"]) for each in await at_stripe(desk)] == [(500, "jpy")]
