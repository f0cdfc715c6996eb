"""A clinic's Stripe account: chosen by its own request, and no live payment without a choice."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import uuid4

import pytest

from services.chassis import clock
from services.payment import consumers
from services.payment.accounts.changes import apply_states
from services.payment.accounts.domain import unreachable
from tests.builders.events import deliver, outbox_events
from tests.builders.invoices import taxed_invoice_body
from tests.running.databases import ServiceDb
from tests.running.gateway import (
    ACCOUNT,
    CLINIC,
    SETTINGS,
    Site,
    a_whole_site,
    create_client,
    create_clinic,
    put_account,
)

Open = Callable[..., AbstractAsyncContextManager[Site]]


@pytest.fixture
async def opened(
    db_gateway: ServiceDb, db_invoice: ServiceDb, db_payment: ServiceDb, db_notification: ServiceDb
) -> Open:
    return lambda **changed: a_whole_site(db_gateway, db_invoice, db_payment, db_notification, **changed)


@pytest.fixture
async def site(opened: Open) -> AsyncIterator[Site]:
    async with opened() as site:
        yield site


async def choose(site: Site, clinic: Any, body: Any) -> Any:
    return await site.api("PUT", f"/clinics/{clinic['id']}/stripe-account", json=body)


async def test_the_choice_is_kept_and_shown(site: Site) -> None:
    clinic = await create_clinic(site)
    path = f"/clinics/{clinic['id']}"

    own = await choose(site, clinic, {"stripe_account_id": ACCOUNT})
    able = {
        "takes_payments": True,
        "problem": None,
        "disabled_reason": None,
        "methods": ["card", "debit", "redirect"],
        "debit_currencies": ["EUR", "USD"],
        "systems": [],
    }
    assert own.json() == able | {
        "stripe_account_id": ACCOUNT,
        "platform_account": False,
        "charged_on": "own",
    }
    assert (await site.api("GET", f"{path}/stripe-account")).json() == own.json()
    assert (await site.api("GET", path)).json()["stripe_account_id"] == ACCOUNT

    platform = await choose(site, clinic, {"platform_account": True})
    assert platform.json() == able | {
        "stripe_account_id": None,
        "platform_account": True,
        "charged_on": "platform",
    }
    assert (await site.api("GET", path)).json()["platform_account"] is True

    none = await choose(site, clinic, {"stripe_account_id": None})
    assert none.json() == able | {
        "stripe_account_id": None,
        "platform_account": False,
        "charged_on": "platform",
    }


async def test_an_account_that_another_clinic_has_is_refused_and_nothing_changes(
    site: Site, db_payment: ServiceDb
) -> None:
    oak, elm = await create_clinic(site), await create_clinic(site, slug="elm")
    await put_account(site, oak)
    await put_account(site, elm, "acct_1Elm")

    refused = await put_account(site, elm)

    assert (refused.status_code, refused.json()["code"]) == (409, "stripe_account_in_use")
    kept = await db_payment.admin.fetch("SELECT stripe_account_id FROM accounts ORDER BY stripe_account_id")
    assert [row[0] for row in kept] == ["acct_1Elm", ACCOUNT]


async def test_an_account_of_no_clinic_is_not_kept(site: Site, db_payment: ServiceDb) -> None:
    refused = await put_account(site, {"id": uuid4()})

    assert (refused.status_code, refused.json()["code"]) == (404, "clinic_not_found")
    assert await db_payment.admin.fetchval("SELECT count(*) FROM accounts") == 0


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"platform_account": False},
        {"stripe_account_id": ACCOUNT, "platform_account": True},
        {"stripe_account_id": "cus_1"},
        {"stripe_account_id": f"{ACCOUNT}\n"},
        {"stripe_account_id": ACCOUNT, "currency": "EUR"},
        {"platform_account": "true"},
    ],
)
async def test_a_body_that_does_not_say_one_thing_is_refused(
    site: Site, db_payment: ServiceDb, body: Any
) -> None:
    refused = await choose(site, await create_clinic(site), body)

    assert (refused.status_code, refused.json()["code"]) == (400, "request_invalid"), refused.text
    assert await db_payment.admin.fetchval("SELECT count(*) FROM accounts") == 0


async def test_settings_take_no_account(site: Site, db_payment: ServiceDb) -> None:
    named = {**CLINIC, "slug": "elm", "stripe_account_id": ACCOUNT}
    clinic = await create_clinic(site)

    at = f"/clinics/{clinic['id']}"
    for method, path, body in (
        ("POST", "/clinics", named),
        ("PUT", at, {**SETTINGS, "stripe_account_id": ACCOUNT}),
        ("PATCH", at, {"stripe_account_id": None}),
    ):
        refused = await site.api(method, path, json=body)
        assert (refused.status_code, refused.json()["code"]) == (400, "request_invalid")
        assert "stripe_account_id" in refused.text
    assert await db_payment.admin.fetchval("SELECT count(*) FROM accounts") == 0


async def test_live_money_needs_a_choice(opened: Open, db_invoice: ServiceDb, db_payment: ServiceDb) -> None:
    async with opened(stripe_publishable_key="pk_live_1") as site:
        clinic = await create_clinic(site)
        client = await create_client(site, clinic)
        issued = await site.api("POST", f"/clinics/{clinic['id']}/invoices", json=taxed_invoice_body(client))
        await deliver(db_payment.worker, consumers, *await outbox_events(db_invoice))
        page = f"/c/oak/invoices/{issued.json()['id']}"
        await site.log_in("ann@example.com")

        assert (await choose(site, clinic, {"stripe_account_id": None})).json()["charged_on"] == "none"
        refused = await _pay(site, page, issued.json()["due"])
        assert (refused.status_code, refused.json()["code"]) == (409, "no_stripe_account")
        assert "contact the clinic" in refused.json()["message"]
        assert await db_payment.admin.fetchval("SELECT count(*) FROM payments") == 0
        assert f"{page}/pay" not in (await _page(site, page))
        assert "takes payments directly" in await _page(site, f"{page}/pay")
        assert (await site.get("/c/oak/methods/add")).headers["location"].endswith("/methods")

        assert (await choose(site, clinic, {"platform_account": True})).json()["charged_on"] == "platform"
        assert f"{page}/pay" in await _page(site, page)
        # Nobody answers at Stripe's address in this test; the payment has begun.
        begun = await _pay(site, page, issued.json()["due"])
        assert begun.json()["code"] != "no_stripe_account", begun.text
        accounts = await db_payment.admin.fetch("SELECT account, livemode FROM payments")
        assert [tuple(row) for row in accounts] == [("", True)]


async def test_an_account_that_cannot_charge_is_offered_on_no_page_and_in_no_answer(
    site: Site, db_invoice: ServiceDb, db_payment: ServiceDb
) -> None:
    clinic = await create_clinic(site)
    await put_account(site, clinic)
    client = await create_client(site, clinic)
    issued = await site.api("POST", f"/clinics/{clinic['id']}/invoices", json=taxed_invoice_body(client))
    await deliver(db_payment.worker, consumers, *await outbox_events(db_invoice))
    await site.log_in("ann@example.com")
    page = f"/c/oak/invoices/{issued.json()['id']}"
    pages = ("/c/oak/", "/c/oak/billing", page)
    assert issued.json()["methods"] == ["card", "redirect"]
    assert f"{page}/pay" in await _page(site, page)

    async with db_payment.worker.worker_tx() as tx:
        await apply_states(tx, [unreachable(ACCOUNT, clock.now())])
    told = (await site.api("GET", f"/clinics/{clinic['id']}/stripe-account")).json()
    assert (told["takes_payments"], told["problem"]) == (False, "no_access")

    for path in pages:
        shown = await _page(site, path)
        assert f"{page}/pay" not in shown and "Review and pay" not in shown, path
    assert "does not take payments in this portal" in await _page(site, "/c/oak/")
    assert "takes payments directly" in await _page(site, f"{page}/pay")
    refused = await _pay(site, page, issued.json()["due"])
    assert (refused.status_code, refused.json()["code"]) == (409, "account_cannot_charge")
    assert "contact the clinic" in refused.json()["message"]
    read = await site.api("GET", f"/clinics/{clinic['id']}/invoices/{issued.json()['id']}")
    listed = await site.api("GET", f"/clinics/{clinic['id']}/invoices")
    assert (read.json()["methods"], listed.json()["items"][0]["methods"]) == ([], [])


async def _page(site: Site, path: str) -> str:
    text: str = (await site.get(path, headers={"Accept": "text/html"})).text
    return text


async def _pay(site: Site, page: str, due: Any) -> Any:
    return await site.client.post(
        "/c/oak/payments",
        json={
            "invoices": [{"invoice_id": page.rpartition("/")[2], "amount": due}],
            "method": {"kind": "card"},
        },
        headers={"x-csrftoken": site.cookie("csrf") or ""},
    )
