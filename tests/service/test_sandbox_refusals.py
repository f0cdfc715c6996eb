"""The sandbox refuses what Stripe refuses, and where Stripe's rule is not known for sure it can do either."""

from typing import Any

import httpx2
import pytest
import stripe

from deploy.sandbox.embedded import RunningSandbox
from deploy.sandbox.testing import Inbox
from tests.running.sandbox import ACCOUNT, BACK, ON, V1, an_intent, confirm


async def refused(call: Any) -> tuple[int | None, str | None, str | None, str]:
    """(status, code, param, text) of Stripe's answer."""
    with pytest.raises(stripe.StripeError) as caught:
        await call
    error = caught.value
    about = error.error
    return error.http_status, getattr(about, "code", None), getattr(about, "param", None), str(error)


async def test_an_account_that_may_not_charge(v1: V1, sandbox: RunningSandbox, inbox: Inbox) -> None:
    path = f"/accounts/{ACCOUNT}"
    asked = {"charges_enabled": False, "requirements": {"disabled_reason": "requirements.past_due"}}
    await sandbox.control("PUT", path, asked)
    status, code, _, text = await refused(an_intent(v1))
    assert (status, code) == (400, None)
    assert "Your transaction has not been processed" in text
    told = await inbox.wait_for("account.updated")
    assert told.event["data"]["object"]["requirements"]["disabled_reason"] == "requirements.past_due"

    await sandbox.control("PUT", path, {"card_payments": "inactive"})
    await inbox.wait_for("capability.updated")
    assert "without the `card_payments` capability" in (await refused(an_intent(v1)))[3]
    await sandbox.control("PUT", "/unsure", {"checks_capability": False})
    assert (await an_intent(v1)).status == "requires_payment_method"


@pytest.mark.parametrize("code", ["testmode_charges_only", "capability_not_active"])
async def test_the_code_of_an_account_that_may_not_charge_is_not_known(
    v1: V1, sandbox: RunningSandbox, code: str
) -> None:
    await sandbox.control("PUT", f"/accounts/{ACCOUNT}", {"charges_enabled": False})
    await sandbox.control("PUT", "/unsure", {"no_charges_code": code})
    assert (await refused(an_intent(v1)))[1] == code


async def test_an_account_whose_owner_took_the_access_away(
    v1: V1, sandbox: RunningSandbox, inbox: Inbox
) -> None:
    await sandbox.control("DELETE", f"/accounts/{ACCOUNT}")

    status, code, _, text = await refused(an_intent(v1))

    told = await inbox.wait_for("account.application.deauthorized")
    assert (status, code) == (403, "account_invalid")
    assert "Application access may have been revoked" in text
    assert told.event["account"] == ACCOUNT
    assert told.event["data"]["object"]["object"] == "application"


async def test_a_deleted_customer_and_a_detached_card(v1: V1, sandbox: RunningSandbox) -> None:
    customer = await v1.customers.create_async({}, ON)
    card = await v1.payment_methods.attach_async("pm_card_visa", {"customer": customer.id}, ON)
    other = await v1.customers.create_async({}, ON)
    one = await an_intent(v1, customer=other.id)
    nobody = await an_intent(v1)
    assert (await refused(confirm(v1, one.id, card.id)))[:3] == (400, None, "payment_method")
    assert (await refused(confirm(v1, nobody.id, card.id)))[:3] == (400, "parameter_missing", "source")
    await v1.customers.delete_async(customer.id, None, ON)

    read = await v1.customers.retrieve_async(customer.id, None, ON)
    assert read.deleted is True
    assert (await refused(an_intent(v1, customer=customer.id)))[:3] == (400, "resource_missing", "customer")
    assert (await refused(confirm(v1, nobody.id, card.id)))[:3] == (400, None, "payment_method")
    await sandbox.control("PUT", "/unsure", {"used_method_code": "payment_method_unexpected_state"})
    assert (await refused(confirm(v1, nobody.id, card.id)))[1] == "payment_method_unexpected_state"


