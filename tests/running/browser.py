"""A portal in this process for a browser: real gateway, invoice and payment, and the sandbox as Stripe.

Kafka alone is missing: `World.pass_on` hands each service's outbox to the others' real consumers and to open pages.
"""

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import uvicorn
from axe_playwright_python.base import AXE_FILE_PATH
from litestar import Litestar
from playwright.async_api import Browser, Page, async_playwright

from deploy.sandbox.embedded import RunningSandbox, _listener, _Server, running_sandbox
from services.chassis.ids import new_id
from services.gateway import app as gateway
from services.gateway.accounts import actions
from services.invoice import app as invoice
from services.invoice import consumers as invoice_consumers
from services.payment import app as payment
from services.payment import consumers as payment_consumers
from tests.builders.callers import a_caller
from tests.builders.events import deliver, outbox_events
from tests.running import invoice as invoice_world
from tests.running import payment as payment_world
from tests.running.apps import Client, calling
from tests.running.databases import ServiceDb
from tests.running.gateway import PASSWORD, a_login, gateway_settings
from tests.running.payment import Hook, a_hook

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update"
    " --disable-sync --no-first-run"
)
EMAIL = "ann@example.com"
CLINIC: dict[str, Any] = {
    "slug": "harbour",
    "name": "Harbour Physiotherapy",
    "currency": "EUR",
    "time_zone": "Europe/Dublin",
    "locale": "en-IE",
    "accent": "#0b6e6e",
    "contact": {
        "phone": "+353 1 555 0123",
        "email": "billing@harbour.example",
        "address": "12 Quay Street, Dublin 2",
        "hours": "Monday to Friday, 8:30 to 18:00",
    },
    "tax_rates": [{"code": "RED", "name": "VAT", "percent": "13.5"}],
}


