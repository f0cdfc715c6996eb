"""Cards that clients keep: saved with a payment or without, offered first, taken away."""

from typing import Any

import httpx2

from services.chassis.ids import new_id
from services.payment import jobs
from tests.builders.callers import a_caller
from tests.builders.values import eur, money
from tests.running.payment import Desk


async def saved_methods(desk: Desk) -> list[dict[str, Any]]:
    answer = await desk.api.call("GET", "/payment-methods", desk.client)
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def a_saved_card(desk: Desk) -> dict[str, Any]:
    """A card kept by paying with `save`."""
    invoice = await desk.owes(eur(10))
    await desk.pay((invoice, eur(10)), save=True)
    await desk.hook.until("payment_method.attached")
    await desk.hear()
    return (await saved_methods(desk))[0]


async def test_a_card_saved_with_a_payment_pays_the_next_one(desk: Desk) -> None:
    card = await a_saved_card(desk)
    assert (card["kind"], card["brand"], card["last4"], card["default"]) == ("card", "visa", "4242", True)
    assert card["exp_year"] > 2026

    invoice = await desk.owes(eur(20))
    started = await desk.start((invoice, eur(20)), method={"kind": "saved", "payment_method_id": card["id"]})
    assert started.status_code == 201, started.text
    await desk.confirm(started, started.json()["saved_method"])
    await desk.hook.until("payment_intent.succeeded", 2)
    await desk.hear()

    paid = await desk.payment(started.json()["payment_id"])
    assert (paid["status"], paid["method"]["last4"]) == ("succeeded", "4242")
    assert await desk.db.admin.fetchval("SELECT count(*) FROM customers") == 1


async def test_a_saved_card_pays_no_more_than_its_network_takes(desk: Desk) -> None:
    invoice = await desk.owes(eur(10))
    started = await desk.start((invoice, eur(10)), save=True)
    await desk.confirm(started, "pm_card_amex")
    await desk.hook.until("payment_method.attached")
    await desk.hook.until("payment_intent.succeeded")
    await desk.hear()
    [card] = await saved_methods(desk)
    large = await desk.owes(money(10**9))

    answer = await desk.start(
        (large, money(10**9)), method={"kind": "saved", "payment_method_id": card["id"]}
    )

    assert (card["brand"], answer.status_code, answer.json()["code"]) == ("amex", 422, "amount_too_large")
    assert (await desk.start((large, money(10**9)))).status_code == 201


async def test_another_clients_saved_card_is_not_found(desk: Desk) -> None:
    card = await a_saved_card(desk)
    invoice = await desk.owes(eur(20))
    desk.client_id = new_id()
    mine = await desk.owes(eur(20))
    method = {"kind": "saved", "payment_method_id": card["id"]}

    answer = await desk.start((mine, eur(20)), method=method)

    assert (answer.status_code, answer.json()["code"]) == (404, "payment_method_not_found")
    assert (await desk.start((invoice, eur(20)), method=method)).status_code == 404
    for verb, path in (("DELETE", ""), ("PUT", "/default")):
        refused = await desk.api.call(verb, f"/payment-methods/{card['id']}{path}", desk.client)
        assert refused.status_code == 404


async def test_a_removed_card_is_detached_at_stripe_and_offered_no_more(desk: Desk) -> None:
    card = await a_saved_card(desk)

    for _ in range(2):
        removed = await desk.api.call("DELETE", f"/payment-methods/{card['id']}", desk.client)
        assert removed.status_code in (204, 404)

    assert await saved_methods(desk) == []
    await desk.hook.until("payment_method.detached")
    await desk.hear()
    assert await saved_methods(desk) == []


async def test_a_card_taken_away_at_stripe_is_offered_no_more(desk: Desk) -> None:
    card = await a_saved_card(desk)
    stripe_id = await desk.db.admin.fetchval(
        "SELECT stripe_payment_method_id FROM payment_methods WHERE id::text = $1", card["id"]
    )
    async with httpx2.AsyncClient(base_url=desk.sandbox.url, trust_env=False) as dashboard:
        await dashboard.post(
            f"/v1/payment_methods/{stripe_id}/detach",
            headers={"Authorization": f"Bearer {desk.sandbox.secret_key}"},
        )
    await desk.hook.until("payment_method.detached")
    await desk.hear()
    assert await saved_methods(desk) == []


