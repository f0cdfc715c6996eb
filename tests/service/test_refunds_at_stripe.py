"""A refund in Stripe's dashboard, or a dispute, reduces what can be refunded here: our call is refused by name."""

from typing import Any

import httpx2
import pytest

from contracts.invoice import InvoiceUpdated
from services.payment import consumers
from tests.builders.events import deliver
from tests.builders.values import eur
from tests.running.payment import Desk
from tests.running.refunds import at_stripe, credit_of, press


async def pays_too_much(desk: Desk) -> str:
    """50 were charged for an invoice that was lowered to 30 meanwhile: 20 are credit. The charge's id."""
    invoice = await desk.owes(eur(50))
    started = await desk.start((invoice, eur(50)))
    await deliver(desk.worker, consumers, desk.invoice(invoice, eur(30), 2, InvoiceUpdated))
    await desk.confirm(started)
    await desk.hook.until("payment_intent.succeeded")
    await desk.hear()
    [intent] = await desk.intents()
    charge: str = intent["latest_charge"]
    return charge


async def dashboard(desk: Desk, charge: str, amount: int) -> str:
    """Somebody refunds in Stripe's dashboard: without our metadata."""
    headers = {"Authorization": f"Bearer {desk.sandbox.secret_key}"}
    async with httpx2.AsyncClient(base_url=desk.sandbox.url, headers=headers, trust_env=False) as stripe:
        made = await stripe.post("/v1/refunds", data={"charge": charge, "amount": str(amount)})
    refund: str = made.json()["id"]
    return refund


async def kept(desk: Desk) -> list[Any]:
    """All that a refusal might have changed here."""
    tables = ("refunds", "entries", "postings", "credit_balances", "idempotency_keys", "audit", "outbox")
    return [await desk.db.admin.fetch(f"SELECT * FROM {table}") for table in tables]


async def refused(desk: Desk, **body: Any) -> Any:
    before, sent = await kept(desk), await at_stripe(desk)
    answer = await press(desk, **body)
    assert answer.status_code == 409, answer.text
    assert (await kept(desk), await at_stripe(desk)) == (before, sent)
    return answer.json()


async def test_what_was_refunded_in_the_dashboard_is_not_refunded_again(desk: Desk) -> None:
    charge = await pays_too_much(desk)
    await dashboard(desk, charge, 2000)

    said = await refused(desk)

    assert said["code"] == "refunded_at_stripe"
    assert (said["refunded"]["minor"], said["refundable"]["minor"]) == (2000, 0)
    assert (await refused(desk, amount=1))["code"] == "refunded_at_stripe"
    assert sum(each["amount"] for each in await at_stripe(desk)) == 2000


async def test_as_much_goes_back_as_the_dashboard_left(desk: Desk) -> None:
    charge = await pays_too_much(desk)
    await dashboard(desk, charge, 500)

    said = await refused(desk)
    most = await press(desk, amount=1500)

    assert said["refundable"] == {"minor": 1500, "currency": "EUR"}
    assert most.status_code == 201
    assert (await refused(desk, amount=1))["refundable"]["minor"] == 0
    assert sorted(each["amount"] for each in await at_stripe(desk)) == [500, 1500]


async def test_our_own_refunds_and_those_that_failed_are_not_held_against_us(desk: Desk) -> None:
    charge = await pays_too_much(desk)
    failed = await dashboard(desk, charge, 2000)
    await desk.sandbox.control("POST", f"/accounts/platform/refunds/{failed}/settle", {"outcome": "failed"})

    assert (await press(desk, amount=800)).status_code == 201
    assert (await press(desk)).status_code == 201
    assert (await credit_of(desk))["balances"] == []


async def test_a_disputed_payment_is_not_refunded(desk: Desk) -> None:
    charge = await pays_too_much(desk)
    await desk.sandbox.control("POST", f"/accounts/platform/charges/{charge}/dispute", {})

    assert (await refused(desk))["code"] == "charge_disputed"


async def test_a_key_is_free_after_a_refusal_and_answers_without_asking_after_a_refund(desk: Desk) -> None:
    charge = await pays_too_much(desk)
    await dashboard(desk, charge, 500)
    await refused(desk, key="k")

    first = await press(desk, "k", amount=1500)
    await dashboard(desk, charge, 100)
    second = await press(desk, "k", amount=1500)

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["refunds"][0]["id"] == second.json()["refunds"][0]["id"]


async def test_while_stripe_does_not_tell_nothing_is_refunded(desk: Desk) -> None:
    await pays_too_much(desk)
    before = await kept(desk)
    fault = {"kind": "500_before", "method": "GET", "path": "/v1/payment_intents/*", "count": 9}
    await desk.sandbox.control("POST", "/faults/api", fault)

    answer = await press(desk)

    assert (answer.status_code, answer.json()["code"]) == (503, "stripe_unavailable")
    assert await kept(desk) == before


async def test_no_connection_is_held_while_stripe_is_asked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pays_too_much(desk)
    held: list[int] = []
    real = type(desk.stripe).retrieve_intent

    async def watched(self: Any, *given: Any) -> Any:
        rows = await desk.db.admin.fetch(
            "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
        )
        held.append(len(rows))
        return await real(self, *given)

    monkeypatch.setattr(type(desk.stripe), "retrieve_intent", watched)
    assert (await press(desk)).status_code == 201
    assert held == [0]
