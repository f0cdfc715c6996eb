"""A client is told once that the card with which payments begin expires, and only while that is so."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from contracts.events.envelope import Method
from contracts.events.payment import PaymentMethodExpiring
from services.chassis import clock
from services.chassis.ids import new_id
from services.notification import consumers
from services.notification.emails.sending import Sender
from services.payment.methods import reemit
from services.payment.methods.domain import last_day
from services.payment.methods.sweep import announce_expiring
from tests.builders.clinics import a_clinic
from tests.builders.events import deliver, outbox_events
from tests.builders.values import eur
from tests.running.databases import ServiceDb
from tests.running.notification import MailServer, a_reachable_client, delivery_states, make_due, put_contact
from tests.running.payment import PaymentService
from tests.service.test_payment_methods import a_saved_card, a_setup, saved_methods
from tests.service.test_payment_methods_newest import at_stripe, stripe_id

At = Callable[[dict[str, Any], int], None]


@pytest.fixture
async def at() -> AsyncIterator[At]:
    """Set this process's clock to noon so many days before the card's last day."""

    def move(card: dict[str, Any], days: int) -> None:
        day = last_day(card["exp_year"], card["exp_month"]) - timedelta(days=days)
        clock.move(datetime.combine(day, time(12), UTC) - datetime.now(UTC))

    yield move
    clock.move(timedelta(0))


async def announced(payments: PaymentService) -> list[PaymentMethodExpiring]:
    """The events that a run adds."""
    await payments.db.admin.execute("DELETE FROM outbox")
    await announce_expiring(payments.worker, payments.stripe)
    return [each for each in await outbox_events(payments.db) if isinstance(each, PaymentMethodExpiring)]


async def test_a_card_is_told_of_once_however_often_it_was_saved(payments: PaymentService, at: At) -> None:
    card = await a_saved_card(payments)
    at(card, 31)
    assert await announced(payments) == []
    at(card, 30)

    [event] = await announced(payments)

    assert event.method == Method(kind="card", brand="visa", last4="4242")
    assert (str(event.method_id), event.client_id) == (card["id"], payments.client_id)
    assert event.expires_on == last_day(card["exp_year"], card["exp_month"])
    clock.move(timedelta(0))
    invoice = await payments.open_invoice(eur(10))
    await payments.pay((invoice, eur(10)), save=True)
    await payments.hook.until("payment_method.attached", 2)
    await payments.consume()
    assert await payments.db.admin.fetchval("SELECT count(*) FROM payment_methods") == 2
    for days in (29, 3, 0, -1):
        at(card, days)
        assert await announced(payments) == []
    rows = await payments.db.admin.fetch(reemit.SOURCE.sql, datetime(1970, 1, 1, tzinfo=UTC))
    assert [each for row in rows for each in reemit.SOURCE.events_of(row)] == [event]


@pytest.mark.parametrize("change", ["detached", "renewed"])
async def test_of_a_card_that_is_gone_or_renewed_at_stripe_none_is_told(
    payments: PaymentService, at: At, change: str
) -> None:
    """Its webhook was lost: Stripe is asked right before."""
    card = await a_saved_card(payments)
    await payments.sandbox.control("POST", "/faults/webhooks", {"kind": "drop", "type": "*", "count": 9})
    name = await stripe_id(payments, card)
    if change == "detached":
        await at_stripe(payments, f"/v1/payment_methods/{name}/detach")
    else:
        await payments.sandbox.control("POST", f"/accounts/platform/payment_methods/{name}/renew", {})
    at(card, 20)

    assert await announced(payments) == []

    kept = [each["exp_year"] for each in await _shown(payments)]
    assert kept == ([] if change == "detached" else [card["exp_year"] + 4])


async def _shown(payments: PaymentService) -> list[dict[str, Any]]:
    clock.move(timedelta(0))
    return await saved_methods(payments)


async def test_a_client_who_would_pay_with_another_card_is_not_told(payments: PaymentService, at: At) -> None:
    card = await a_saved_card(payments)
    await a_setup(payments, "pm_card_mastercard")
    await payments.hook.until("payment_method.attached", 2)
    await payments.hook.until("setup_intent.succeeded")
    await payments.consume()
    [other] = [each["id"] for each in await saved_methods(payments) if each["brand"] == "mastercard"]
    await payments.db.admin.execute(
        "UPDATE payment_methods SET exp_year = exp_year + 1 WHERE id::text = $1", other
    )
    await payments.api.call("PUT", f"/payment-methods/{other}/default", payments.client)
    at(card, 20)
    assert await announced(payments) == []
    clock.move(timedelta(0))
    await payments.api.call("DELETE", f"/payment-methods/{other}", payments.client)
    at(card, 10)
    assert [str(each.method_id) for each in await announced(payments)] == [card["id"]]


@pytest.mark.parametrize("off", [{"online_payment": False}, {"methods": ("redirect",)}])
async def test_where_no_card_can_pay_none_is_told_until_one_can(
    payments: PaymentService, at: At, off: dict[str, Any]
) -> None:
    card = await a_saved_card(payments)
    await payments.update_clinic(version=50, **off)
    at(card, 20)
    assert await announced(payments) == []

    await payments.update_clinic(version=51)

    assert len(await announced(payments)) == 1


async def test_while_stripe_does_not_answer_the_client_is_told_later(
    payments: PaymentService, at: At
) -> None:
    card = await a_saved_card(payments)
    at(card, 20)
    await payments.sandbox.control(
        "POST", "/faults/api", {"kind": "500_before", "path": "/v1/payment_methods/*", "count": 9}
    )
    assert await announced(payments) == []

    await payments.sandbox.control("DELETE", "/faults")

    assert len(await announced(payments)) == 1


def an_expiry(clinic_id: Any, client_id: Any, expires_on: date) -> PaymentMethodExpiring:
    return PaymentMethodExpiring(
        id=new_id(),
        time=clock.now(),
        clinic_id=clinic_id,
        method_id=new_id(),
        client_id=client_id,
        method=Method(kind="card", brand="visa", last4="4242"),
        expires_on=expires_on,
    )


async def test_the_e_mail_names_the_card_and_leads_to_the_saved_cards(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    event = an_expiry(clinic.clinic_id, client_id, clock.now().date() + timedelta(days=30))

    await deliver(db_notification.worker, consumers, event, event)
    await sender.send_due()
    await deliver(db_notification.worker, consumers, event)
    await make_due(db_notification)
    await sender.send_due()

    [letter] = mail.inbox
    assert str(letter["Subject"]).startswith("Your saved card expires on ")
    assert "4242" not in letter["Subject"] and letter["List-Unsubscribe"]
    body = letter.get_body(("plain",))
    assert body is not None
    assert "Visa ending 4242" in body.get_content() and "/c/" in body.get_content()
    assert "/methods" in body.get_content()


@pytest.mark.parametrize(
    ("days", "changes", "contact", "reason"),
    [
        (-2, {}, True, "card_expired"),
        (30, {"online_payment": False}, True, "not_payable_online"),
        (30, {"billing_shown": False}, True, "not_payable_online"),
        (30, {}, False, "no_contact"),
    ],
)
async def test_an_e_mail_that_helps_nobody_is_dropped(
    db_notification: ServiceDb, sender: Sender, days: int, changes: dict[str, Any], contact: bool, reason: str
) -> None:
    clinic, client_id = a_clinic(**changes), new_id()
    if contact:
        await put_contact(db_notification, clinic.clinic_id, client_id)
    event = an_expiry(clinic.clinic_id, client_id, clock.now().date() + timedelta(days=days))
    await deliver(db_notification.worker, consumers, clinic, event)

    await sender.send_due()

    assert await delivery_states(db_notification) == [("method_expiring", "dropped", 0, reason)]
