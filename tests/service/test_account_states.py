"""The abilities of a clinic's Stripe account: kept from Stripe's events and answers, and nothing else is offered."""

from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from contracts.events.account import AccountUpdated
from services.payment.accounts.sweep import refresh_accounts
from tests.builders.callers import a_caller
from tests.builders.events import outbox_events
from tests.builders.values import eur
from tests.running.payment import PaymentService
from tests.service.test_stripe_gone import charged_on, revoke

REFUSED = (409, "account_cannot_charge")


async def account_of(payments: PaymentService) -> Any:
    return (await payments.api.call("GET", "/account", a_caller("operator", payments.clinic_id))).json()


async def switch(payments: PaymentService, account: str, **abilities: Any) -> None:
    await payments.sandbox.control("PUT", f"/accounts/{account}", abilities)


async def press(payments: PaymentService, **how: Any) -> tuple[int, str]:
    invoice = await payments.open_invoice(eur(125))
    answer = await payments.start((invoice, eur(125)), **how)
    return answer.status_code, answer.json().get("code", "")


async def heard(payments: PaymentService, event_type: str, count: int = 1) -> None:
    await payments.hook.until(event_type, count)
    await payments.consume()


async def later(payments: PaymentService, by: timedelta) -> None:
    await payments.db.admin.execute(
        "UPDATE account_states SET checked_at = checked_at - $1::interval, changed_at = changed_at - $1::interval",
        by,
    )


@pytest.fixture
async def clinic(payments: PaymentService) -> PaymentService:
    await payments.update_clinic(2)
    await charged_on(payments, "acct_clinic")
    await refresh_accounts(payments.worker, payments.stripe)
    return payments


async def test_an_account_that_may_not_charge_starts_nothing_and_the_operator_is_told(
    clinic: PaymentService,
) -> None:
    await switch(clinic, "acct_clinic", charges_enabled=False)
    with capture_logs() as logs:
        await heard(clinic, "account.updated")
        await clinic.consume()

    assert await press(clinic) == REFUSED
    setup = await clinic.api.call("POST", "/setup-intents", clinic.client)
    assert (setup.status_code, setup.json()["code"]) == REFUSED
    told = await account_of(clinic)
    assert (told["takes_payments"], told["problem"], told["methods"]) == (False, "charges_disabled", [])
    assert [each["event"] for each in logs].count("account_cannot_charge") == 1
    assert await clinic.db.admin.fetchval("SELECT count(*) FROM payments") == 0


async def test_an_account_whose_owner_took_our_access_away_starts_nothing(clinic: PaymentService) -> None:
    await revoke(clinic, "acct_clinic")
    await heard(clinic, "account.application.deauthorized")

    assert (await account_of(clinic))["problem"] == "no_access"
    assert await press(clinic) == REFUSED


@pytest.mark.parametrize("kind", ["charges_disabled", "no_access"])
async def test_without_any_event_stripes_own_answer_is_kept(clinic: PaymentService, kind: str) -> None:
    if kind == "no_access":
        await revoke(clinic, "acct_clinic")
    else:
        await switch(clinic, "acct_clinic", charges_enabled=False)
    first = await press(clinic)

    assert first == (REFUSED if kind == "charges_disabled" else (503, "stripe_misconfigured"))
    assert (await account_of(clinic))["problem"] == kind
    assert await press(clinic) == REFUSED
    assert await clinic.db.admin.fetchval("SELECT count(*) FROM allocations WHERE state = 'open'") == 0


@pytest.mark.parametrize("how", ["event", "sweep", "press"])
async def test_an_account_that_can_charge_again_is_noticed(clinic: PaymentService, how: str) -> None:
    await switch(clinic, "acct_clinic", charges_enabled=False)
    await heard(clinic, "account.updated")
    await clinic.sandbox.control("POST", "/clock", {"offset_seconds": 2})
    await switch(clinic, "acct_clinic", charges_enabled=True)
    if how == "event":
        await heard(clinic, "account.updated", 2)
    elif how == "sweep":
        await later(clinic, timedelta(minutes=2))
        await refresh_accounts(clinic.worker, clinic.stripe)

    if how != "press":
        assert (await account_of(clinic))["takes_payments"]
    assert await press(clinic) == (201, "")


async def test_an_older_event_changes_nothing_and_one_of_the_same_second_is_asked_about(
    clinic: PaymentService,
) -> None:
    await switch(clinic, "acct_clinic", charges_enabled=False)
    await switch(clinic, "acct_clinic", charges_enabled=True)
    await clinic.hook.until("account.updated", 2)
    off, on = (event for event in clinic.hook.events() if event.event_type == "account.updated")
    moment = off.created + timedelta(hours=1)
    on = on.model_copy(update={"created": moment})

    await clinic.consume(on)
    await clinic.consume(off)
    assert (await account_of(clinic))["takes_payments"]

    await clinic.consume(off.model_copy(update={"created": moment}))
    assert (await account_of(clinic))["takes_payments"]
    asked = await clinic.db.admin.fetchval(
        "SELECT checked_at FROM account_states WHERE account = 'acct_clinic'"
    )
    assert asked.year == 1, "it is to be asked about at once"


OTHERS = ("bancontact", "eps", "ideal", "p24", "revolut_pay", "sepa_debit", "us_bank_account_ach")


@pytest.mark.parametrize(
    ("abilities", "way", "others"),
    [
        ({"card_payments": "inactive"}, "card", ["debit", "redirect"]),
        ({"capabilities": {f"{each}_payments": "inactive" for each in OTHERS}}, "redirect", ["card"]),
    ],
)
async def test_a_way_to_pay_needs_the_accounts_capability(
    clinic: PaymentService, abilities: dict[str, Any], way: str, others: list[str]
) -> None:
    await switch(clinic, "acct_clinic", **abilities)
    await heard(clinic, "capability.updated")
    await refresh_accounts(clinic.worker, clinic.stripe)

    assert (await account_of(clinic))["methods"] == others
    assert await press(clinic, method={"kind": way}) == (409, "method_not_accepted")
    if others == ["card"]:  # the sandbox charges nothing on an account that takes no cards
        assert await press(clinic) == (201, "")


async def test_what_a_clinic_can_take_is_published_once_for_each_change(clinic: PaymentService) -> None:
    for enabled, count in ((False, 1), (True, 2)):
        await clinic.sandbox.control("POST", "/clock", {"offset_seconds": count * 10})
        await switch(clinic, "acct_clinic", charges_enabled=enabled)
        await heard(clinic, "account.updated", count)
        for _ in range(2):
            await refresh_accounts(clinic.worker, clinic.stripe)

    published = [each for each in await outbox_events(clinic.db) if isinstance(each, AccountUpdated)]
    assert [(each.version, each.takes_payments) for each in published] == [(1, False), (2, True)]


async def test_events_of_accounts_that_no_clinic_has_are_kept_nowhere(payments: PaymentService) -> None:
    await switch(payments, "acct_other")
    await switch(payments, "acct_other", charges_enabled=False)
    await heard(payments, "account.updated")

    assert await payments.db.admin.fetchval("SELECT count(*) FROM account_states WHERE account <> ''") == 0
