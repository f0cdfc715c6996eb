"""What Stripe does not have any more, or does not let us see: the next press works, and the client is told."""

from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from services.payment import jobs
from tests.builders.callers import a_caller
from tests.builders.values import eur
from tests.running.payment import Desk
from tests.running.refunds import BACK, WAITS, at_stripe, fault, leaves_credit, press, sweep
from tests.service.test_payment_methods import a_saved_card, saved_methods

NO_TIME = timedelta(0)


async def charged_on(desk: Desk, account: str, known: bool = True) -> None:
    if known:
        await desk.sandbox.control("PUT", f"/accounts/{account}", {})
    operator = a_caller("operator", desk.clinic_id)
    await desk.api.call("PUT", "/account", operator, json={"stripe_account_id": account})
    desk.account = account


async def revoke(desk: Desk, account: str) -> None:
    await desk.sandbox.control("DELETE", f"/accounts/{account}")


@pytest.mark.parametrize("how", [{}, {"save": True}, {"method": {"kind": "redirect"}}])
async def test_a_wrong_account_holds_no_invoice(desk: Desk, how: dict[str, Any]) -> None:
    await charged_on(desk, "acct_wrong", known=False)
    invoice = await desk.owes(eur(125))
    refused = await desk.start((invoice, eur(125)), **how)
    assert (refused.status_code, refused.json()["code"]) == (503, "stripe_misconfigured")

    await charged_on(desk, "acct_right")
    again = await desk.start((invoice, eur(125)), **how)

    assert (again.status_code, again.json()["stripe_account"]) == (201, "acct_right")


async def test_an_attempt_that_a_wrong_account_has_stuck_before_is_ended_by_the_sweeper(desk: Desk) -> None:
    invoice = await desk.owes(eur(125))
    await desk.start((invoice, eur(125)))
    await desk.db.admin.execute(
        "UPDATE payments SET account = 'acct_wrong', stripe_payment_intent_id = NULL, stripe_customer_id = NULL"
    )
    await desk.grown_old(timedelta(hours=25))

    await jobs.sweep_payments(desk.worker, desk.stripe, NO_TIME)

    assert await desk.db.admin.fetchval("SELECT state FROM allocations") == "released"
    assert (await desk.start((invoice, eur(125)))).status_code == 201


async def test_an_intent_that_is_gone_is_made_again_in_the_same_press(desk: Desk) -> None:
    invoice = await desk.owes(eur(125))
    started = await desk.start((invoice, eur(125)))
    [intent] = await desk.intents()
    await desk.sandbox.control("DELETE", f"/accounts/platform/objects/{intent['id']}")

    again = await desk.start((invoice, eur(125)))

    assert again.status_code == 201, again.text
    assert again.json()["client_secret"] != started.json()["client_secret"]
    assert (await desk.payment(started.json()["payment_id"]))["status"] == "canceled"


async def test_the_answer_is_of_the_account_that_the_page_has(desk: Desk) -> None:
    await charged_on(desk, "acct_one")
    invoice = await desk.owes(eur(125))
    assert (await desk.start((invoice, eur(125)))).json()["stripe_account"] == "acct_one"
    await charged_on(desk, "acct_two")

    again = await desk.start((invoice, eur(125)))

    assert (again.status_code, again.json()["stripe_account"]) == (201, "acct_two")
    desk.account = "acct_one"
    assert [each["status"] for each in await desk.intents()] == ["canceled"]


async def test_an_attempt_on_a_revoked_account_goes_on_with_it_or_ends_with_another(desk: Desk) -> None:
    await charged_on(desk, "acct_one")
    invoice = await desk.owes(eur(125))
    first = await desk.start((invoice, eur(125)))
    await revoke(desk, "acct_one")
    assert (await desk.start((invoice, eur(125)))).json()["code"] == "stripe_misconfigured"

    await desk.sandbox.control("PUT", "/accounts/acct_one", {})
    assert (await desk.start((invoice, eur(125)))).json() == first.json()
    await revoke(desk, "acct_one")
    await charged_on(desk, "acct_two")
    assert (await desk.start((invoice, eur(125)))).json()["stripe_account"] == "acct_two"


