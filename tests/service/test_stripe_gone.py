"""Objects that are gone at Stripe or that we may not see: the next press works, and the client is told."""

from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from services.payment.payments import sweep as payments_sweep
from tests.builders.callers import a_caller
from tests.builders.values import eur
from tests.running.payment import PaymentService
from tests.running.refunds import BACK, WAITS, at_stripe, fault, leave_credit, request_refund, sweep
from tests.service.test_payment_methods import a_saved_card, saved_methods

NO_TIME = timedelta(0)


async def charged_on(payments: PaymentService, account: str, known: bool = True) -> None:
    if known:
        await payments.sandbox.control("PUT", f"/accounts/{account}", {})
    operator = a_caller("operator", payments.clinic_id)
    await payments.api.call("PUT", "/account", operator, json={"stripe_account_id": account})
    payments.account = account


async def revoke(payments: PaymentService, account: str) -> None:
    await payments.sandbox.control("DELETE", f"/accounts/{account}")


@pytest.mark.parametrize("how", [{}, {"save": True}, {"method": {"kind": "redirect"}}])
async def test_a_wrong_account_holds_no_invoice(payments: PaymentService, how: dict[str, Any]) -> None:
    await charged_on(payments, "acct_wrong", known=False)
    invoice = await payments.open_invoice(eur(125))
    refused = await payments.start((invoice, eur(125)), **how)
    assert (refused.status_code, refused.json()["code"]) == (503, "stripe_misconfigured")

    await charged_on(payments, "acct_right")
    again = await payments.start((invoice, eur(125)), **how)

    assert (again.status_code, again.json()["stripe_account"]) == (201, "acct_right")


async def test_an_attempt_that_a_wrong_account_has_stuck_before_is_ended_by_the_sweeper(
    payments: PaymentService,
) -> None:
    invoice = await payments.open_invoice(eur(125))
    await payments.start((invoice, eur(125)))
    await payments.db.admin.execute(
        "UPDATE payments SET account = 'acct_wrong', stripe_payment_intent_id = NULL, stripe_customer_id = NULL"
    )
    await payments.age(timedelta(hours=25))

    await payments_sweep.sweep_payments(payments.worker, payments.stripe, NO_TIME)

    assert await payments.db.admin.fetchval("SELECT state FROM allocations") == "released"
    assert (await payments.start((invoice, eur(125)))).status_code == 201


async def test_an_intent_that_is_gone_is_made_again_in_the_same_press(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(125))
    started = await payments.start((invoice, eur(125)))
    [intent] = await payments.intents()
    await payments.sandbox.control("DELETE", f"/accounts/platform/objects/{intent['id']}")

    again = await payments.start((invoice, eur(125)))

    assert again.status_code == 201, again.text
    assert again.json()["client_secret"] != started.json()["client_secret"]
    assert (await payments.payment(started.json()["payment_id"]))["status"] == "canceled"


async def test_the_answer_is_of_the_account_that_the_page_has(payments: PaymentService) -> None:
    await charged_on(payments, "acct_one")
    invoice = await payments.open_invoice(eur(125))
    assert (await payments.start((invoice, eur(125)))).json()["stripe_account"] == "acct_one"
    await charged_on(payments, "acct_two")

    again = await payments.start((invoice, eur(125)))

    assert (again.status_code, again.json()["stripe_account"]) == (201, "acct_two")
    payments.account = "acct_one"
    assert [each["status"] for each in await payments.intents()] == ["canceled"]


async def test_an_attempt_on_a_revoked_account_goes_on_with_it_or_ends_with_another(
    payments: PaymentService,
) -> None:
    await charged_on(payments, "acct_one")
    invoice = await payments.open_invoice(eur(125))
    first = await payments.start((invoice, eur(125)))
    await revoke(payments, "acct_one")
    assert (await payments.start((invoice, eur(125)))).json()["code"] == "stripe_misconfigured"

    await payments.sandbox.control("PUT", "/accounts/acct_one", {})
    assert (await payments.start((invoice, eur(125)))).json() == first.json()
    await revoke(payments, "acct_one")
    await charged_on(payments, "acct_two")
    assert (await payments.start((invoice, eur(125)))).json()["stripe_account"] == "acct_two"