async def a_setup(desk: Desk, method: str) -> dict[str, Any]:
    started = await desk.api.call("POST", "/setup-intents", desk.client)
    assert started.status_code == 201, started.text
    secret = started.json()["client_secret"]
    form = {"client_secret": secret, "payment_method": method, "key": desk.sandbox.publishable_key}
    async with httpx2.AsyncClient(base_url=desk.sandbox.url, trust_env=False) as browser:
        answer = await browser.post(f"/v1/setup_intents/{secret.split('_secret_')[0]}/confirm", data=form)
    body: dict[str, Any] = answer.json()
    return body


async def test_a_card_saved_without_paying_and_the_clients_choice_of_the_default(desk: Desk) -> None:
    first = await a_saved_card(desk)
    assert (await a_setup(desk, "pm_card_mastercard"))["status"] == "succeeded"
    await desk.hook.until("setup_intent.succeeded")
    await desk.hook.until("payment_method.attached", 2)
    await desk.hear()
    second = (await saved_methods(desk))[1]
    assert (second["brand"], second["default"]) == ("mastercard", False)

    chosen = await desk.api.call("PUT", f"/payment-methods/{second['id']}/default", desk.client)

    assert chosen.json()["default"] is True
    assert [(card["id"], card["default"]) for card in await saved_methods(desk)] == [
        (second["id"], True),
        (first["id"], False),
    ]
    await desk.api.call("DELETE", f"/payment-methods/{second['id']}", desk.client)
    assert [(card["id"], card["default"]) for card in await saved_methods(desk)] == [(first["id"], True)]


async def test_a_card_whose_details_no_webhook_told_is_asked_about(desk: Desk) -> None:
    await a_setup(desk, "pm_card_mastercard")
    await desk.hook.until("setup_intent.succeeded")
    await desk.hear(*(each for each in desk.hook.events() if each.event_type == "setup_intent.succeeded"))
    assert await saved_methods(desk) == []

    await jobs.refresh_methods(desk.worker, desk.stripe)

    (card,) = await saved_methods(desk)
    assert (card["brand"], card["last4"]) == ("mastercard", "4444")


async def test_staff_have_no_saved_cards(desk: Desk) -> None:
    answer = await desk.api.call("GET", "/payment-methods", a_caller("staff", desk.clinic_id))
    assert answer.status_code == 403


async def test_an_error_of_stripes_own_does_not_keep_a_client_from_saving_a_card_for_a_day(
    desk: Desk,
) -> None:
    """Stripe keeps the 500 under the customer's key: it has to be another one that is asked with next."""
    invoice = await desk.owes(eur(10))
    fault = {"kind": "500_before", "method": "POST", "path": "/v1/customers"}
    await desk.sandbox.control("POST", "/faults/api", fault)

    failed = await desk.start((invoice, eur(10)), save=True)
    again = await desk.start((invoice, eur(10)), save=True)

    assert (failed.status_code, failed.json()["code"]) == (503, "stripe_unavailable")
    assert again.status_code == 200
    assert await desk.db.admin.fetchval("SELECT stripe_customer_id FROM customers") is not None


async def test_cards_that_stripe_tells_nothing_of_keep_no_other_waiting(desk: Desk) -> None:
    """More of them than one run asks about, and none of them is asked about in every run."""
    await a_setup(desk, "pm_card_mastercard")
    await desk.hook.until("setup_intent.succeeded")
    await desk.hear(*(each for each in desk.hook.events() if each.event_type == "setup_intent.succeeded"))
    await desk.db.admin.execute(
        """
        INSERT INTO payment_methods
            (clinic_id, id, client_id, account, stripe_payment_method_id, kind, created_at, checked_at)
        SELECT clinic_id, gen_random_uuid(), client_id, account, 'pm_unknown_' || n, kind, created_at, '-infinity'
        FROM payment_methods, generate_series(1, $1) AS n
        """,
        jobs.MOST_A_RUN,
    )
    await desk.db.admin.execute(
        """
        UPDATE payment_methods SET checked_at = now() - interval '1 day'
        WHERE stripe_payment_method_id NOT LIKE 'pm_unknown_%'
        """
    )

    for _ in range(3):
        await jobs.refresh_methods(desk.worker, desk.stripe)

    assert [card["last4"] for card in await saved_methods(desk)] == ["4444"]
    asked = [each for each in desk.sandbox.requests("/v1/payment_methods/") if "pm_unknown" in each.path]
    assert len(asked) == jobs.MOST_A_RUN
