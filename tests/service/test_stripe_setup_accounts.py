"""`clinicpay stripe` looks at the account and the wallets of each clinic."""

from datetime import UTC, datetime
from typing import Any

import pytest

from deploy.ops import database
from deploy.ops.stripe_setup import accounts, check
from deploy.ops.stripe_setup.access import Given
from deploy.sandbox.embedded import RunningSandbox
from services.chassis.ids import new_id
from tests.running.databases import ServiceDb
from tests.running.installation import name_in
from tests.running.sandbox import ACCOUNT
from tests.running.stripe_setup import bad, given, listed, post, run, set_up


@pytest.fixture
async def with_clinics(stripe: RunningSandbox, db_payment: ServiceDb) -> Given:
    """Two clinics with accounts of their own."""
    for account in (ACCOUNT, "acct_second0000001"):
        await stripe.control("PUT", f"/accounts/{account}", {})
        await db_payment.admin.execute(
            "INSERT INTO accounts (clinic_id, stripe_account_id) VALUES ($1, $2)", new_id(), account
        )
    await set_up(stripe)
    auditor = database.role_dsn(
        db_payment.admin_dsn, database.AUDITOR, database.AUDITOR, name_in(db_payment.admin_dsn)
    )
    return given(stripe, database=auditor)


@pytest.mark.parametrize(
    ("how", "check_name", "words"),
    [
        (
            {"charges_enabled": False, "requirements": {"disabled_reason": "rejected.fraud"}},
            "account_charges",
            "rejected.fraud",
        ),
        ({"card_payments": "inactive"}, "account_capability", "card_payments is inactive"),
        ({"requirements": {"past_due": ["external_account"]}}, "account_requirements", "external_account"),
        (None, "account_access", "account_invalid"),
    ],
)
async def test_an_account_that_cannot_charge_is_named_and_the_others_are_looked_at(
    stripe: RunningSandbox, with_clinics: Given, how: dict[str, Any] | None, check_name: str, words: str
) -> None:
    for account in (ACCOUNT, "acct_second0000001"):
        await post(stripe, "payment_method_domains", account, domain_name="pay.example.com")
    assert bad(await check.check(with_clinics)) == []

    await stripe.control("DELETE" if how is None else "PUT", f"/accounts/{ACCOUNT}", how)
    findings = await check.check(with_clinics)

    assert bad(findings) == [(check_name, "wrong")]
    [found] = [each for each in findings if each.check == check_name]
    assert (found.about, words in found.words, bool(found.way)) == (ACCOUNT, True, True)
    assert ("account", "acct_second0000001") in [(each.check, each.about) for each in findings]


async def test_wallets_are_registered_on_every_account_of_a_clinic(
    stripe: RunningSandbox, with_clinics: Given
) -> None:
    assert bad(await check.check(with_clinics)) == [("domain", "wrong")] * 2
    url = f"payment={with_clinics.database}"

    await run(stripe, "setup", "--yes", AUDITOR_DATABASE_URLS=url)
    assert bad(await check.check(with_clinics)) == []
    [domain] = (await listed(stripe, "payment_method_domains"))[:1]
    await post(stripe, f"payment_method_domains/{domain['id']}", enabled="false")
    assert bad(await check.check(with_clinics)) == [("domain", "wrong")]
    again = await run(stripe, "setup", "--yes", AUDITOR_DATABASE_URLS=url)

    assert "switch the domain pay.example.com on platform on" in again.output
    assert bad(await check.check(with_clinics)) == []


def test_what_stripe_asks_of_an_owner_is_said_with_its_day() -> None:
    now = datetime(2026, 12, 1, tzinfo=UTC)
    asked = {"currently_due": ["person.dob"], "current_deadline": int(now.timestamp()) + 9 * 86_400}
    account = {
        "charges_enabled": True,
        "payouts_enabled": False,
        "capabilities": {"card_payments": "active"},
        "requirements": asked,
    }
    due, payouts = accounts.judged("acct_1", account, now)
    assert "person.dob by 2026-12-10, in 9 days" in due.words
    assert (due.level, payouts.check, payouts.level) == ("note", "account_payouts", "note")
