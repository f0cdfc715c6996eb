"""Cards that clients keep: saved with a payment or without, offered first, taken away."""

from typing import Any

import httpx2

from services.chassis.ids import new_id
from services.payment.methods import sweep
from services.payment.stripe import sweeps
from tests.builders.callers import a_caller
from tests.builders.values import eur, money
from tests.running.payment import PaymentService


async def saved_methods(payments: PaymentService) -> list[dict[str, Any]]:
    answer = await payments.api.call("GET", "/payment-methods", payments.client)
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def a_saved_card(payments: PaymentService, card: str = "pm_card_visa") -> dict[str, Any]:
    """A card kept by paying with `save`."""
    invoice = await payments.open_invoice(eur(10))
    already = payments.hook.count("payment_method.attached")
    before = {method["id"] for method in await saved_methods(payments)}
    await payments.pay((invoice, eur(10)), card=card, save=True)
    await payments.hook.until("payment_method.attached", already + 1)
    await payments.consume()
    return next(method for method in await saved_methods(payments) if method["id"] not in before)


async def test_a_card_saved_with_a_payment_pays_the_next_one(payments: PaymentService) -> None:
    card = await a_saved_card(payments)
    assert (card["kind"], card["brand"], card["last4"], card["default"]) == ("card", "visa", "4242", True)
    assert card["exp_year"] > 2026

    invoice = await payments.open_invoice(eur(20))
    started = await payments.start(
        (invoice, eur(20)), method={"kind": "saved", "payment_method_id": card["id"]}
    )
    assert started.status_code == 201, started.text
    await payments.confirm(started, started.json()["saved_method"])
    await payments.hook.until("payment_intent.succeeded", 2)
    await payments.consume()

    paid = await payments.payment(started.json()["payment_id"])
    assert (paid["status"], paid["method"]["last4"]) == ("succeeded", "4242")
    assert await payments.db.admin.fetchval("SELECT count(*) FROM customers") == 1


async def test_a_saved_card_pays_no_more_than_its_network_takes(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(10))
    started = await payments.start((invoice, eur(10)), save=True)
    await payments.confirm(started, "pm_card_amex")
    await payments.hook.until("payment_method.attached")
    await payments.hook.until("payment_intent.succeeded")
    await payments.consume()
    [card] = await saved_methods(payments)
    large = await payments.open_invoice(money(10**9))

    answer = await payments.start(
        (large, money(10**9)), method={"kind": "saved", "payment_method_id": card["id"]}
    )

    assert (card["brand"], answer.status_code, answer.json()["code"]) == ("amex", 422, "amount_too_large")
    assert (await payments.start((large, money(10**9)))).status_code == 201


async def test_another_clients_saved_card_is_not_found(payments: PaymentService) -> None:
    card = await a_saved_card(payments)
    invoice = await payments.open_invoice(eur(20))
    payments.client_id = new_id()
    mine = await payments.open_invoice(eur(20))
    method = {"kind": "saved", "payment_method_id": card["id"]}

    answer = await payments.start((mine, eur(20)), method=method)

    assert (answer.status_code, answer.json()["code"]) == (404, "payment_method_not_found")
    assert (await payments.start((invoice, eur(20)), method=method)).status_code == 404
    for verb, path in (("DELETE", ""), ("PUT", "/default")):
        refused = await payments.api.call(verb, f"/payment-methods/{card['id']}{path}", payments.client)
        assert refused.status_code == 404


async def test_a_card_has_its_clients_name_however_often_it_is_saved_until_it_is_removed(
    payments: PaymentService,
) -> None:
    card = await a_saved_card(payments)
    path = f"/payment-methods/{card['id']}/nickname"

    async def name(text: str, caller: Any = None) -> Any:
        return await payments.api.call("PUT", path, caller or payments.client, json={"nickname": text})

    assert card["nickname"] == ""
    assert (await name(" Family card ")).json() == {"nickname": "Family card"}
    invoice = await payments.open_invoice(eur(10))
    await payments.pay((invoice, eur(10)), save=True)
    await payments.hook.until("payment_method.attached", 2)
    await payments.consume()
    [again] = await saved_methods(payments)
    assert again["nickname"] == "Family card"
    assert await payments.db.admin.fetchval("SELECT count(*) FROM payment_methods") == 2

    for text, code in (
        ("x" * 41, "invalid_text"),
        ("two\nlines", "invalid_text"),
        ("4242 4242 4242 4242", "card_number_refused"),
    ):
        refused = await name(text)
        assert (refused.status_code, refused.json()["code"]) == (422, code)
    stranger = await name("Mine", a_caller("client", payments.clinic_id))
    assert (stranger.status_code, stranger.json()["code"]) == (404, "payment_method_not_found")

    await payments.api.call("DELETE", f"/payment-methods/{card['id']}", payments.client)
    assert await payments.db.admin.fetchval("SELECT string_agg(nickname, '') FROM payment_methods") == ""


async def test_a_removed_card_is_detached_at_stripe_and_offered_no_more(payments: PaymentService) -> None:
    card = await a_saved_card(payments)

    for _ in range(2):
        removed = await payments.api.call("DELETE", f"/payment-methods/{card['id']}", payments.client)
        assert removed.status_code in (204, 404)

    assert await saved_methods(payments) == []
    await payments.hook.until("payment_method.detached")
    await payments.consume()
    assert await saved_methods(payments) == []


