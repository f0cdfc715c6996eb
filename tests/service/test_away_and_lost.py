"""A service that is away, and records that a restore lost, keep nobody from what another service has."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import httpx2
import pytest

from services.chassis.ids import new_id
from tests.builders.values import eur
from tests.running.databases import ServiceDb
from tests.running.disputes import charge_of, dispute
from tests.running.gateway import Site, a_whole_site, create_clinic
from tests.running.payment import PaymentService


@dataclass
class Cut(httpx2.AsyncBaseTransport):
    """The way to a service, until it is cut."""

    inner: httpx2.AsyncBaseTransport
    cut: bool = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self.cut:
            raise httpx2.ConnectError("refused")
        return await self.inner.handle_async_request(request)


@dataclass
class World:
    site: Site
    clinic: Any
    payments: PaymentService
    invoice: Cut

    async def call(self, method: str, path: str, **more: Any) -> Any:
        return await self.site.api(method, f"/clinics/{self.clinic['id']}/{path}", **more)

    async def an_exception(self) -> UUID:
        """One of payment's."""
        made = new_id()
        await self.payments.db.admin.execute(
            """
            INSERT INTO exceptions (clinic_id, id, kind, subject_id, cause, detail) VALUES ($1, $2, 'x', $3, 'y', '{}')
            """,
            UUID(self.clinic["id"]),
            made,
            new_id(),
        )
        return made


@pytest.fixture
async def world(
    db_gateway: ServiceDb, db_invoice: ServiceDb, db_notification: ServiceDb, payments: PaymentService
) -> AsyncIterator[World]:
    """A whole site whose payment service shares its database, and Stripe, with `payments`."""
    ways: dict[str, Cut] = {}

    def through(service: str, way: httpx2.AsyncBaseTransport) -> httpx2.AsyncBaseTransport:
        return ways.setdefault(service, Cut(way))

    stripe = {
        "stripe_secret_key": payments.sandbox.secret_key,
        "stripe_api_base": payments.sandbox.url,
    }
    async with a_whole_site(
        db_gateway, db_invoice, payments.db, db_notification, through=through, payment_settings=stripe
    ) as site:
        clinic = await create_clinic(site)
        here = replace(payments, clinic_id=UUID(clinic["id"]), client_id=new_id())
        await here.update_clinic(50)
        yield World(site, clinic, here, ways["invoice"])


async def test_what_payment_has_is_settled_and_undone_while_invoice_is_away(world: World) -> None:
    found = await world.an_exception()
    world.invoice.cut = True

    settled = await world.call("POST", f"exceptions/{found}/settle", json={"how": "dismiss"})
    unknown = await world.call("POST", f"exceptions/{new_id()}/settle", json={"how": "dismiss"})
    nowhere = await world.call("POST", f"held-acts/{new_id()}/undo")
    world.invoice.cut = False
    missing = await world.call("POST", f"held-acts/{new_id()}/undo")

    assert (settled.status_code, settled.json()["settled_how"]) == (200, "dismiss")
    assert (unknown.status_code, nowhere.status_code) == (503, 503)
    assert (missing.status_code, missing.json()["code"]) == (404, "held_act_not_found")


async def test_evidence_is_sent_of_a_payment_whose_invoice_and_client_were_lost(world: World) -> None:
    payments = world.payments
    lost = await payments.open_invoice(eur(50))
    await dispute(payments, await charge_of(payments, await payments.pay((lost, eur(50)))))
    await payments.consume()
    id_ = await payments.db.admin.fetchval("SELECT id FROM disputes")

    seen = (await world.call("GET", f"disputes/{id_}/evidence/preview")).json()
    sent = await world.call("POST", f"disputes/{id_}/evidence/submission", json={"digest": seen["digest"]})

    assert [each["name"] for each in seen["texts"]] == ["product_description"]
    assert (sent.status_code, sent.json()["state"]) == (200, "sent")


@pytest.mark.parametrize("due_before", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00%2B14:00"])
async def test_a_deadline_at_the_end_of_time_is_a_time(world: World, due_before: str) -> None:
    answer = await world.call("GET", f"disputes?due_before={due_before}")

    assert (answer.status_code, answer.json()["items"]) == (200, [])