async def test_a_lost_refund_is_not_credit_again_while_nobody_knows(payments: PaymentService) -> None:
    """The answer to the first call was lost, and the next call is refused: the money may have been refunded."""
    await leave_credit(payments)
    await fault(payments, "timeout_after", count=1)
    await request_refund(payments)
    await payments.sandbox.control(
        "POST", "/faults/api", {"kind": "403_account", "path": "/v1/*", "count": 99}
    )
    await sweep(payments)

    assert await payments.books() == WAITS
    assert len(await _at_stripe_at_last(payments)) == 1


async def _at_stripe_at_last(payments: PaymentService) -> list[Any]:
    await payments.sandbox.control("DELETE", "/faults")
    return await at_stripe(payments)


async def test_a_refund_on_an_account_that_refuses_it_is_credit_again_at_once(
    payments: PaymentService,
) -> None:
    await leave_credit(payments)
    await fault(payments, "403_account")

    [made] = (await request_refund(payments)).json()["refunds"]

    assert (made["status"], made["failure_reason"]) == ("failed", "account_invalid")
    assert await payments.books() == BACK


async def _delete_customer(payments: PaymentService) -> None:
    customer = await payments.db.admin.fetchval("SELECT stripe_customer_id FROM customers")
    await payments.sandbox.control("DELETE", f"/accounts/platform/objects/{customer}")


async def test_a_customer_that_is_gone_is_made_again(payments: PaymentService) -> None:
    card = await a_saved_card(payments)
    await _delete_customer(payments)
    saved = await payments.start((await payments.open_invoice(eur(20)), eur(20)), save=True)
    assert saved.status_code == 201, saved.text
    assert await saved_methods(payments) == []

    await _delete_customer(payments)
    assert (await payments.api.call("POST", "/setup-intents", payments.client)).status_code == 201
    method = {"kind": "saved", "payment_method_id": card["id"]}
    refused = await payments.start((await payments.open_invoice(eur(30)), eur(30)), method=method)
    assert (refused.status_code, refused.json()["code"]) == (404, "payment_method_not_found")


async def test_a_card_that_is_gone_is_forgotten_and_the_client_told(payments: PaymentService) -> None:
    card = await a_saved_card(payments)
    stripe_id = await payments.db.admin.fetchval("SELECT stripe_payment_method_id FROM payment_methods")
    await payments.sandbox.control("DELETE", f"/accounts/platform/objects/{stripe_id}")
    invoice = await payments.open_invoice(eur(20))

    refused = await payments.start(
        (invoice, eur(20)), method={"kind": "saved", "payment_method_id": card["id"]}
    )

    assert (refused.status_code, refused.json()["code"]) == (404, "payment_method_not_found")
    assert "Choose another way to pay" in refused.json()["detail"]
    assert await saved_methods(payments) == []
    assert (await payments.start((invoice, eur(20)))).status_code == 201


async def test_a_deleted_customer_is_heard_of(payments: PaymentService) -> None:
    await a_saved_card(payments)
    customer = await payments.db.admin.fetchval("SELECT stripe_customer_id FROM customers")
    await payments.stripe.sdk.v1.customers.delete_async(customer)
    await payments.hook.until("customer.deleted")

    await payments.consume()

    assert await saved_methods(payments) == []
    assert await payments.db.admin.fetchval("SELECT stripe_customer_id FROM customers") is None


async def test_a_card_of_a_revoked_account_is_removed_here(payments: PaymentService) -> None:
    await charged_on(payments, "acct_one")
    card = await a_saved_card(payments)
    await revoke(payments, "acct_one")

    removed = await payments.api.call("DELETE", f"/payment-methods/{card['id']}", payments.client)

    assert removed.status_code == 204, removed.text
    assert await saved_methods(payments) == []


async def test_an_account_that_is_refused_is_logged_once(payments: PaymentService) -> None:
    await charged_on(payments, "acct_wrong", known=False)
    invoice = await payments.open_invoice(eur(125))
    with capture_logs() as logs:
        for _ in range(3):
            await payments.start((invoice, eur(125)))
        await payments.sandbox.control("PUT", "/accounts/acct_wrong", {})
        await payments.start((invoice, eur(125)))

    logged = [(each["event"], each["account"]) for each in logs if "access" in each["event"]]
    assert logged == [("stripe_refuses_access", "acct_wrong"), ("stripe_gives_access_again", "acct_wrong")]