async def test_ids_that_are_not_there(v1: V1) -> None:
    for call, param in (
        (v1.payment_intents.retrieve_async("pi_x", None, ON), "intent"),
        (v1.setup_intents.retrieve_async("seti_x", None, ON), "intent"),
        (v1.charges.retrieve_async("ch_x", None, ON), "id"),
        (v1.disputes.retrieve_async("du_x", None, ON), "dispute"),
        (v1.payouts.retrieve_async("po_x", None, ON), "payout"),
        (v1.refunds.create_async({"charge": "ch_x"}, ON), "id"),
    ):
        assert (await refused(call))[:3] == (404, "resource_missing", param)
    assert (await refused(an_intent(v1, customer="cus_x")))[:3] == (400, "resource_missing", "customer")


async def test_refusals_of_a_refund_are_in_stripes_words(v1: V1) -> None:
    intent = await an_intent(v1, amount=4000, currency="usd")
    unpaid = (await refused(v1.refunds.create_async({"payment_intent": intent.id}, ON)))[3]
    paid = await confirm(v1, intent.id, "pm_card_visa")
    await v1.refunds.create_async({"payment_intent": intent.id, "amount": 1000}, ON)

    status, code, param, text = await refused(
        v1.refunds.create_async({"payment_intent": intent.id, "amount": 4000}, ON)
    )

    assert f"This PaymentIntent ({intent.id}) does not have a successful charge to refund." in unpaid
    assert (status, code, param) == (400, None, "amount")
    assert "Refund amount ($40.00) is greater than unrefunded amount on charge ($30.00)" in text
    assert (
        "One of the following params should be provided for this request"
        in (await refused(v1.refunds.create_async({}, ON)))[3]
    )
    made = await v1.refunds.create_async({"charge": paid.latest_charge}, ON)
    assert (
        "Canceling this refund is unsupported."
        in (await refused(v1.refunds.cancel_async(made.id, None, ON)))[3]
    )
    assert (await refused(v1.refunds.create_async({"charge": paid.latest_charge}, ON)))[
        1
    ] == "charge_already_refunded"


@pytest.mark.parametrize(
    ("unsure", "form", "accepted"),
    [
        ({}, {"amount": 49}, False),
        ({"enforces_minimum": False}, {"amount": 49}, True),
        ({}, {"amount": 10**9}, True),
        ({"maximum": "older"}, {"amount": 10**9}, False),
        ({"maximum": "older"}, {"amount": 10**8 - 1}, True),
    ],
)
async def test_amounts_whose_limits_are_not_sure(
    v1: V1, sandbox: RunningSandbox, unsure: dict[str, Any], form: dict[str, Any], accepted: bool
) -> None:
    await sandbox.control("PUT", "/unsure", unsure)
    if accepted:
        assert (await an_intent(v1, **form)).amount == form["amount"]
    else:
        assert (await refused(an_intent(v1, **form)))[0] == 400


async def test_the_code_of_an_uneven_amount_is_not_known(v1: V1, sandbox: RunningSandbox) -> None:
    await sandbox.control("PUT", "/unsure", {"uneven_code": "invalid_charge_amount"})
    for amount, currency in ((5_124, "kwd"), (100_050, "isk"), (1_000_050, "ugx")):
        answer = await refused(an_intent(v1, amount=amount, currency=currency))
        assert answer[:3] == (400, "invalid_charge_amount", "amount")


async def test_american_express_does_not_take_every_currency(v1: V1) -> None:
    intent = await an_intent(v1, amount=100_000, currency="brl")
    assert (await refused(confirm(v1, intent.id, "pm_card_amex")))[1] == "payment_method_currency_mismatch"
    assert (await confirm(v1, intent.id, "pm_card_visa")).status == "succeeded"