async def test_a_lost_refund_is_not_credit_again_while_nobody_knows(desk: Desk) -> None:
    """The answer to the first call was lost, and the next one is refused: the money may have gone back."""
    await leaves_credit(desk)
    await fault(desk, "timeout_after", count=1)
    await press(desk)
    await desk.sandbox.control("POST", "/faults/api", {"kind": "403_account", "path": "/v1/*", "count": 99})
    await sweep(desk)

    assert await desk.books() == WAITS
    assert len(await _at_stripe_at_last(desk)) == 1


async def _at_stripe_at_last(desk: Desk) -> list[Any]:
    await desk.sandbox.control("DELETE", "/faults")
    return await at_stripe(desk)


async def test_a_refund_on_an_account_that_refuses_it_is_credit_again_at_once(desk: Desk) -> None:
    await leaves_credit(desk)
    await fault(desk, "403_account")

    [made] = (await press(desk)).json()["refunds"]

    assert (made["status"], made["failure_reason"]) == ("failed", "account_invalid")
    assert await desk.books() == BACK


async def _delete_customer(desk: Desk) -> None:
    customer = await desk.db.admin.fetchval("SELECT stripe_customer_id FROM customers")
    await desk.sandbox.control("DELETE", f"/accounts/platform/objects/{customer}")


async def test_a_customer_that_is_gone_is_made_again(desk: Desk) -> None:
    card = await a_saved_card(desk)
    await _delete_customer(desk)
    saved = await desk.start((await desk.owes(eur(20)), eur(20)), save=True)
    assert saved.status_code == 201, saved.text
    assert await saved_methods(desk) == []

    await _delete_customer(desk)
    assert (await desk.api.call("POST", "/setup-intents", desk.client)).status_code == 201
    method = {"kind": "saved", "payment_method_id": card["id"]}
    refused = await desk.start((await desk.owes(eur(30)), eur(30)), method=method)
    assert (refused.status_code, refused.json()["code"]) == (404, "payment_method_not_found")


async def test_a_card_that_is_gone_is_forgotten_and_the_client_told(desk: Desk) -> None:
    card = await a_saved_card(desk)
    stripe_id = await desk.db.admin.fetchval("SELECT stripe_payment_method_id FROM payment_methods")
    await desk.sandbox.control("DELETE", f"/accounts/platform/objects/{stripe_id}")
    invoice = await desk.owes(eur(20))

    refused = await desk.start((invoice, eur(20)), method={"kind": "saved", "payment_method_id": card["id"]})

    assert (refused.status_code, refused.json()["code"]) == (404, "payment_method_not_found")
    assert "Choose another way to pay" in refused.json()["detail"]
    assert await saved_methods(desk) == []
    assert (await desk.start((invoice, eur(20)))).status_code == 201


async def test_a_deleted_customer_is_heard_of(desk: Desk) -> None:
    await a_saved_card(desk)
    customer = await desk.db.admin.fetchval("SELECT stripe_customer_id FROM customers")
    await desk.stripe._stripe.v1.customers.delete_async(customer)
    await desk.hook.until("customer.deleted")

    await desk.hear()

    assert await saved_methods(desk) == []
    assert await desk.db.admin.fetchval("SELECT stripe_customer_id FROM customers") is None


async def test_a_card_of_a_revoked_account_is_removed_here(desk: Desk) -> None:
    await charged_on(desk, "acct_one")
    card = await a_saved_card(desk)
    await revoke(desk, "acct_one")

    removed = await desk.api.call("DELETE", f"/payment-methods/{card['id']}", desk.client)

    assert removed.status_code == 204, removed.text
    assert await saved_methods(desk) == []


async def test_an_account_that_is_refused_is_logged_once(desk: Desk) -> None:
    await charged_on(desk, "acct_wrong", known=False)
    invoice = await desk.owes(eur(125))
    with capture_logs() as logs:
        for _ in range(3):
            await desk.start((invoice, eur(125)))
        await desk.sandbox.control("PUT", "/accounts/acct_wrong", {})
        await desk.start((invoice, eur(125)))

    told = [(each["event"], each["account"]) for each in logs if "access" in each["event"]]
    assert told == [("stripe_refuses_access", "acct_wrong"), ("stripe_gives_access_again", "acct_wrong")]
