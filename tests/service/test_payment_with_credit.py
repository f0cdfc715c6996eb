"""A client's credit pays with a charge: reserved with the start, used on capture, released else. Or it pays alone."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from contracts.events.payment import PaymentSettled, PaymentSucceeded
from contracts.money import Money
from deploy.ops.verify.run import verify
from services.chassis.ids import new_id
from services.payment.payments import sweep
from tests.builders.callers import a_caller
from tests.builders.values import eur, money
from tests.running.apps import in_own_task
from tests.running.disputes import charge_of, dispute, end, rows
from tests.running.disputes import sweep as sweep_disputes
from tests.running.installation import Installation, an_installation

DEBIT = {
    "payment_method_data[type]": "sepa_debit",
    "payment_method_data[sepa_debit][iban]": "DE89370400440532013000",
    "return_url": "https://pay.example/back",
}
DAY = timedelta(days=1, minutes=1)


@pytest.fixture
async def installation(postgres: str, roles: dict[str, str]) -> AsyncIterator[Installation]:
    """A client with 12 EUR of credit, and nothing to pay."""
    async with in_own_task(an_installation(postgres, roles, filled=False)) as installation:
        await installation.world.change_clinic(deposits=True, methods=["card", "debit"], least_part=500)
        await installation.pump()
        await leave_credit(installation, eur(12))
        yield installation


async def leave_credit(installation: Installation, amount: Money) -> None:
    body = {"deposit": amount.model_dump(), "method": {"kind": "card"}}
    started = await installation.payments.api.call(
        "POST", "/payments", installation.payments.client, json=body
    )
    assert started.status_code == 201, started.text
    await confirm(installation, started)


async def confirm(installation: Installation, started: Any) -> None:
    """The charge succeeds, and its webhook is applied."""
    already = installation.payments.hook.count("payment_intent.succeeded")
    await installation.payments.confirm(started)
    await installation.payments.hook.until("payment_intent.succeeded", already + 1)
    await settle(installation)


async def settle(installation: Installation) -> None:
    await installation.payments.consume()
    await installation.pump()


async def shown(installation: Installation, invoice: UUID) -> dict[str, Any]:
    found: dict[str, Any] = await installation.world.get(f"/invoices/{invoice}")
    return found


async def balances(installation: Installation) -> dict[str, int]:
    """The credit that is free, and the credit that is reserved, in the books."""
    books = dict(await installation.payments.books())
    return {
        "free": -books.get("client_credit", 0),
        "reserved": -books.get("credit_reserved", 0),
    }


async def usable(installation: Installation) -> list[int]:
    answer = await installation.payments.api.call("GET", "/credit", installation.payments.client)
    return [each["minor"] for each in answer.json()]


async def breaches(installation: Installation) -> set[str]:
    await installation.pump()
    return {f"{each.check}: {each.row}" for each in (await verify(installation.access, wait=0)).breaches}


def successes(installation: Installation) -> list[PaymentSucceeded]:
    return [each for each in installation.published.values() if isinstance(each, PaymentSucceeded)]


def movements(installation: Installation, invoice: UUID) -> list[tuple[str, int]]:
    found = [each for each in installation.published.values() if isinstance(each, PaymentSettled)]
    return sorted((each.kind, each.amount.minor) for each in found if each.invoice_id == invoice)


async def test_credit_is_reserved_with_the_start_and_used_with_the_charge(installation: Installation) -> None:
    invoice = await installation.open_invoice(10_000)

    started = await installation.payments.start((invoice, eur(100)), credit=eur(12))

    assert started.status_code == 201, started.text
    assert await balances(installation) == {"free": 0, "reserved": 1_200}
    assert await usable(installation) == [1_200]
    [intent] = [each for each in await installation.payments.intents() if each["status"] != "succeeded"]
    assert intent["amount"] == 8_800
    payment = await installation.payments.payment(started.json()["payment_id"])
    assert (payment["amount"]["minor"], payment["credit"]["minor"]) == (8_800, 1_200)
    [part] = payment["invoices"]
    assert (part["amount"]["minor"], part["credit"]["minor"]) == (8_800, 1_200)
    assert await breaches(installation) == set()

    await confirm(installation, started)

    now = await shown(installation, invoice)
    assert (now["status"], now["due"]["minor"]) == ("paid", 0)
    assert movements(installation, invoice) == [("credit", 1_200), ("payment", 8_800)]
    assert successes(installation)[-1].amount == eur(88)
    paid = [
        each
        for each in installation.published.values()
        if each.topic.name == "invoice.paid" and each.key == invoice
    ]
    assert len(paid) == 1
    assert await balances(installation) == {"free": 0, "reserved": 0}
    paid_with = await installation.payments.payment(started.json()["payment_id"])
    assert (paid_with["status"], paid_with["credit"]["minor"]) == ("succeeded", 1_200)
    assert await breaches(installation) == set()


async def test_several_invoices_and_a_part_share_credit_and_charge_exactly(
    installation: Installation,
) -> None:
    first, second, third = [await installation.open_invoice(minor) for minor in (1_000, 700, 5_000)]

    started = await installation.payments.start(
        (third, money(2_000)), (first, money(1_000)), (second, money(700)), credit=eur(12)
    )
    await confirm(installation, started)

    assert [(await shown(installation, each))["due"]["minor"] for each in (first, second, third)] == [
        0,
        0,
        3_000,
    ]
    payment = await installation.payments.payment(started.json()["payment_id"])
    parts = [
        (each["amount"]["minor"], (each["credit"] or {"minor": 0})["minor"]) for each in payment["invoices"]
    ]
    assert parts == [(1, 999), (499, 201), (2_000, 0)]
    assert payment["amount"]["minor"] == 2_500
    assert await breaches(installation) == set()


async def test_credit_alone_pays_without_stripe_and_without_a_receipt(installation: Installation) -> None:
    invoice, intents = await installation.open_invoice(1_000), len(await installation.payments.intents())
    letters = "SELECT count(*) FROM deliveries WHERE template = 'receipt'"
    before = await installation.dbs["notification"].admin.fetchval(letters)

    answers = [
        await installation.payments.start((invoice, eur(10)), credit=eur(10), key="tab") for _ in range(2)
    ]
    await installation.pump()

    assert [each.status_code for each in answers] == [201, 200]
    assert answers[0].json() == answers[1].json()
    assert (answers[0].json()["status"], answers[0].json()["client_secret"]) == ("succeeded", None)
    assert len(await installation.payments.intents()) == intents
    assert (await shown(installation, invoice))["status"] == "paid"
    assert movements(installation, invoice) == [("credit", 1_000)]
    assert len(successes(installation)) == 1, "that of the deposit"
    assert await installation.dbs["notification"].admin.fetchval(letters) == before
    assert await balances(installation) == {"free": 200, "reserved": 0}
    payments = installation.payments
    shown_credit = (
        await payments.api.call(
            "GET", f"/clients/{payments.client_id}/credit", a_caller("staff", payments.clinic_id)
        )
    ).json()
    assert [each["refundable"]["minor"] for each in shown_credit["payments"]] == [200], "the rest is used"
    again = await installation.payments.start((invoice, eur(10)), credit=eur(10))
    assert (again.status_code, again.json()["code"]) == (409, "already_paid")
    assert await breaches(installation) == set()


async def test_a_decline_keeps_the_credit_and_the_next_try_uses_it(installation: Installation) -> None:
    invoice = await installation.open_invoice(10_000)
    started = await installation.payments.start((invoice, eur(100)), credit=eur(12))
    await installation.payments.confirm(started, "pm_card_chargeDeclined")
    await installation.payments.hook.until("payment_intent.payment_failed")
    await settle(installation)

    assert (await installation.payments.payment(started.json()["payment_id"]))["status"] == "failed"
    assert await balances(installation) == {"free": 0, "reserved": 1_200}
    again = await installation.payments.start((invoice, eur(100)), credit=eur(12))
    assert (again.status_code, again.json()["payment_id"]) == (200, started.json()["payment_id"])
    await confirm(installation, again)

    assert (await shown(installation, invoice))["status"] == "paid"
    assert await breaches(installation) == set()


async def test_another_choice_releases_the_credit_of_the_one_before(installation: Installation) -> None:
    invoice = await installation.open_invoice(10_000)
    with_credit = await installation.payments.start((invoice, eur(100)), credit=eur(12))

    without = await installation.payments.start((invoice, eur(100)))

    assert with_credit.json()["payment_id"] != without.json()["payment_id"]
    assert await balances(installation) == {"free": 1_200, "reserved": 0}
    ended = await installation.payments.payment(with_credit.json()["payment_id"])
    assert (ended["status"], ended["credit"]) == ("canceled", None)
    assert ended["invoices"][0]["credit"]["minor"] == 1_200
    assert await breaches(installation) == set()


async def test_an_abandoned_payment_releases_its_credit(installation: Installation) -> None:
    invoice = await installation.open_invoice(10_000)
    await installation.payments.start((invoice, eur(100)), credit=eur(12))
    await installation.payments.age(DAY)

    await sweep.sweep_payments(installation.payments.worker, installation.payments.stripe)
    await installation.pump()

    assert await balances(installation) == {"free": 1_200, "reserved": 0}
    assert await breaches(installation) == set()


async def test_a_debit_keeps_the_credit_for_days_and_releases_it_when_it_fails(
    installation: Installation,
) -> None:
    invoice, other = await installation.open_invoice(10_000), await installation.open_invoice(5_000)
    started = await installation.payments.start((invoice, eur(100)), credit=eur(12), method={"kind": "debit"})
    await installation.payments.confirm(started, "", **DEBIT)
    await installation.payments.hook.until("payment_intent.processing")
    await settle(installation)

    assert await usable(installation) == []
    refused = await installation.payments.start((other, eur(50)), credit=eur(12))
    assert (refused.status_code, refused.json()["code"]) == (409, "credit_overdrawn")
    assert refused.json()["credit"] == {"minor": 0, "currency": "EUR"}
    intent = started.json()["client_secret"].split("_secret_")[0]
    await installation.payments.sandbox.control("POST", "/clock", {"offset_seconds": 2})
    await installation.payments.sandbox.control(
        "POST", f"/accounts/platform/payment_intents/{intent}/settle", {"outcome": "failed"}
    )
    await installation.payments.hook.until("payment_intent.payment_failed")
    await settle(installation)

    assert await balances(installation) == {"free": 1_200, "reserved": 0}
    assert (await shown(installation, invoice))["due"]["minor"] == 10_000
    assert await breaches(installation) == set()


@pytest.mark.parametrize(
    ("taken_off", "used", "free"),
    [(300, 900, 300), (1_200, 0, 1_200), (3_000, 0, 3_000), (10_000, 0, 10_000)],
)
async def test_a_credit_note_meanwhile_leaves_the_credit_that_is_not_needed(
    installation: Installation, taken_off: int, used: int, free: int
) -> None:
    invoice = await installation.open_invoice(10_000)
    started = await installation.payments.start((invoice, eur(100)), credit=eur(12))
    await installation.correct(invoice, "credit-notes", amount={"minor": taken_off, "currency": "EUR"})

    await confirm(installation, started)

    paid = await installation.payments.payment(started.json()["payment_id"])
    assert (paid["credit"] or {"minor": 0})["minor"] == used
    assert (await shown(installation, invoice))["due"]["minor"] == 0
    assert await balances(installation) == {"free": free, "reserved": 0}
    assert await breaches(installation) == set()


async def test_the_sweep_ends_a_payment_whose_credit_and_charge_are_above_the_due(
    installation: Installation,
) -> None:
    invoice = await installation.open_invoice(10_000)
    await installation.payments.start((invoice, eur(100)), credit=eur(12))
    await installation.correct(invoice, "credit-notes", amount={"minor": 300, "currency": "EUR"})

    await sweep.sweep_payments(installation.payments.worker, installation.payments.stripe)
    await installation.pump()

    assert await balances(installation) == {"free": 1_200, "reserved": 0}
    assert await breaches(installation) == set()


async def test_two_tabs_at_once_share_the_balance(installation: Installation) -> None:
    """One of two invoices gets the credit; the other is told, and nothing is reserved twice."""
    invoices = [await installation.open_invoice(5_000) for _ in range(2)]

    answers = await asyncio.gather(
        *(installation.payments.start((each, eur(50)), credit=eur(12)) for each in invoices)
    )

    codes = sorted(answer.json().get("code", "") for answer in answers)
    assert codes in (["", ""], ["", "credit_overdrawn"])
    assert await balances(installation) == {"free": 0, "reserved": 1_200}
    reserved = await installation.dbs["payment"].admin.fetch(
        "SELECT FROM allocations WHERE state = 'open' AND credit_amount > 0"
    )
    assert len(reserved) == 1
    assert await breaches(installation) == set()


async def test_twenty_presses_of_credit_alone_pay_once(installation: Installation) -> None:
    first, second = await installation.open_invoice(1_000), await installation.open_invoice(900)

    answers = await asyncio.gather(
        *(
            installation.payments.start((invoice, amount), credit=amount)
            for invoice, amount in ((first, eur(10)), (second, eur(9)))
            for _ in range(10)
        )
    )
    await installation.pump()

    assert sum(each.status_code == 201 for each in answers) == 1
    assert {each.json()["code"] for each in answers if each.status_code != 201} <= {
        "already_paid",
        "credit_overdrawn",
        "chosen_elsewhere",
    }
    assert await breaches(installation) == set()


async def test_the_next_payment_takes_the_credit_of_one_that_was_left(installation: Installation) -> None:
    left, wanted = await installation.open_invoice(5_000), await installation.open_invoice(6_000)
    before = await installation.payments.start((left, eur(50)), credit=eur(12))

    started = await installation.payments.start((wanted, eur(60)), credit=eur(10))

    assert started.status_code == 201, started.text
    ended = await installation.payments.payment(before.json()["payment_id"])
    assert ended["status"] == "canceled"
    assert await balances(installation) == {"free": 200, "reserved": 1_000}
    alone = await installation.open_invoice(1_100)
    assert (await installation.payments.start((alone, eur(11)), credit=eur(11))).status_code == 201
    await installation.pump()
    assert await balances(installation) == {"free": 100, "reserved": 0}
    assert await breaches(installation) == set()


async def test_credit_of_a_payment_that_has_gone_through_is_used_and_no_other_invoice_is_on_its_way(
    installation: Installation,
) -> None:
    """Its webhook is still on its way: Stripe alone knows."""
    paid, wanted = await installation.open_invoice(5_000), await installation.open_invoice(1_100)
    started = await installation.payments.start((paid, eur(50)), credit=eur(12))
    await installation.payments.confirm(started)

    of_another = await installation.payments.start((wanted, eur(11)), credit=eur(11))
    of_itself = await installation.payments.start((paid, eur(50)))

    assert (of_another.status_code, of_another.json()["code"]) == (409, "credit_overdrawn")
    assert (of_itself.status_code, of_itself.json()["code"]) == (409, "payment_in_progress")
    await settle(installation)
    assert (await shown(installation, wanted))["due"]["minor"] == 1_100
    assert await breaches(installation) == set()


async def test_the_same_key_is_the_same_payment_and_another_credit_is_not(installation: Installation) -> None:
    invoice = await installation.open_invoice(10_000)
    answers = [
        await installation.payments.start((invoice, eur(100)), credit=eur(12), key="k") for _ in range(2)
    ]

    other = await installation.payments.start((invoice, eur(100)), credit=eur(11), key="k")

    assert [each.status_code for each in answers] == [201, 200]
    assert answers[0].json() == answers[1].json()
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert await balances(installation) == {"free": 0, "reserved": 1_200}


@pytest.mark.parametrize(
    ("due", "credit", "status", "code"),
    [
        (10_000, money(1_201), 409, "credit_overdrawn"),
        (10_000, money(0), 422, "wrong_amount"),
        (10_000, money(-5), 422, "wrong_amount"),
        (1_000, money(1_001), 422, "wrong_amount"),
        (1_000, money(951), 422, "credit_rest_too_small"),
        (10_000, money(100, "USD"), 422, "wrong_currency"),
    ],
)
async def test_credit_that_cannot_be_used_starts_nothing(
    installation: Installation, due: int, credit: Money, status: int, code: str
) -> None:
    invoice, intents = await installation.open_invoice(due), len(await installation.payments.intents())

    answer = await installation.payments.start((invoice, money(due)), credit=credit)

    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    if code == "credit_overdrawn":
        assert answer.json()["credit"] == {"minor": 1_200, "currency": "EUR"}
    if code == "credit_rest_too_small":
        assert answer.json()["most"] == {"minor": 950, "currency": "EUR"}
    assert len(await installation.payments.intents()) == intents
    assert await balances(installation) == {"free": 1_200, "reserved": 0}


async def test_a_method_is_named_unless_credit_pays_all(installation: Installation) -> None:
    invoice = await installation.open_invoice(1_000)
    share = {"invoice_id": str(invoice), "amount": {"minor": 1_000, "currency": "EUR"}}
    ten, card = {"minor": 1_000, "currency": "EUR"}, {"kind": "card"}
    for body in (
        {"invoices": [share], "credit": {"minor": 900, "currency": "EUR"}},
        {"invoices": [share], "credit": ten, "method": card},
        {"invoices": [share]},
        {"deposit": ten, "credit": ten, "method": card},
    ):
        answer = await installation.payments.api.call(
            "POST", "/payments", installation.payments.client, json=body
        )
        assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid"), body


async def test_reserved_credit_is_not_refunded_and_shows_as_reserved(installation: Installation) -> None:
    invoice = await installation.open_invoice(10_000)
    await installation.payments.start((invoice, eur(100)), credit=eur(10))
    staff = a_caller("staff", installation.payments.clinic_id)
    client_id = installation.payments.client_id

    shown_credit = (await installation.payments.api.call("GET", f"/clients/{client_id}/credit", staff)).json()
    refused = await installation.payments.api.call(
        "POST",
        "/refunds",
        staff,
        json={"client_id": str(client_id), "currency": "EUR", "amount": 300},
        headers={"Idempotency-Key": str(new_id())},
    )

    assert shown_credit["balances"] == [{"minor": 200, "currency": "EUR"}]
    assert shown_credit["reserved"] == [{"minor": 1_000, "currency": "EUR"}]
    assert (refused.status_code, refused.json()["code"]) == (409, "refund_too_large")
    assert await breaches(installation) == set()


async def test_a_dispute_gets_the_credit_that_a_payment_had_reserved(installation: Installation) -> None:
    """The bank takes the deposit back while its credit is set aside. It is no gift once the client has left."""
    payments, invoice = installation.payments, await installation.open_invoice(10_000)
    deposit = await payments.db.admin.fetchval("SELECT id FROM payments WHERE deposit")
    await payments.start((invoice, eur(100)), credit=eur(12))

    await dispute(payments, await charge_of(payments, deposit))
    await settle(installation)
    assert await balances(installation) == {"free": 0, "reserved": 1_200}
    assert [each["rest_amount"] for each in await rows(payments)] == [1_200]
    await payments.start((invoice, eur(100)))
    assert await balances(installation) == {"free": 1_200, "reserved": 0}
    await sweep_disputes(payments)

    assert await balances(installation) == {"free": 0, "reserved": 0}
    [taken] = await rows(payments)
    assert (taken["credit_amount"], taken["rest_amount"]) == (1_200, 0)
    assert await breaches(installation) == set()
    await end(payments, taken["stripe_dispute_id"], "won")
    await settle(installation)
    assert await balances(installation) == {"free": 1_200, "reserved": 0}
    assert await breaches(installation) == set()


async def test_a_dispute_leaves_credit_that_came_after_it(installation: Installation) -> None:
    """The client had used the deposit. Another one, set aside and released since, is other money."""
    payments, invoice = installation.payments, await installation.open_invoice(1_200)
    deposit = await payments.db.admin.fetchval("SELECT id FROM payments WHERE deposit")
    await payments.start((invoice, eur(12)), credit=eur(12))
    await dispute(payments, await charge_of(payments, deposit))
    await settle(installation)
    await leave_credit(installation, eur(9))
    other = await installation.open_invoice(5_000)
    await payments.start((other, eur(50)), credit=eur(9))
    await payments.start((other, eur(50)))

    await sweep_disputes(payments)

    assert await balances(installation) == {"free": 900, "reserved": 0}
    assert [each["rest_amount"] for each in await rows(payments)] == [1_200]
    assert await breaches(installation) == set()


@pytest.mark.parametrize("kind", ["500_before", "500_after", "timeout_after"])
async def test_a_start_whose_answer_is_lost_reserves_once(installation: Installation, kind: str) -> None:
    """The press again goes on with the payment that was committed, and with its credit."""
    invoice = await installation.open_invoice(10_000)
    fault = {"kind": kind, "method": "POST", "path": "/v1/payment_intents", "count": 1}
    await installation.payments.sandbox.control("POST", "/faults/api", fault)
    await installation.payments.start((invoice, eur(100)), credit=eur(12))

    started = await installation.payments.start((invoice, eur(100)), credit=eur(12))

    assert started.status_code in (200, 201), started.text
    assert await balances(installation) == {"free": 0, "reserved": 1_200}
    await confirm(installation, started)
    assert (await shown(installation, invoice))["status"] == "paid"
    assert await balances(installation) == {"free": 0, "reserved": 0}
    assert await breaches(installation) == set()
