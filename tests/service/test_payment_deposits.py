"""Deposits: paid before there is an invoice, they become the client's credit whole."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from contracts.events.payment import PaymentSucceeded
from contracts.money import Money
from services.payment.adoption.domain import payment_of
from services.payment.payments import reads
from tests.builders.events import outbox_events
from tests.builders.values import eur, money
from tests.running.payment import PaymentService
from tests.running.settings import SEAL


@pytest.fixture
async def clinic(payments: PaymentService) -> PaymentService:
    await payments.update_clinic(2, deposits=True)
    return payments


async def start(payments: PaymentService, amount: Money, **more: Any) -> Any:
    body = {"deposit": amount.model_dump(), "method": {"kind": "card"}} | more
    return await payments.api.call("POST", "/payments", payments.client, json=body)


async def pay(payments: PaymentService, amount: Money) -> str:
    started = await start(payments, amount)
    assert started.status_code == 201, started.text
    already = payments.hook.count("payment_intent.succeeded")
    await payments.confirm(started)
    await payments.hook.until("payment_intent.succeeded", already + 1)
    await payments.consume()
    return str(started.json()["payment_id"])


async def test_a_deposit_becomes_credit_whole_and_can_be_sent_back(clinic: PaymentService) -> None:
    payment_id = await pay(clinic, eur(50))

    paid = await clinic.payment(payment_id)
    assert (paid["status"], paid["invoices"]) == ("succeeded", [])
    assert paid["surplus"] == paid["amount"] == {"minor": 5_000, "currency": "EUR"}
    assert await clinic.books() == [("client_credit", -5_000), ("stripe", 5_000)]
    [event] = await outbox_events(clinic.db)
    assert isinstance(event, PaymentSucceeded)
    assert (event.invoices, event.surplus) == ((), eur(50))
    credit = (await clinic.api.call("GET", f"/clients/{clinic.client_id}/credit", clinic.client)).json()
    assert credit["balances"] == [{"minor": 5_000, "currency": "EUR"}]
    assert [each["payment_id"] for each in credit["payments"]] == [payment_id]


async def test_pressing_twice_makes_one_deposit_and_another_amount_ends_the_first(
    clinic: PaymentService,
) -> None:
    presses = await asyncio.gather(*(start(clinic, eur(50)) for _ in range(5)))
    assert len({each.json()["payment_id"] for each in presses}) == 1
    assert sorted(each.status_code for each in presses) == [200] * 4 + [201]

    other = await start(clinic, eur(60))
    assert other.status_code == 201
    statuses = [each["status"] for each in await clinic.intents()]
    assert sorted(statuses) == ["canceled", "requires_payment_method"]


async def test_a_paid_deposit_does_not_stop_the_next(clinic: PaymentService) -> None:
    assert await pay(clinic, eur(50)) != await pay(clinic, eur(50))
    assert await clinic.books() == [("client_credit", -10_000), ("stripe", 10_000)]


@pytest.mark.parametrize(
    ("amount", "settings", "status", "code"),
    [
        (eur(50), {"deposits": False}, 409, "deposits_off"),
        (eur(50), {"online_payment": False}, 409, "online_payment_off"),
        (money(5_000, "USD"), {}, 422, "wrong_currency"),
        (money(49), {}, 422, "amount_too_small"),
        (money(0), {}, 422, "wrong_amount"),
    ],
)
async def test_a_deposit_that_cannot_be_starts_nothing(
    clinic: PaymentService, amount: Money, settings: dict[str, Any], status: int, code: str
) -> None:
    await clinic.update_clinic(3, **{"deposits": True, **settings})
    answer = await start(clinic, amount)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await clinic.intents() == []
    assert await clinic.db.admin.fetchval("SELECT count(*) FROM payments") == 0


async def test_a_payment_names_invoices_or_a_deposit(clinic: PaymentService) -> None:
    invoice = await clinic.open_invoice(eur(50))
    share = {"invoice_id": str(invoice), "amount": {"minor": 5_000, "currency": "EUR"}}
    for changed in ({"invoices": [share]}, {"deposit": None}):
        answer = await start(clinic, eur(50), **changed)
        assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid")


async def test_a_lost_deposit_is_read_again_from_its_intent(clinic: PaymentService) -> None:
    started = await start(clinic, eur(50))
    [intent] = await clinic.intents()
    async with clinic.db.api.tx(clinic.clinic_id) as tx:
        kept = await reads.get_payment(tx, clinic.client_id, UUID(started.json()["payment_id"]))
    found = payment_of(intent, "", SEAL)

    assert kept is not None and found.deposit and kept.deposit
    assert (found.id, found.amount, found.currency, found.allocations) == (kept.id, 5_000, "EUR", ())
