"""Of two events about a saved method the newer one counts, and only cards that can be used are offered first."""

from datetime import timedelta
from typing import Any

import httpx2
import pytest

from contracts.events.stripe import StripeEvent
from services.chassis.ids import new_id
from services.payment.methods import sweep
from tests.builders.values import eur
from tests.running.payment import PaymentService
from tests.service.test_payment_methods import a_saved_card, saved_methods


async def at_stripe(payments: PaymentService, path: str, **data: Any) -> Any:
    headers = {"Authorization": f"Bearer {payments.sandbox.secret_key}"}
    async with httpx2.AsyncClient(base_url=payments.sandbox.url, headers=headers, trust_env=False) as stripe:
        answer = await stripe.post(path, data=data)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def stripe_id(payments: PaymentService, card: dict[str, Any]) -> str:
    found: str = await payments.db.admin.fetchval(
        "SELECT stripe_payment_method_id FROM payment_methods WHERE id::text = $1", card["id"]
    )
    return found


def about_methods(payments: PaymentService) -> list[StripeEvent]:
    return [each for each in payments.hook.events() if each.event_type.startswith("payment_method.")]


@pytest.mark.parametrize("late", ["payment_method.attached", "setup_intent.succeeded"])
async def test_a_card_that_was_detached_stays_away_whatever_comes_later(
    payments: PaymentService, late: str
) -> None:
    invoice = await payments.open_invoice(eur(10))
    await payments.pay((invoice, eur(10)), save=True)
    await payments.hook.until("payment_method.attached")
    [attached] = about_methods(payments)
    await at_stripe(payments, f"/v1/payment_methods/{attached.object_id}/detach")
    await payments.hook.until("payment_method.detached")
    await payments.db.admin.execute("DELETE FROM payment_methods")
    detached = about_methods(payments)[-1]

    await payments.consume(detached)
    await payments.consume(attached.model_copy(update={"event_type": late}))
    await payments.consume(detached, attached)

    assert await saved_methods(payments) == []
    assert (
        await payments.db.admin.fetchval("SELECT count(*) FROM payment_methods WHERE removed_at IS NULL") == 0
    )


async def test_a_card_whose_detach_was_never_told_is_offered_no_more(payments: PaymentService) -> None:
    card = await a_saved_card(payments)
    await payments.sandbox.control("POST", "/faults/webhooks", {"kind": "drop", "type": "*", "count": 9})
    await at_stripe(payments, f"/v1/payment_methods/{await stripe_id(payments, card)}/detach")

    assert await saved_methods(payments) == []


async def test_while_stripe_does_not_tell_saved_cards_stay(payments: PaymentService) -> None:
    card = await a_saved_card(payments)
    for kind in ("403_account", "429", "500_before"):
        await payments.sandbox.control("POST", "/faults/api", {"kind": kind, "path": "/v1/*", "count": 3})
        assert await saved_methods(payments) == [card]
        await payments.sandbox.control("DELETE", "/faults")


async def test_the_same_card_saved_twice_is_shown_once_and_removed_wholly(payments: PaymentService) -> None:
    await a_saved_card(payments)
    invoice = await payments.open_invoice(eur(10))
    await payments.pay((invoice, eur(10)), save=True)
    await payments.hook.until("payment_method.attached", 2)
    await payments.consume()

    [card] = await saved_methods(payments)
    assert await payments.db.admin.fetchval("SELECT count(*) FROM payment_methods") == 2
    removed = await payments.api.call("DELETE", f"/payment-methods/{card['id']}", payments.client)

    assert removed.status_code == 204
    assert await saved_methods(payments) == []
    await payments.hook.until("payment_method.detached", 2)


async def test_an_expired_card_is_never_the_default(payments: PaymentService) -> None:
    card = await a_saved_card(payments)
    chosen = await payments.api.call("PUT", f"/payment-methods/{card['id']}/default", payments.client)
    assert chosen.json()["default"]
    await payments.db.admin.execute("UPDATE payment_methods SET exp_year = 2020, exp_month = 1")

    [expired] = await saved_methods(payments)
    assert (expired["default"], expired["expired"]) == (False, True)
    refused = await payments.api.call("PUT", f"/payment-methods/{card['id']}/default", payments.client)
    assert (refused.status_code, refused.json()["code"]) == (409, "payment_method_expired")

    invoice = await payments.open_invoice(eur(10))
    started = await payments.start((invoice, eur(10)), save=True)
    await payments.confirm(started, "pm_card_mastercard")
    await payments.hook.until("payment_method.attached", 2)
    await payments.consume()
    shown = await saved_methods(payments)
    assert [(each["brand"], each["default"]) for each in shown] == [("mastercard", True), ("visa", False)]


async def test_an_older_update_changes_nothing_and_one_of_the_same_second_is_asked_about(
    payments: PaymentService,
) -> None:
    card = await a_saved_card(payments)
    [attached] = about_methods(payments)

    def update(year: int, **by: float) -> StripeEvent:
        moved: dict[str, Any] = {
            "id": new_id(),
            "created": attached.created + timedelta(**by),
            "method_exp_year": year,
        }
        return attached.model_copy(update={"event_type": "payment_method.automatically_updated", **moved})

    await payments.consume(update(2031, hours=2), update(2029, hours=1))
    await payments.consume(update(2028, minutes=1))
    assert (await saved_methods(payments))[0]["exp_year"] == 2031

    await payments.consume(update(2030, hours=2))
    assert (await saved_methods(payments))[0]["exp_year"] == 2031
    assert await payments.db.admin.fetchval("SELECT doubtful FROM payment_methods")
    await payments.db.admin.execute("UPDATE payment_methods SET seen_at = 'epoch', checked_at = '-infinity'")
    await sweep.refresh_methods(payments.worker, payments.stripe)
    assert (await saved_methods(payments))[0]["exp_year"] == card["exp_year"]
    assert not await payments.db.admin.fetchval("SELECT doubtful FROM payment_methods")