@dataclass
class World:
    """A clinic with one client who can log in, and the ways to change what the client sees."""

    url: str
    site: Litestar
    invoices: Client
    db_invoice: ServiceDb
    db_payment: ServiceDb
    sandbox: RunningSandbox
    hook: Hook
    clinic_id: UUID = field(default_factory=new_id)
    client_id: UUID = field(default_factory=new_id)
    passed_on: set[UUID] = field(default_factory=set)

    async def put_clinic(self, **changes: Any) -> None:
        """The clinic's settings, whole; pages see them at once."""
        operator = a_caller("operator", self.clinic_id)
        await invoice_world.put(self.invoices, f"/clinics/{self.clinic_id}", operator, CLINIC | changes)
        self.site.state.upstreams._clinics.clear()
        await self.pass_on()

    async def put_client(self) -> None:
        staff = a_caller("staff", self.clinic_id)
        await invoice_world.add_client(self.invoices, self.client_id, staff, "Róisín Kelly")

    async def issue(self, minor: int = 11_013, *, due_in_days: int = 14) -> Any:
        """An invoice for a physiotherapy session, tax included: 11013 is €125.00 with 13.5 %."""
        today = datetime.now(UTC).date()
        line = {
            "service": "Initial physiotherapy assessment",
            "practitioner": "Aoife Brennan",
            "appointment": {"starts_at": "2026-11-18T14:30:00Z", "place": "Treatment room 2"},
            "unit_price": {"minor": minor, "currency": "EUR"},
            "tax_code": "RED",
        }
        body = {
            "client_id": str(self.client_id),
            "issued_on": (today + timedelta(days=min(0, due_in_days))).isoformat(),
            "due_on": (today + timedelta(days=due_in_days)).isoformat(),
            "lines": [line],
        }
        headers = {"Idempotency-Key": str(new_id())}
        staff = a_caller("staff", self.clinic_id)
        answer = await self.invoices.call("POST", "/invoices", staff, json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        await self.pass_on()
        return answer.json()

    async def receive_webhooks(self, event_type: str, count: int = 1) -> None:
        """Wait for Stripe's webhook, and let everything follow from it."""
        await self.hook.until(event_type, count)
        await deliver(self.db_payment.worker, payment_consumers, *self.hook.events())
        await self.pass_on()

    async def pass_on(self) -> None:
        """What Kafka does: each new event to its readers, until nobody says anything new."""
        while new := [event for event in await self._outboxes() if event.id not in self.passed_on]:
            for event in new:
                self.passed_on.add(event.id)
                await deliver(self.db_payment.worker, payment_consumers, event)
                await deliver(self.db_invoice.worker, invoice_consumers, event)
                self.site.state.hub.publish(event.topic.name, event.encode())

    async def _outboxes(self) -> list[Any]:
        return [*await outbox_events(self.db_invoice), *await outbox_events(self.db_payment)]

    @property
    def portal(self) -> str:
        return f"{self.url}/c/harbour"


@asynccontextmanager
async def a_world(
    db_gateway: ServiceDb, db_invoice: ServiceDb, db_payment: ServiceDb, **changes: Any
) -> AsyncIterator[World]:
    async with (
        a_hook("whsec_sandbox") as (hook, hook_url),
        running_sandbox(hook_url) as sandbox,
        calling(invoice.api(invoice_world.settings(db_invoice)), "invoice") as operator,
        _serving(invoice.api(invoice_world.settings(db_invoice))) as invoice_url,
        _serving(payment.api(payment_world.settings(db_payment, sandbox))) as payment_url,
        _a_site(db_gateway, sandbox, invoice_url, payment_url) as (url, site),
    ):
        world = World(url, site, operator, db_invoice, db_payment, sandbox, hook)
        async with db_gateway.api.tx(world.clinic_id, operator=True) as tx:
            await actions.put_portal(tx, a_caller("operator", world.clinic_id), CLINIC["slug"])
        await a_login(db_gateway.api, world.clinic_id, EMAIL, client_id=world.client_id)
        await world.put_clinic(**changes)
        await world.put_client()
        yield world


@asynccontextmanager
async def _a_site(
    db: ServiceDb, sandbox: RunningSandbox, invoice_url: str, payment_url: str
) -> AsyncIterator[tuple[str, Litestar]]:
    with _listener(0) as listener:
        url = _url(listener)
        settings = gateway_settings(
            db.api_dsn,
            public_url=url,
            invoice_url=invoice_url,
            payment_url=payment_url,
            stripe_publishable_key=sandbox.publishable_key,
            stripe_js_url=f"{sandbox.url}/v3/",
            demo=True,
        )
        site = gateway.api(settings)
        async with _serving(site, listener):
            yield url, site
            site.state.hub.close()


@asynccontextmanager
async def _serving(app: Litestar, listener: socket.socket | None = None) -> AsyncIterator[str]:
    """The app on a port of its own, in this event loop."""
    with listener or _listener(0) as listening:
        server = _Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1))
        task = asyncio.create_task(server.serve([listening]))
        try:
            while not (server.started or task.done()):
                await asyncio.sleep(0.002)
            yield _url(listening)
        finally:
            server.should_exit = True
            await task


def _url(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@asynccontextmanager
async def a_browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Visitor:
    """A browser's page that remembers everything that went wrong in it."""

    page: Page
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", self._hear)

    def _hear(self, message: Any) -> None:
        if message.type == "error" and "402 (Payment Required)" not in message.text:
            self.wrong.append(message.text)

    async def log_in(self, world: World) -> None:
        await self.page.goto(f"{world.portal}")
        await self.page.get_by_label("E-mail").fill(EMAIL)
        await self.page.get_by_label("Password").fill(PASSWORD)
        await self.page.get_by_role("button", name="Log in").click()
        await self.page.wait_for_url(f"{world.portal}")


@asynccontextmanager
async def a_visitor(
    browser: Browser, *, width: int = 1280, dark: bool = False, motion: str = "reduce"
) -> AsyncIterator[Visitor]:
    scheme: Any = "dark" if dark else "light"
    context = await browser.new_context(
        viewport={"width": width, "height": 844},
        color_scheme=scheme,
        reduced_motion="reduce" if motion == "reduce" else "no-preference",
    )
    context.set_default_timeout(20_000)
    try:
        yield Visitor(await context.new_page())
    finally:
        await context.close()


async def serious(page: Page) -> list[str]:
    """What axe finds serious or critical on our own page, with where. Stripe's frames are not ours."""
    await page.evaluate(AXE_FILE_PATH.read_text(encoding="utf-8"))
    found: dict[str, Any] = await page.evaluate("axe.run(document, {iframes: false})")
    return [
        f"{page.url} {violation['id']}: {node['html'][:120]} {node['any'][:1]}"
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]
