"""A refund in Stripe's dashboard, or a dispute, reduces what can be refunded here: our call is refused by name."""

from typing import Any

import httpx2
import pytest

from tests.builders.values import eur
from tests.running.payment import PaymentService
from tests.running.refunds import at_stripe, credit_of, pay_what_changed, request_refund


async def pays_too_much(payments: PaymentService) -> str:
    """50 were charged for an invoice that was lowered to 30 meanwhile: 20 are credit. The charge's id."""
    await pay_what_changed(payments, eur(50), eur(30))
    [intent] = await payments.intents()
    charge: str = intent["latest_charge"]
    return charge


async def dashboard(payments: PaymentService, charge: str, amount: int) -> str:
    """Somebody refunds in Stripe's dashboard: without our metadata."""
    headers = {"Authorization": f"Bearer {payments.sandbox.secret_key}"}
    async with httpx2.AsyncClient(base_url=payments.sandbox.url, headers=headers, trust_env=False) as stripe:
        made = await stripe.post("/v1/refunds", data={"charge": charge, "amount": str(amount)})
    refund: str = made.json()["id"]
    return refund


async def kept(payments: PaymentService) -> list[Any]:
    """All that a refusal might have changed here."""
    tables = ("refunds", "entries", "postings", "credit_balances", "idempotency_keys", "audit", "outbox")
    return [await payments.db.admin.fetch(f"SELECT * FROM {table}") for table in tables]


async def refused(payments: PaymentService, **body: Any) -> Any:
    before, sent = await kept(payments), await at_stripe(payments)
    answer = await request_refund(payments, **body)
    assert answer.status_code == 409, answer.text
    assert (await kept(payments), await at_stripe(payments)) == (before, sent)
    return answer.json()


async def test_what_was_refunded_in_the_dashboard_is_not_refunded_again(payments: PaymentService) -> None:
    charge = await pays_too_much(payments)
    await dashboard(payments, charge, 2000)

    refusal = await refused(payments)

    assert refusal["code"] == "refunded_at_stripe"
    assert (refusal["refunded"]["minor"], refusal["refundable"]["minor"]) == (2000, 0)
    assert (await refused(payments, amount=1))["code"] == "refunded_at_stripe"
    assert sum(each["amount"] for each in await at_stripe(payments)) == 2000


async def test_as_much_goes_back_as_the_dashboard_left(payments: PaymentService) -> None:
    charge = await pays_too_much(payments)
    await dashboard(payments, charge, 500)

    refusal = await refused(payments)
    most = await request_refund(payments, amount=1500)

    assert refusal["refundable"] == {"minor": 1500, "currency": "EUR"}
    assert most.status_code == 201
    assert (await refused(payments, amount=1))["refundable"]["minor"] == 0
    assert sorted(each["amount"] for each in await at_stripe(payments)) == [500, 1500]


async def test_our_own_refunds_and_those_that_failed_are_not_held_against_us(
    payments: PaymentService,
) -> None:
    charge = await pays_too_much(payments)
    failed = await dashboard(payments, charge, 2000)
    await payments.sandbox.control(
        "POST", f"/accounts/platform/refunds/{failed}/settle", {"outcome": "failed"}
    )

    assert (await request_refund(payments, amount=800)).status_code == 201
    assert (await request_refund(payments)).status_code == 201
    assert (await credit_of(payments))["balances"] == []


async def test_a_disputed_payment_is_not_refunded(payments: PaymentService) -> None:
    charge = await pays_too_much(payments)
    await payments.sandbox.control("POST", f"/accounts/platform/charges/{charge}/dispute", {})

    assert (await refused(payments))["code"] == "charge_disputed"


async def test_a_key_is_free_after_a_refusal_and_answers_without_asking_after_a_refund(
    payments: PaymentService,
) -> None:
    charge = await pays_too_much(payments)
    await dashboard(payments, charge, 500)
    await refused(payments, key="k")

    first = await request_refund(payments, "k", amount=1500)
    await dashboard(payments, charge, 100)
    second = await request_refund(payments, "k", amount=1500)

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["refunds"][0]["id"] == second.json()["refunds"][0]["id"]


async def test_while_stripe_does_not_tell_nothing_is_refunded(payments: PaymentService) -> None:
    await pays_too_much(payments)
    before = await kept(payments)
    fault = {"kind": "500_before", "method": "GET", "path": "/v1/payment_intents/*", "count": 9}
    await payments.sandbox.control("POST", "/faults/api", fault)

    answer = await request_refund(payments)

    assert (answer.status_code, answer.json()["code"]) == (503, "stripe_unavailable")
    assert await kept(payments) == before


async def test_no_connection_is_held_while_stripe_is_asked(
    payments: PaymentService, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pays_too_much(payments)
    held: list[int] = []
    real = type(payments.stripe).retrieve_intent

    async def watched(self: Any, *given: Any) -> Any:
        rows = await payments.db.admin.fetch(
            "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
        )
        held.append(len(rows))
        return await real(self, *given)

    monkeypatch.setattr(type(payments.stripe), "retrieve_intent", watched)
    assert (await request_refund(payments)).status_code == 201
    assert held == [0]
