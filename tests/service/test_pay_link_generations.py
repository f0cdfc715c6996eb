"""The generation of pay links: kept by invoice, published with its state, copied by notification, raised by a call."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from contracts.events.invoice import InvoiceCreated, InvoicePaid, InvoiceState, InvoiceUpdated
from services.chassis import clock
from services.chassis.ids import new_id
from services.invoice.invoices.reemit import SOURCE, invoice_events
from services.notification import consumers as notification
from services.notification.projections import store as projections
from tests.builders.callers import a_caller
from tests.builders.events import deliver, outbox_events
from tests.builders.invoices import an_invoice, invoice_body, invoice_state
from tests.builders.payments import a_settlement
from tests.builders.values import eur
from tests.running.databases import ServiceDb
from tests.running.gateway import Site, a_whole_site, create_client, create_clinic
from tests.running.invoice import InvoiceService, an_invoice_service
from tests.running.settings import gateway_settings


@pytest.fixture
async def world(db_invoice: ServiceDb) -> AsyncIterator[InvoiceService]:
    async with an_invoice_service(db_invoice) as made:
        yield made


@pytest.fixture
async def site(
    db_gateway: ServiceDb, db_invoice: ServiceDb, db_payment: ServiceDb, db_notification: ServiceDb
) -> AsyncIterator[Site]:
    async with a_whole_site(db_gateway, db_invoice, db_payment, db_notification) as made:
        yield made


async def revoke(world: InvoiceService, invoice: Any, *, key: str | None = None, caller: Any = None) -> Any:
    return await world.http.call(
        "POST",
        f"/invoices/{invoice['id']}/pay-link/revoke",
        caller or world.staff,
        headers={"Idempotency-Key": key or str(new_id())},
    )


async def generation(world: InvoiceService, invoice: Any) -> int:
    shown = await world.get(f"/invoices/{invoice['id']}")
    return int(shown["pay_link_generation"])


async def audited(world: InvoiceService) -> list[str]:
    rows = await world.db.admin.fetch("SELECT action FROM audit WHERE action LIKE '%pay_link%' ORDER BY seq")
    return [row["action"] for row in rows]


async def test_an_invoice_begins_with_generation_0_and_each_call_adds_one(world: InvoiceService) -> None:
    invoice = await world.issue()
    other = await world.issue()

    assert invoice["pay_link_generation"] == 0
    assert (await revoke(world, invoice)).json() == {"invoice_id": invoice["id"], "generation": 1}
    assert (await revoke(world, invoice)).json()["generation"] == 2

    assert await generation(world, invoice) == 2
    assert await generation(world, other) == 0
    [*_, last] = await outbox_events(world.db)
    assert isinstance(last, InvoiceUpdated)
    assert (last.pay_link_generation, last.version, last.status) == (2, 3, "unpaid")
    assert await audited(world) == ["revoke_pay_links", "revoke_pay_links"]


async def test_the_same_key_ends_links_once_and_of_one_invoice_alone(world: InvoiceService) -> None:
    invoice, other = await world.issue(), await world.issue()

    answers = await asyncio.gather(*(revoke(world, invoice, key="once") for _ in range(5)))

    assert {answer.json()["generation"] for answer in answers} == {1}
    assert await generation(world, invoice) == 1
    reused = await revoke(world, other, key="once")
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
    assert await generation(world, other) == 0


async def test_two_calls_at_once_both_count(world: InvoiceService) -> None:
    invoice = await world.issue()

    await asyncio.gather(*(revoke(world, invoice) for _ in range(4)))

    assert await generation(world, invoice) == 4


async def test_a_call_without_a_key_or_for_nothing_changes_nothing(world: InvoiceService) -> None:
    invoice = await world.issue()
    elsewhere, _ = await world.add_clinic("elsewhere")
    before = len(await outbox_events(world.db))

    missing = await world.http.call("POST", f"/invoices/{invoice['id']}/pay-link/revoke", world.staff)
    unknown = await revoke(world, {"id": str(new_id())})
    foreign = await revoke(world, invoice, caller=a_caller("staff", elsewhere))
    by_client = await revoke(world, invoice, caller=world.client)
    read_by_client = await world.http.call("GET", f"/invoices/{invoice['id']}/pay-link", world.client)

    assert [each.status_code for each in (missing, unknown, foreign, by_client, read_by_client)] == [
        *(400, 404, 404, 403, 403)
    ]
    assert await generation(world, invoice) == 0
    assert len(await outbox_events(world.db)) == before
    assert await audited(world) == []


async def test_to_ask_for_the_link_is_recorded_and_changes_nothing(world: InvoiceService) -> None:
    invoice = await world.issue()
    await revoke(world, invoice)

    shown = await world.get(f"/invoices/{invoice['id']}/pay-link")

    assert shown == {"invoice_id": invoice["id"], "generation": 1}
    assert await audited(world) == ["revoke_pay_links", "show_pay_link"]
    assert (await world.get(f"/invoices/{invoice['id']}"))["version"] == 2


async def test_money_that_moves_later_keeps_the_generation_and_pays_the_invoice(
    world: InvoiceService,
) -> None:
    invoice = await world.issue(12_500)
    await revoke(world, invoice)

    await world.deliver(a_settlement(world.clinic_id, UUID(invoice["id"]), eur(125)))
    paid = (await outbox_events(world.db))[-1]
    again = await revoke(world, invoice)

    assert isinstance(paid, InvoicePaid)
    assert paid.pay_link_generation == 1
    assert again.json()["generation"] == 2
    last = (await outbox_events(world.db))[-1]
    assert isinstance(last, InvoiceUpdated)
    assert (last.status, last.pay_link_generation) == ("paid", 2)


async def test_what_is_published_again_has_the_generation(world: InvoiceService) -> None:
    invoice = await world.issue()
    await revoke(world, invoice)

    rows = await world.db.admin.fetch(SOURCE.sql, clock.now() - timedelta(hours=1))
    again = [event for row in rows for event in invoice_events(row)]

    published = [each for each in await outbox_events(world.db) if isinstance(each, InvoiceState)]
    assert [each.id for each in again] == [each.id for each in published]
    assert [type(each) for each in again] == [InvoiceCreated, InvoiceUpdated]
    assert [
        each.pay_link_generation for each in again if isinstance(each, InvoiceCreated | InvoiceUpdated)
    ] == [0, 1]


async def test_notification_keeps_the_newest_generation(db_notification: ServiceDb) -> None:
    clinic_id, client_id = new_id(), new_id()
    first = an_invoice(clinic_id, client_id)
    state: dict[str, Any] = {"invoice_id": first.invoice_id}
    third = invoice_state(InvoiceUpdated, clinic_id, client_id, version=3, pay_link_generation=2, **state)
    second = invoice_state(InvoiceUpdated, clinic_id, client_id, version=2, pay_link_generation=1, **state)

    for event in (first, third, second):
        await deliver(db_notification.worker, notification, event)

    async with db_notification.worker.worker_tx() as tx:
        kept = await projections.get_invoices(tx, {(clinic_id, first.invoice_id)})
    assert kept[clinic_id, first.invoice_id].pay_link_generation == 2


# The public API


async def issued(site: Site, clinic: Any) -> Any:
    client = await create_client(site, clinic)
    answer = await site.api(
        "POST", f"/clinics/{clinic['id']}/invoices", json=invoice_body(client["id"], 12_500)
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_program_gets_the_link_and_revokes_it(site: Site) -> None:
    clinic = await create_clinic(site)
    invoice = await issued(site, clinic)
    at = f"/clinics/{clinic['id']}/invoices/{invoice['id']}/pay-link"
    links = gateway_settings("x").pay_links

    first = (await site.api("GET", at)).json()
    revoked = await site.api("POST", f"{at}/revoke", headers={"Idempotency-Key": "r1"})
    repeated = await site.api("POST", f"{at}/revoke", headers={"Idempotency-Key": "r1"})
    second = (await site.api("GET", at)).json()

    due_on = date.fromisoformat(invoice["due_on"])
    expires_on = max(clock.now().date(), due_on) + timedelta(days=180)
    assert first["expires_on"] == expires_on.isoformat()
    parts = urlsplit(first["url"])
    assert (f"{parts.scheme}://{parts.netloc}", parts.query) == ("http://portal.test", "")
    read = links.read(parts.path.removeprefix("/pay/"))
    assert read is not None
    assert (str(read.clinic_id), str(read.invoice_id)) == (clinic["id"], invoice["id"])
    assert (read.generation, read.expires_on) == (0, expires_on)
    assert revoked.json() == repeated.json() == {"invoice_id": invoice["id"], "generation": 1}
    assert second["generation"] == 1
    assert second["url"] != first["url"]


async def test_a_clinic_without_pay_links_has_none_to_give_and_can_still_end_them(site: Site) -> None:
    clinic = await create_clinic(site)
    invoice = await issued(site, clinic)
    at = f"/clinics/{clinic['id']}/invoices/{invoice['id']}/pay-link"

    off = await site.api("PATCH", f"/clinics/{clinic['id']}", json={"pay_links": False})

    assert off.json()["pay_links"] is False
    refused = await site.api("GET", at)
    assert (refused.status_code, refused.json()["code"]) == (409, "pay_links_off")
    assert (await site.api("POST", f"{at}/revoke")).status_code == 200
    await site.api("PATCH", f"/clinics/{clinic['id']}", json={"pay_links": None})
    assert (await site.api("GET", at)).json()["generation"] == 1


async def test_a_program_of_another_clinic_and_an_unknown_invoice_get_no_link(site: Site) -> None:
    clinic, other = await create_clinic(site), await create_clinic(site, slug="elm")
    invoice = await issued(site, clinic)

    for at in (
        f"/clinics/{other['id']}/invoices/{invoice['id']}/pay-link",
        f"/clinics/{clinic['id']}/invoices/{new_id()}/pay-link",
    ):
        assert (await site.api("GET", at)).json()["code"] == "invoice_not_found"
        assert (await site.api("POST", f"{at}/revoke")).json()["code"] == "invoice_not_found"
    assert (
        await site.api("GET", f"/clinics/{clinic['id']}/invoices/{invoice['id']}/pay-link", key=None)
    ).status_code == 401
