"""A portal in this process for a browser: real gateway, invoice and payment, and the sandbox as Stripe.

Only Kafka is missing: `Portal.pass_on` delivers each outbox to the real consumers and to open pages.
"""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from axe_playwright_python.base import AXE_FILE_PATH
from litestar import Litestar
from playwright.async_api import Browser, Page, async_playwright

from deploy.sandbox.embedded import RunningSandbox, listen_on, running_sandbox
from services.chassis.ids import new_id
from services.gateway import app as gateway
from services.gateway.accounts import actions
from services.invoice import app as invoice
from services.payment import app as payment
from tests.builders.callers import a_caller
from tests.builders.clinics import CONTACT, clinic_body
from tests.builders.events import deliver_to_all, outbox_events
from tests.builders.invoices import due_in, invoice_body, line_body
from tests.running import invoice as invoice_world
from tests.running.apps import Client, calling, serving, url_of
from tests.running.databases import ServiceDb
from tests.running.gateway import PASSWORD, a_login
from tests.running.payment import Hook, a_hook
from tests.running.settings import gateway_settings, invoice_settings, payment_settings

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update"
    " --disable-sync --no-first-run"
)
EMAIL = "ann@example.com"
CLINIC = clinic_body(name="Harbour Physiotherapy", locale="en-IE", accent="#0b6e6e", contact=CONTACT)


SESSION = {
    "service": "Initial physiotherapy assessment",
    "practitioner": "Aoife Brennan",
    "appointment": {"starts_at": "2026-11-18T14:30:00Z", "place": "Treatment room 2"},
}


@dataclass
class Portal:
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
        """Replace the clinic's settings; pages see them at once."""
        operator = a_caller("operator", self.clinic_id)
        await invoice_world.put(self.invoices, f"/clinics/{self.clinic_id}", operator, CLINIC | changes)
        self.site.state.upstreams.recent_clinics.clear()
        await self.pass_on()

    async def put_client(self) -> None:
        staff = a_caller("staff", self.clinic_id)
        home = {"lines": ["7 Sea Road"], "postcode": "D04", "city": "Dublin", "country": "IE"}
        await invoice_world.add_client(
            self.invoices, self.client_id, staff, "Róisín Kelly", billing_address=home
        )

    async def issue(
        self, minor: int = 11_013, *, due_in_days: int = 14, note: str = "", **changes: Any
    ) -> Any:
        """Issue an invoice for a physiotherapy session. `minor` is before tax: 11013 and 13.5 % are €125.00."""
        line = line_body(
            minor,
            tax_code="reduced",
            **SESSION | changes,
        )
        body = invoice_body(
            self.client_id,
            issued_on=due_in(min(0, due_in_days)),
            due_on=due_in(due_in_days),
            lines=[line],
            note=note,
        )
        headers = {"Idempotency-Key": str(new_id())}
        staff = a_caller("staff", self.clinic_id)
        answer = await self.invoices.call("POST", "/invoices", staff, json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        await self.pass_on()
        return answer.json()

    async def receive_webhooks(self, event_type: str, count: int = 1) -> None:
        """Wait for Stripe's webhook, consume it, and deliver the events that follow."""
        await self.hook.until(event_type, count)
        await deliver_to_all({"payment": self.db_payment}, *self.hook.events())
        await self.pass_on()

    async def pass_on(self) -> None:
        """Deliver each new event to its consumers and to open pages, until there are no new ones."""
        while new := [event for event in await self._outboxes() if event.id not in self.passed_on]:
            for event in new:
                self.passed_on.add(event.id)
                await deliver_to_all({"payment": self.db_payment, "invoice": self.db_invoice}, event)
                self.site.state.hub.publish(event.topic.name, event.encode())

    async def _outboxes(self) -> list[Any]:
        return [*await outbox_events(self.db_invoice), *await outbox_events(self.db_payment)]

    @property
    def portal(self) -> str:
        return f"{self.url}/c/harbour"


@asynccontextmanager
async def a_portal_for_browsers(
    db_gateway: ServiceDb, db_invoice: ServiceDb, db_payment: ServiceDb, **changes: Any
) -> AsyncIterator[Portal]:
    async with (
        a_hook("whsec_sandbox") as (hook, hook_url),
        running_sandbox(hook_url) as sandbox,
        calling(invoice.api(invoice_settings(db_invoice.api_dsn)), "invoice") as operator,
        serving(invoice.api(invoice_settings(db_invoice.api_dsn))) as invoice_url,
        serving(payment.api(payment_settings(db_payment.api_dsn, sandbox))) as payment_url,
        _a_site(db_gateway, sandbox, invoice_url, payment_url) as (url, site),
    ):
        world = Portal(url, site, operator, db_invoice, db_payment, sandbox, hook)
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
    with listen_on(0) as listener:
        url = url_of(listener)
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
        async with serving(site, listener):
            yield url, site
            site.state.hub.close()


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
    """A browser's page that records all its errors."""

    page: Page
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", self._on_console)

    def _on_console(self, message: Any) -> None:
        if message.type == "error" and "402 (Payment Required)" not in message.text:
            self.wrong.append(message.text)

    async def log_in(self, world: Portal) -> None:
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
    """The serious and critical findings of axe on our own page, without Stripe's frames, with the elements."""
    await page.evaluate(AXE_FILE_PATH.read_text(encoding="utf-8"))
    found: dict[str, Any] = await page.evaluate("axe.run(document, {iframes: false})")
    return [
        f"{page.url} {violation['id']}: {node['html'][:120]} {node['any'][:1]}"
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]
