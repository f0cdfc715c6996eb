"""Open pages hear of payments: the gateway's own process, real Kafka, real HTTP."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from aiokafka import AIOKafkaProducer

from contracts.events.envelope import StateEvent
from contracts.events.invoice import InvoicePaid, InvoiceUpdated
from deploy.ops.database import ROOT
from deploy.ops.topics import ensure
from services.chassis.ids import new_id
from services.gateway.live.hub import Hub
from tests.builders.callers import PRIVATE_KEY, PUBLIC_KEY
from tests.running.databases import ServiceDb
from tests.running.gateway import PASSWORD, a_login, a_portal
from tests.running.settings import LOGIN_KEY, NOBODY, PAY_LINK_KEY
from tests.service.test_gateway_live import CLIENT, CLINIC, INVOICE, an_event

WITHIN = 30


@pytest.fixture(scope="module")
async def broker(kafka: str) -> str:
    await ensure(kafka)
    return kafka


async def send(bootstrap: str, *events: StateEvent) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        for event in events:
            await producer.send_and_wait(event.topic.name, event.encode(), key=str(event.key).encode())


async def test_the_reader_takes_up_at_the_end_and_tells_pages_to_ask_again(broker: str) -> None:
    await send(broker, an_event(InvoiceUpdated, 2, "processing"))
    hub = Hub(broker)
    with hub.listening(CLINIC, CLIENT, b"s") as listener:
        listener.behind = False
        with pytest.raises(ConnectionError):
            await hub.check()
        async with hub.running():
            await listener.wait(WITHIN)
            assert listener.behind, "a page may have missed what was said before the reader was there"
            await hub.check()
            listener.waiting()

            await send(broker, an_event(InvoicePaid, 3, "paid"))
            await listener.wait(WITHIN)
            assert [(news.id, news.status, news.version) for _, news in listener.waiting()] == [
                (INVOICE, "paid", 3)
            ]
        assert listener.closed


async def test_pages_stay_open_while_kafka_is_away() -> None:
    hub = Hub(NOBODY)
    async with hub.running():
        with hub.listening(CLINIC, CLIENT, b"s") as listener:
            await listener.wait(1)
            assert not listener.closed
            with pytest.raises(ConnectionError):
                await hub.check()


@asynccontextmanager
async def a_process(db: ServiceDb, bootstrap: str) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """`python -m services.gateway api` as it is run, once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    environment = {
        "PATH": os.environ["PATH"],
        "HTTP_PORT": str(port),
        "DATABASE_URL": db.api_dsn,
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "INTERNAL_TOKEN_PUBLIC_KEY": PUBLIC_KEY,
        "INTERNAL_TOKEN_PRIVATE_KEY": PRIVATE_KEY,
        "PUBLIC_URL": url,
        "STRIPE_PUBLISHABLE_KEY": "pk_test_1",
        "LOGIN_KEY": LOGIN_KEY,
        "PAY_LINK_KEY": PAY_LINK_KEY,
        **{f"{service}_URL": f"http://{NOBODY}" for service in ("INVOICE", "PAYMENT", "NOTIFICATION")},
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.gateway", "api", cwd=ROOT, env=environment
    )
    try:
        async with asyncio.timeout(WITHIN), httpx2.AsyncClient() as client:
            while not await _is_ready(client, url):
                await asyncio.sleep(0.1)
        yield url, process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _is_ready(client: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(f"{url}/healthz/system")).status_code == 200
    except httpx2.TransportError:
        return False


async def test_an_open_page_hears_within_a_moment_and_does_not_hold_up_a_stop(
    db_gateway: ServiceDb, broker: str
) -> None:
    clinic_id, client_id = await a_portal(db_gateway.api), new_id()
    await a_login(db_gateway.api, clinic_id, client_id=client_id)
    async with a_process(db_gateway, broker) as (url, process), httpx2.AsyncClient(base_url=url) as client:
        await client.get("/login")
        form = {"email": "ann@example.com", "password": PASSWORD, "_csrf_token": client.cookies["csrf"]}
        assert (await client.post("/login", data=form)).status_code == 303

        async with asyncio.timeout(WITHIN), client.stream("GET", "/c/oak/live") as answer:
            lines = answer.aiter_lines()
            assert await anext(lines) == ": open"
            await send(broker, an_event(InvoicePaid, 3, "paid", clinic=clinic_id, client=client_id))
            async for line in lines:
                if line.startswith("data:"):
                    assert '"status":"paid"' in line and '"version":3' in line
                    break
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(5):
                assert [line async for line in lines if line.startswith("data:")] == []
                assert await process.wait() in (0, -signal.SIGTERM)