@pytest.mark.parametrize("repeats", [True, False])
async def test_a_declined_card_says_what_stripe_says(v1: V1, sandbox: RunningSandbox, repeats: bool) -> None:
    await sandbox.control("PUT", "/unsure", {"decline_code_repeats_code": repeats})
    for token, code, decline, advice in (
        ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline", "try_again_later"),
        ("pm_card_chargeDeclinedLostCard", "card_declined", "lost_card", "do_not_try_again"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card", "confirm_card_data"),
        ("pm_card_visa_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc", "confirm_card_data"),
    ):
        intent = await an_intent(v1)
        with pytest.raises(stripe.CardError) as caught:
            await confirm(v1, intent.id, token)
        said: Any = caught.value.error
        shown = decline if repeats or code == "card_declined" else None
        assert (said.code, said.to_dict().get("decline_code"), said.advice_code) == (code, shown, advice)
        assert said.payment_intent.status == "requires_payment_method"


async def test_radar_blocks_before_the_network_is_asked(v1: V1) -> None:
    intent = await an_intent(v1)
    with pytest.raises(stripe.CardError):
        await confirm(v1, intent.id, "pm_card_radarBlock")
    [charge] = (await v1.charges.list_async({"payment_intent": intent.id}, ON)).data
    outcome = charge.outcome
    assert (outcome.type, outcome.network_status) == ("blocked", "not_sent_to_network")
    assert (outcome.reason, outcome.advice_code) == ("highest_risk_level", "do_not_try_again")


async def test_off_session_a_card_that_asks_for_more_makes_no_charge(v1: V1) -> None:
    answer = await refused(
        an_intent(
            v1,
            confirm=True,
            off_session=True,
            payment_method="pm_card_authenticationRequired",
            return_url=BACK,
        )
    )
    assert answer[:2] == (402, "authentication_required")
    assert (await v1.charges.list_async({}, ON)).data == []


async def test_a_card_that_checks_its_security_code_wants_one(v1: V1) -> None:
    fields = {"number": "4000000000000127", "exp_month": 12, "exp_year": 2040}
    silent, asked = [
        await v1.payment_methods.create_async({"type": "card", "card": fields | cvc}, ON)
        for cvc in ({}, {"cvc": "123"})
    ]
    assert (await confirm(v1, (await an_intent(v1)).id, silent.id)).status == "succeeded"
    answer = await refused(confirm(v1, (await an_intent(v1)).id, asked.id))
    assert answer[:3] == (402, "incorrect_cvc", "cvc")


@pytest.mark.parametrize("reason", ["global-rate", "endpoint-concurrency", "resource-specific"])
async def test_the_limit_that_was_reached_is_named(sandbox: RunningSandbox, reason: str) -> None:
    headers = {"Authorization": f"Bearer {sandbox.secret_key}"}
    async with httpx2.AsyncClient(base_url=sandbox.url, headers=headers, trust_env=False) as http:
        await sandbox.control("POST", "/faults/api", {"kind": "429", "reason": reason})
        limited = await http.get("/v1/charges")
        await sandbox.control("POST", "/faults/api", {"kind": "429_lock"})
        locked = await http.get("/v1/charges")
    assert (limited.status_code, limited.json()["error"]["code"]) == (429, "rate_limit")
    assert limited.headers["stripe-rate-limited-reason"] == reason
    assert (locked.status_code, locked.json()["error"]["code"]) == (429, "lock_timeout")
    assert "stripe-rate-limited-reason" not in locked.headers


@pytest.mark.parametrize("code", ["", "more_permissions_required"])
async def test_a_restricted_key_does_what_it_may(sandbox: RunningSandbox, code: str) -> None:
    await sandbox.control("PUT", "/unsure", {"permission_code": code})
    await sandbox.control("PUT", "/keys", {"key": "rk_test_reader", "rights": ["GET /v1/charges*"]})
    headers = {"Authorization": "Bearer rk_test_reader"}
    async with httpx2.AsyncClient(base_url=sandbox.url, headers=headers, trust_env=False) as http:
        may, may_not = await http.get("/v1/charges"), await http.post("/v1/customers")
    assert may.status_code == 200
    assert (may_not.status_code, may_not.json()["error"].get("code", "")) == (403, code)
    assert "does not have the required permissions" in may_not.json()["error"]["message"]


async def test_a_charge_may_be_booked_a_moment_later(v1: V1, sandbox: RunningSandbox, inbox: Inbox) -> None:
    await sandbox.control("PUT", "/unsure", {"booked_later": True})
    paid = await confirm(v1, (await an_intent(v1)).id, "pm_card_visa", expand=["latest_charge"])
    await inbox.wait_for("charge.updated")

    charge = await v1.charges.retrieve_async(paid.latest_charge.id, None, ON)

    assert paid.latest_charge.balance_transaction is None
    assert charge.balance_transaction is not None


async def test_both_cursors_of_a_list_are_too_many(v1: V1) -> None:
    params: Any = {"starting_after": "ch_a", "ending_before": "ch_b"}
    assert (await refused(v1.charges.list_async(params, ON)))[:2] == (400, None)
