"""The operators' console in a browser: every page in each width and scheme, and an act by keyboard."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pyotp
import pytest
from playwright.async_api import expect

from deploy.ops.console.app import console
from deploy.ops.console.operators import actions
from deploy.sandbox.embedded import listen_on
from services.chassis.db.database import Database
from services.chassis.kafka import park
from services.chassis.kafka.park import Parked, Record
from services.notification import consumers as notification_consumers
from services.payment import consumers as payment_consumers
from tests.browser.test_pages_quality import sideways, small_targets
from tests.builders.events import deliver, waiting_parked
from tests.builders.invoices import an_invoice
from tests.running.apps import serving, url_of
from tests.running.browser import CHROMIUM, Visitor, a_browser, a_visitor, serious
from tests.running.console import NAME, PASSWORD, REASON, code, console_settings
from tests.running.databases import ServiceDb
from tests.running.notification import a_reachable_client

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)")

PAGES = (
    "",
    "/journeys",
    "/journeys?q=2026-000001",
    "/journeys?q=nothing",
    "/parked",
    "/parked/invoice/1",
    "/emails",
    "/clinics",
    "/clinics/{clinic}",
    "/keys",
    "/verify",
    "/audit",
    "/audit?clinic=nowhere",
    "/nowhere",
)


@dataclass
class Place:
    url: str
    clinic: str
    own: Database


@pytest.fixture
async def place(
    db_gateway: ServiceDb, db_invoice: ServiceDb, db_payment: ServiceDb, db_notification: ServiceDb
) -> AsyncIterator[Place]:
    """A console with something on each page."""
    dbs = {
        "gateway": db_gateway,
        "invoice": db_invoice,
        "payment": db_payment,
        "notification": db_notification,
    }
    clinic, client_id = await a_reachable_client(db_notification)
    await deliver(db_payment.worker, payment_consumers, clinic)
    await deliver(db_notification.worker, notification_consumers, an_invoice(clinic.clinic_id, client_id))
    await db_notification.admin.execute(
        "UPDATE deliveries SET state = 'failed', attempts = 9, last_error = '550', failed_at = now()"
    )
    async with db_invoice.worker.worker_tx() as tx:
        text = b'{"data": {"note": "' + b"Physiotherapy" * 40 + b'"}}'
        record = Record("payment.settled", 0, 7, b"k" * 300, text, (("traceparent", b"x" * 200),))
        await park.add(tx, "invoice", [Parked(record, None, "undecodable", "a detail " * 30)])
    await db_gateway.admin.execute(
        "INSERT INTO verify_runs (id, breaches, not_checked, report) VALUES (gen_random_uuid(), 1, 1, $1)",
        '{"checks": [{"check": "paid_once", "where": "invoice", "says": "it is paid once", "seconds": 0.1,'
        ' "breaches": ["invoice 7"]}], "waiting": [], "not_checked": {"Kafka": "away"}}',
    )
    with listen_on(0) as listener:
        url = url_of(listener)
        app = console(console_settings(dbs, console_url=url))
        async with serving(app, listener):
            own = app.state["sources"].own
            yield Place(f"{url}/ops", str(clinic.clinic_id), own)


@pytest.fixture
async def operator(place: Place) -> AsyncIterator[Visitor]:
    """Who was invited, has set up the login by the pages, and is logged in."""
    async with place.own.worker_tx() as tx:
        token = await actions.add(tx, NAME)
    async with a_browser() as browser, a_visitor(browser) as visitor:
        page = visitor.page
        await page.goto(f"{place.url}/welcome/{token}")
        assert await serious(page) == []
        secret = (await page.locator(".key").inner_text()).replace(" ", "")
        assert len(pyotp.TOTP(secret).now()) == 6
        await page.get_by_label("Choose a password").fill(PASSWORD)
        await page.get_by_label("The code that the app shows now").fill(code(secret, -1))
        await page.keyboard.press("Enter")
        await page.wait_for_url(re.compile("/ops/login"))
        assert await serious(page) == []
        await page.get_by_label("Name").fill(NAME)
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_label("Code from your app").fill(code(secret))
        await page.keyboard.press("Enter")
        await page.wait_for_url(place.url)
        yield visitor


@pytest.mark.parametrize(("width", "dark"), [(320, False), (390, True), (1280, False)])
async def test_every_page_of_the_console_reads_well(
    place: Place, operator: Visitor, width: int, dark: bool
) -> None:
    page = operator.page
    await page.set_viewport_size({"width": width, "height": 844})
    await page.emulate_media(color_scheme="dark" if dark else "light", reduced_motion="reduce")

    objections: list[str] = []
    for path in PAGES:
        await page.goto(place.url + path.format(clinic=place.clinic))
        found = await serious(page) + await small_targets(page)
        objections += [f"{path}: {each}" for each in found]
        objections += [f"{path} is {over} px too wide" for over in [await sideways(page)] if over > 0]

    assert objections == []
    assert [error for error in operator.wrong if "404" not in error and "422" not in error] == []


async def test_an_event_is_discarded_by_keyboard_with_a_reason(
    place: Place, operator: Visitor, db_invoice: ServiceDb
) -> None:
    page = operator.page
    await page.goto(f"{place.url}/parked")
    await page.get_by_role("checkbox").focus()
    await page.keyboard.press("Space")
    await page.get_by_role("radio", name="Discard for good").focus()
    await page.keyboard.press("Space")
    await page.get_by_label("Why").focus()
    await page.keyboard.type(REASON)
    await page.keyboard.press("Enter")

    await expect(page.get_by_role("heading", level=1)).to_have_text("Nothing is parked")
    assert await waiting_parked(db_invoice) == []
    await page.go_back()
    await page.reload()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Nothing is parked")
