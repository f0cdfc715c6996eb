"""A refund from the surplus to the e-mail: staff refund credit by one call, and the client sees it on every page."""

from typing import Any
from uuid import UUID

import httpx2
import pytest
from playwright.async_api import expect

from contracts.events.payment import PaymentRefunded
from services.chassis.ids import new_id
from services.gateway.api.keys import actions as api_keys
from services.notification import consumers as notification_consumers
from services.payment import app as payment
from services.payment.stripe.api import StripeApi
from tests.builders.callers import a_caller
from tests.builders.clinics import a_clinic
from tests.builders.events import deliver, outbox_events
from tests.builders.values import eur
from tests.running.apps import calling
from tests.running.browser import CHROMIUM, Portal, Visitor, serious
from tests.running.databases import ServiceDb
from tests.running.notification import a_mail_server, put_contact, sending
from tests.running.payment import PaymentService
from tests.running.refunds import leave_credit
from tests.running.settings import payment_settings

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)")


async def paid_too_much(world: Portal, card: str = "pm_card_visa") -> None:
    """Leave the client a surplus of €25.00."""
    stripe = StripeApi(world.sandbox.secret_key, world.sandbox.url)
    app = payment.api(payment_settings(world.db_payment.api_dsn, world.sandbox))
    async with calling(app, "payment") as api:
        payments = PaymentService(
            world.db_payment, world.sandbox, world.hook, stripe, api, world.clinic_id, world.client_id
        )
        await leave_credit(payments, eur(25), card)
    await stripe.close()
    # Only payment has this invoice: its events are not for the other services.
    world.passed_on |= {event.id for event in await outbox_events(world.db_payment)}


async def clinics_key(world: Portal, db: ServiceDb) -> str:
    caller = a_caller("operator", world.clinic_id)
    async with db.api.tx(world.clinic_id, operator=True) as tx:
        return (await api_keys.make(tx, caller, "the clinic's books")).secret


async def call(world: Portal, key: str, method: str, path: str, **more: Any) -> Any:
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": str(new_id())}
    async with httpx2.AsyncClient(base_url=f"{world.url}/api/v1/clinics/{world.clinic_id}") as http:
        answer = await http.request(method, path, headers=headers, **more)
    assert answer.is_success, answer.text
    return answer.json()


async def test_a_surplus_is_sent_back_by_one_call_and_the_client_is_told(
    world: Portal, ann: Visitor, db_gateway: ServiceDb, db_notification: ServiceDb
) -> None:
    await paid_too_much(world, "pm_card_pendingRefund")
    key, page = await clinics_key(world, db_gateway), ann.page
    await page.goto(f"{world.portal}/billing")
    await expect(page.get_by_role("heading", name="Your credit: €25.00")).to_be_visible()
    seen = await call(world, key, "GET", f"/clients/{world.client_id}/credit")
    assert seen["refundable"] == [{"minor": 2500, "currency": "EUR"}]

    body = {"client_id": str(world.client_id), "currency": "EUR"}
    [refund] = (await call(world, key, "POST", "/refunds", json=body))["refunds"]
    await world.receive_webhooks("refund.created")
    await page.reload()
    await expect(page.get_by_text("€25.00 is on its way back to your Visa ending 7726.")).to_be_visible()
    await expect(page.get_by_text("Your credit")).to_be_hidden()
    assert await serious(page) == []

    sent = await world.db_payment.admin.fetchval("SELECT stripe_refund_id FROM refunds")
    path = f"/accounts/platform/refunds/{sent}/settle"
    await world.sandbox.control("POST", path, {"outcome": "succeeded"})
    await world.receive_webhooks("refund.updated")
    await page.reload()
    await expect(page.get_by_text("€25.00 was sent back to your Visa ending 7726 on")).to_be_visible()
    after = await call(world, key, "GET", f"/clients/{world.client_id}/credit")
    assert (after["balances"], [each["status"] for each in after["refunds"]]) == ([], ["succeeded"])

    subjects = await mailed(world, db_notification)
    assert subjects == ["We sent €25.00 back to your card"]
    assert after["refunds"][0]["id"] == refund["id"]
    assert ann.wrong == []


async def mailed(world: Portal, db: ServiceDb) -> list[str]:
    """The client's e-mails about the refunds that payment published, each event delivered twice."""
    published = [
        event for event in await outbox_events(world.db_payment) if isinstance(event, PaymentRefunded)
    ]
    assert {event.client_id for event in published} == {world.client_id}
    clinic = a_clinic().model_copy(update={"clinic_id": world.clinic_id})
    async with a_mail_server() as mail, sending(db, mail.port) as sender:
        await put_contact(db, UUID(str(world.clinic_id)), world.client_id)
        await deliver(db.worker, notification_consumers, clinic, *published, *published)
        await sender.send_due()
        return mail.subjects()
