"""The stream of an open page, with real events and the real invoice service; Kafka itself is in tests/system."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from litestar.response import ServerSentEventMessage

from contracts.events.envelope import Event, Method, StateEvent, event_id
from contracts.events.invoice import InvoicePaid, InvoiceState, InvoiceUpdated
from contracts.events.payment import PaymentSucceeded, PaymentUpdated
from services.chassis.http.auth import Caller
from services.chassis.ids import new_id
from services.gateway.live import streams
from services.gateway.live.hub import MOST_PER_SESSION, Hub, Listener, TooManyStreams
from services.gateway.live.streams import Page, stream
from tests.builders.invoices import taxed_invoice_body
from tests.builders.values import eur
from tests.running.databases import ServiceDb
from tests.running.gateway import a_login, a_portal, a_site, a_whole_site, create_client, create_clinic
from tests.running.settings import NOBODY

CLINIC, CLIENT, INVOICE = new_id(), new_id(), new_id()
CALLER = Caller(subject=CLIENT, role="client", clinic_id=CLINIC)


def an_event(
    kind: type[InvoiceState], version: int, status: str, *, clinic: UUID = CLINIC, client: UUID = CLIENT
) -> StateEvent:
    now = datetime.now(UTC)
    return kind.model_validate(
        {
            "id": event_id(now, kind.topic.name, INVOICE, version),
            "time": now,
            "clinic_id": clinic,
            "version": version,
            "invoice_id": INVOICE,
            "client_id": client,
            "number": "2026-0001",
            "status": status,
            "total": eur(125),
            "due_before_payments": eur(125),
            "settled": eur(0),
            "issued_on": "2026-11-01",
            "due_on": "2026-12-01",
        }
    )


def a_payment(payment_id: UUID) -> PaymentSucceeded:
    now = datetime.now(UTC)
    return PaymentSucceeded.model_validate(
        {
            "id": event_id(now, "payment.succeeded", payment_id),
            "time": now,
            "clinic_id": CLINIC,
            "version": 3,
            "payment_id": payment_id,
            "client_id": CLIENT,
            "status": "succeeded",
            "amount": eur(125),
            "invoices": [{"invoice_id": INVOICE, "amount": eur(125)}],
        }
    )


def an_update(payment_id: UUID) -> PaymentUpdated:
    now = datetime.now(UTC)
    return PaymentUpdated(
        id=event_id(now, "payment.updated", payment_id),
        time=now,
        clinic_id=CLINIC,
        payment_id=payment_id,
        client_id=CLIENT,
        method=Method(kind="card", brand="visa", last4="4242"),
        invoices=(INVOICE,),
    )


def publish(hub: Hub, *events: Event) -> None:
    for event in events:
        hub.publish(event.topic.name, event.encode())


def no_services() -> Any:
    """No services, for pages that ask for nothing."""
    return None


async def alive() -> bool:
    return True


async def received(
    messages: AsyncIterator[ServerSentEventMessage], count: int
) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    async with asyncio.timeout(5):
        async for message in messages:
            if message.event:
                found.append((message.event, msgspec.json.decode(str(message.data))))
            if len(found) == count:
                break
    return found


async def test_a_page_is_to_be_shown_anew_when_it_is_known_how_it_was_paid() -> None:
    """Whatever version the page shows; and an older version is not sent after it either."""
    hub, payment = Hub(NOBODY), new_id()
    with hub.listening(CLINIC, CLIENT, b"s") as listener:
        publish(
            hub,
            an_event(InvoicePaid, 3, "paid"),
            an_update(payment),
            an_event(InvoiceUpdated, 2, "processing"),
            a_payment(payment),
        )
        page = Page(CALLER, no_services(), None, None)
        news = await received(stream(listener, page, alive), 4)

    assert [(kind, message["id"], message["status"]) for kind, message in news] == [
        ("invoice", str(INVOICE), "paid"),
        ("payment", str(payment), "updated"),
        ("invoice", str(INVOICE), "updated"),
        ("payment", str(payment), "succeeded"),
    ]


async def test_a_page_hears_of_its_client_alone_and_of_nothing_older() -> None:
    hub, payment = Hub(NOBODY), new_id()
    with hub.listening(CLINIC, CLIENT, b"s") as listener:
        publish(
            hub,
            an_event(InvoiceUpdated, 2, "processing"),
            an_event(InvoiceUpdated, 5, "paid", client=new_id()),
            an_event(InvoiceUpdated, 5, "paid", clinic=new_id()),
            an_event(InvoicePaid, 3, "paid"),
            an_event(InvoiceUpdated, 2, "processing"),
            a_payment(payment),
        )
        page = Page(CALLER, no_services(), None, None)
        news = await received(stream(listener, page, alive), 3)

    assert news == [
        (
            "invoice",
            {"id": str(INVOICE), "status": "processing", "version": 2, "number": "2026-0001"},
        ),
        ("invoice", {"id": str(INVOICE), "status": "paid", "version": 3, "number": "2026-0001"}),
        ("payment", {"id": str(payment), "status": "succeeded", "version": 3}),
    ]
    assert hub.listeners() == []


async def test_news_that_come_while_the_page_waits_are_told_at_once() -> None:
    hub = Hub(NOBODY)
    with hub.listening(CLINIC, CLIENT, b"s") as listener:
        pages = asyncio.create_task(
            received(stream(listener, Page(CALLER, no_services(), None, None), alive), 1)
        )
        await asyncio.sleep(0)
        publish(hub, an_event(InvoicePaid, 3, "paid"))
        assert (await pages)[0][1]["status"] == "paid"


async def test_a_stream_ends_with_its_session_and_with_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.01)

    async def over() -> bool:
        return False

    hub = Hub(NOBODY)
    with hub.listening(CLINIC, CLIENT, b"s") as listener:
        page = Page(CALLER, no_services(), None, None)
        assert await received(stream(listener, page, over), 1) == []
    with hub.listening(CLINIC, CLIENT, b"s") as listener:
        pages = asyncio.create_task(received(stream(listener, page, alive), 1))
        hub.close()
        assert await pages == []


async def test_a_session_has_so_many_streams_and_no_more() -> None:
    hub = Hub(NOBODY)
    held = [hub.listening(CLINIC, CLIENT, b"s") for _ in range(MOST_PER_SESSION)]
    for each in held:
        each.__enter__()
    with pytest.raises(TooManyStreams):
        hub.check_room(b"s")
    hub.check_room(b"another")
    held[0].__exit__(None, None, None)
    hub.check_room(b"s")


async def test_first_comes_the_current_state_and_again_when_news_may_be_lost(
    db_gateway: ServiceDb, db_invoice: ServiceDb, db_payment: ServiceDb, db_notification: ServiceDb
) -> None:
    async with a_whole_site(db_gateway, db_invoice, db_payment, db_notification) as site:
        clinic = await create_clinic(site)
        client = await create_client(site, clinic)
        path = f"/clinics/{clinic['id']}/invoices"
        invoice = (await site.api("POST", path, json=taxed_invoice_body(client))).json()
        caller = Caller(subject=UUID(client["id"]), role="client", clinic_id=UUID(clinic["id"]))
        upstreams = site.app.state.upstreams
        message = {"id": invoice["id"], "status": "unpaid", "version": 1, "number": invoice["number"]}

        listener = Listener()
        messages = stream(listener, Page(caller, upstreams, UUID(invoice["id"]), None), alive)
        assert await received(messages, 1) == [("invoice", message)]

        # Its own page is sent nothing twice; a new page is sent the state again.
        assert listener.behind is False
        listener.fall_behind()
        again = stream(listener, Page(caller, upstreams, UUID(invoice["id"]), None), alive)
        assert await received(again, 1) == [("invoice", message)]


async def test_what_cannot_be_asked_now_is_asked_again(db_gateway: ServiceDb) -> None:
    async with a_site(db_gateway) as site:
        listener = Listener()
        listener.behind = False
        page = Page(CALLER, site.app.state.upstreams, INVOICE, None)

        assert await page.current(listener) == []
        assert listener.behind


async def test_a_stream_over_http_needs_its_session_and_its_clinic(db_gateway: ServiceDb) -> None:
    async with a_site(db_gateway) as site:
        await a_login(site.db, await a_portal(site.db, "oak"))
        headers = {"Accept": "text/event-stream"}
        assert (await site.get("/c/oak/live", headers=headers)).status_code == 401
        await site.log_in("ann@example.com")
        assert (await site.get("/c/elm/live", headers=headers)).status_code == 404
        assert (await site.get("/c/oak/live?invoice=1", headers=headers)).status_code == 400
        site.app.state.hub.close()
        answer = await site.get(f"/c/oak/live?invoice={new_id()}", headers=headers)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert ": open" in answer.text
