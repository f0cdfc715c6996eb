"""Rules of Stripe's that nobody knows for sure: our books and answers are right whichever of them holds."""

from typing import Any

import pytest

from deploy.ops.verify.run import verify
from tests.builders.values import eur, money
from tests.running.installation import Installation
from tests.running.payment import PaymentService
from tests.service.test_payment_methods import a_saved_card, saved_methods
from tests.service.test_stripe_gone import charged_on
from tests.service.test_verify_truth import changed, confirmed

CLINICS = "acct_clinic000000001"


async def unsure(payments: PaymentService, **chosen: Any) -> None:
    await payments.sandbox.control("PUT", "/unsure", chosen)


@pytest.mark.parametrize("how", [{"charges_enabled": False}, {"card_payments": "inactive"}])
@pytest.mark.parametrize("code", ["", "testmode_charges_only", "capability_not_active"])
async def test_an_account_that_may_not_charge_holds_no_invoice(
    payments: PaymentService, code: str, how: dict[str, Any]
) -> None:
    await unsure(payments, no_charges_code=code)
    await charged_on(payments, CLINICS)
    await payments.sandbox.control("PUT", f"/accounts/{CLINICS}", how)
    invoice = await payments.open_invoice(eur(125))

    refused = await payments.start((invoice, eur(125)))
    await payments.sandbox.control("POST", "/clock", {"offset_seconds": 10})
    await payments.sandbox.control("PUT", f"/accounts/{CLINICS}", {})
    await payments.hook.until("account.updated", 2)
    await payments.consume()
    again = await payments.start((invoice, eur(125)))

    assert refused.status_code >= 400
    assert "Nothing was taken" in refused.json()["detail"]
    assert again.status_code == 201, again.text


@pytest.mark.parametrize("repeats", [True, False])
async def test_a_decline_has_one_reason_whether_or_not_stripe_repeats_it(
    payments: PaymentService, repeats: bool
) -> None:
    await unsure(payments, decline_code_repeats_code=repeats)
    for number, code in enumerate(("ExpiredCard", "IncorrectCvc", "ProcessingError"), start=1):
        started = await payments.start((await payments.open_invoice(eur(125)), eur(125)))
        await payments.confirm(started, f"pm_card_chargeDeclined{code}")
        await payments.hook.until("payment_intent.payment_failed", number)
    await payments.consume()
    rows = await payments.db.admin.fetch("SELECT failure_code FROM payments ORDER BY failure_code")
    assert [row["failure_code"] for row in rows] == ["expired_card", "incorrect_cvc", "processing_error"]


@pytest.mark.parametrize("code", ["", "payment_method_unexpected_state"])
async def test_a_detached_card_is_forgotten_whatever_its_refusal_is_called(
    payments: PaymentService, code: str
) -> None:
    await unsure(payments, used_method_code=code)
    card = await a_saved_card(payments)
    stripe_id = await payments.db.admin.fetchval("SELECT stripe_payment_method_id FROM payment_methods")
    await payments.stripe.sdk.v1.payment_methods.detach_async(stripe_id)
    invoice = await payments.open_invoice(eur(20))

    refused = await payments.start(
        (invoice, eur(20)), method={"kind": "saved", "payment_method_id": card["id"]}
    )

    assert (refused.status_code, refused.json()["code"]) == (404, "payment_method_not_found")
    assert await saved_methods(payments) == []
    assert (await payments.start((invoice, eur(20)))).status_code == 201


@pytest.mark.parametrize(("digits", "status"), [("newer", 201), ("older", 422)])
async def test_an_amount_that_only_one_of_two_limits_takes(
    payments: PaymentService, digits: str, status: int
) -> None:
    await unsure(payments, maximum=digits)
    invoice = await payments.open_invoice(money(10**9))

    answer = await payments.start((invoice, money(10**9)))

    assert answer.status_code == status, answer.text
    held = await payments.db.admin.fetchval("SELECT count(*) FROM allocations WHERE state = 'open'")
    assert held == (1 if status == 201 else 0)
    assert status == 201 or answer.json()["code"] == "amount_too_large"


@pytest.mark.parametrize("counts_back", [True, False])
@pytest.mark.parametrize("booked_later", [True, False])
async def test_the_books_agree_with_stripes(
    installation: Installation, counts_back: bool, booked_later: bool
) -> None:
    await unsure(installation.payments, failed_refund_counts_back=counts_back, booked_later=booked_later)
    started = await installation.payments.start((await installation.open_invoice(4_000), money(4_000)))
    await changed(installation, started, 4_500)
    payment_id = await confirmed(installation, started)
    await installation.payments.consume()
    await installation.pump()
    await installation.refund(200, "failed", payment_id=payment_id)
    report = await verify(installation.access, wait=0)

    assert not report.breaches, str(report)


@pytest.mark.parametrize("counts_back", [True, False])
@pytest.mark.parametrize("kind", ["du", "dp"])
async def test_a_dispute_is_booked_whatever_its_id_begins_with(
    installation: Installation, kind: str, counts_back: bool
) -> None:
    await unsure(installation.payments, dispute_prefix=kind, failed_refund_counts_back=counts_back)
    started = await installation.payments.start((await installation.open_invoice(4_000), money(4_000)))
    already = installation.payments.hook.count("payment_intent.succeeded")
    await installation.payments.confirm(started, "pm_card_createDispute")
    await installation.payments.hook.until("payment_intent.succeeded", already + 1)
    await installation.payments.consume()
    await installation.pump()
    report = await verify(installation.access, wait=0)

    assert [breach.check for breach in report.breaches] == []