async def test_a_card_taken_away_at_stripe_is_offered_no_more(payments: PaymentService) -> None:
    card = await a_saved_card(payments)
    stripe_id = await payments.db.admin.fetchval(
        "SELECT stripe_payment_method_id FROM payment_methods WHERE id::text = $1", card["id"]
    )
    async with httpx2.AsyncClient(base_url=payments.sandbox.url, trust_env=False) as dashboard:
        await dashboard.post(
            f"/v1/payment_methods/{stripe_id}/detach",
            headers={"Authorization": f"Bearer {payments.sandbox.secret_key}"},
        )
    await payments.hook.until("payment_method.detached")
    await payments.consume()
    assert await saved_methods(payments) == []


async def a_setup(payments: PaymentService, method: str) -> dict[str, Any]:
    started = await payments.api.call("POST", "/setup-intents", payments.client)
    assert started.status_code == 201, started.text
    secret = started.json()["client_secret"]
    form = {"client_secret": secret, "payment_method": method, "key": payments.sandbox.publishable_key}
    async with httpx2.AsyncClient(base_url=payments.sandbox.url, trust_env=False) as browser:
        answer = await browser.post(f"/v1/setup_intents/{secret.split('_secret_')[0]}/confirm", data=form)
    body: dict[str, Any] = answer.json()
    return body


async def test_a_card_saved_without_paying_and_the_clients_choice_of_the_default(
    payments: PaymentService,
) -> None:
    first = await a_saved_card(payments)
    assert (await a_setup(payments, "pm_card_mastercard"))["status"] == "succeeded"
    await payments.hook.until("setup_intent.succeeded")
    await payments.hook.until("payment_method.attached", 2)
    await payments.consume()
    second = (await saved_methods(payments))[1]
    assert (second["brand"], second["default"]) == ("mastercard", False)

    chosen = await payments.api.call("PUT", f"/payment-methods/{second['id']}/default", payments.client)

    assert chosen.json()["default"] is True
    assert [(card["id"], card["default"]) for card in await saved_methods(payments)] == [
        (second["id"], True),
        (first["id"], False),
    ]
    await payments.api.call("DELETE", f"/payment-methods/{second['id']}", payments.client)
    assert [(card["id"], card["default"]) for card in await saved_methods(payments)] == [(first["id"], True)]


async def test_a_card_whose_details_no_webhook_told_is_asked_about(payments: PaymentService) -> None:
    await a_setup(payments, "pm_card_mastercard")
    await payments.hook.until("setup_intent.succeeded")
    await payments.consume(
        *(each for each in payments.hook.events() if each.event_type == "setup_intent.succeeded")
    )
    assert await saved_methods(payments) == []

    await sweep.refresh_methods(payments.worker, payments.stripe)

    (card,) = await saved_methods(payments)
    assert (card["brand"], card["last4"]) == ("mastercard", "4444")


async def test_staff_have_no_saved_cards(payments: PaymentService) -> None:
    answer = await payments.api.call("GET", "/payment-methods", a_caller("staff", payments.clinic_id))
    assert answer.status_code == 403


async def test_an_error_of_stripes_own_does_not_keep_a_client_from_saving_a_card_for_a_day(
    payments: PaymentService,
) -> None:
    """Stripe keeps the 500 under the customer's key: it has to be another one that is asked with next."""
    invoice = await payments.open_invoice(eur(10))
    fault = {"kind": "500_before", "method": "POST", "path": "/v1/customers"}
    await payments.sandbox.control("POST", "/faults/api", fault)

    failed = await payments.start((invoice, eur(10)), save=True)
    again = await payments.start((invoice, eur(10)), save=True)

    assert (failed.status_code, failed.json()["code"]) == (503, "stripe_unavailable")
    assert again.status_code == 200
    assert await payments.db.admin.fetchval("SELECT stripe_customer_id FROM customers") is not None


async def test_cards_that_stripe_tells_nothing_of_keep_no_other_waiting(payments: PaymentService) -> None:
    """More of them than one run asks about, and none of them is asked about in every run."""
    await a_setup(payments, "pm_card_mastercard")
    await payments.hook.until("setup_intent.succeeded")
    await payments.consume(
        *(each for each in payments.hook.events() if each.event_type == "setup_intent.succeeded")
    )
    await payments.db.admin.execute(
        """
        INSERT INTO payment_methods
            (clinic_id, id, client_id, account, stripe_payment_method_id, kind, created_at, checked_at)
        SELECT clinic_id, gen_random_uuid(), client_id, account, 'pm_unknown_' || n, kind, created_at, '-infinity'
        FROM payment_methods, generate_series(1, $1) AS n
        """,
        sweeps.MOST_A_RUN,
    )
    await payments.db.admin.execute(
        """
        UPDATE payment_methods SET checked_at = now() - interval '1 day'
        WHERE stripe_payment_method_id NOT LIKE 'pm_unknown_%'
        """
    )

    for _ in range(3):
        await sweep.refresh_methods(payments.worker, payments.stripe)

    assert [card["last4"] for card in await saved_methods(payments)] == ["4444"]
    asked = [each for each in payments.sandbox.requests("/v1/payment_methods/") if "pm_unknown" in each.path]
    assert len(asked) == sweeps.MOST_A_RUN
