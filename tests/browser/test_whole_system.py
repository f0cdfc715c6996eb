"""The guide's eight steps in a browser on the system that `./clinicpay up` runs: nothing between is left out."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Page, expect

from deploy.local.demo.data import CLIENT_EMAIL, PASSWORD
from tests.browser.test_pages_paying import fill_card, to_payment_page
from tests.running.browser import CHROMIUM, Visitor, a_browser, a_visitor
from tests.running.system import Running, running, until
from tests.system.test_main_job import an_invoice, harbour

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)")

PAID_MS = 20_000


@pytest.fixture(scope="module")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running(tmp_path_factory.mktemp("browser") / "data") as started:
        yield started


@pytest.fixture
async def visitor(system: Running) -> AsyncIterator[Visitor]:
    async with a_browser() as browser, a_visitor(browser, width=390) as visitor:
        page = visitor.page
        await page.goto(system.url)
        await page.get_by_label("E-mail").fill(CLIENT_EMAIL)
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Log in").click()
        await page.get_by_role("link", name="Harbour Physiotherapy").click()
        yield visitor


async def test_a_client_pays_on_a_phone_and_another_open_page_turns_to_paid(
    system: Running, visitor: Visitor
) -> None:
    page = visitor.page
    await expect(page.get_by_text("You owe")).to_be_visible()
    watching = await page.context.new_page()
    await watching.goto(f"{system.url}/c/harbour/billing")
    row = watching.get_by_role("row", name=re.compile("2026-000007"))
    before = await row.inner_text()

    await to_payment_page(page, "2026-000007")
    await page.get_by_label("Another card").check()
    await fill_card(page, "5555555555554444")
    await page.get_by_role("button", name="Pay €86.10").click()

    await page.wait_for_url(re.compile("/payments/"))
    await expect(page.get_by_role("heading", name="Paid", exact=True)).to_be_visible(timeout=PAID_MS)
    await expect(row).to_contain_text("Paid", timeout=PAID_MS)
    await expect(row).to_contain_text("Mastercard ending 4444")
    assert "Unpaid" in before
    assert visitor.wrong == []
    receipts = await until(lambda: receipts_of(system, "€86.10"))
    assert all(mail["to"] == [CLIENT_EMAIL] or CLIENT_EMAIL in str(mail["to"]) for mail in receipts)


async def receipts_of(system: Running, amount: str) -> list[dict[str, Any]]:
    return [mail for mail in await system.mails("Receipt for your payment") if amount in mail["text"]]


async def test_the_demo_s_saved_card_pays_in_two_presses(system: Running, visitor: Visitor) -> None:
    page = visitor.page
    await to_payment_page(page, "2026-000005")
    await expect(page.get_by_label("Visa ending 4242")).to_be_checked()
    await page.get_by_role("button", name="Pay €73.78").click()

    await expect(page.get_by_role("heading", name="Paid", exact=True)).to_be_visible(timeout=PAID_MS)


async def test_a_declined_card_then_an_online_payment_system(system: Running, visitor: Visitor) -> None:
    page = visitor.page
    await to_payment_page(page, "2026-000006")
    await page.get_by_label("Another card").check()
    await fill_card(page, "4000000000000002")
    await page.get_by_role("button", name="Pay €298.76").click()
    await expect(page.get_by_role("alert").filter(has_text="did not go through")).to_be_visible()

    await page.get_by_role(
        "radio",
        name=re.compile("online payment system", re.IGNORECASE),  # named once Stripe was asked
    ).check()
    await page.get_by_role("button", name="Pay €298.76").click()
    await page.get_by_role("button", name="Authorise").click()

    await page.wait_for_url(re.compile("/payments/"))
    await expect(page.get_by_role("heading", name="Paid", exact=True)).to_be_visible(timeout=PAID_MS)


async def test_a_clinic_without_online_payment_and_one_without_billing_say_how_to_reach_them(
    system: Running, visitor: Visitor
) -> None:
    page: Page = visitor.page
    await page.goto(f"{system.url}/c/lakeside/billing")
    await page.get_by_role("link", name="2026-000002").click()
    await page.get_by_role("link", name="Invoice Details").click()
    await expect(page.get_by_role("link", name="Pay with Card")).to_have_count(0)
    await expect(page.get_by_role("link", name="+41 44 555 01 77").first).to_be_visible()

    await page.goto(f"{system.url}/c/mindwell")
    await expect(page.get_by_role("link", name="Payments")).to_have_count(0)
    await expect(page.get_by_role("link", name="+44 20 5550 0119").first).to_be_visible()


@pytest.mark.parametrize(("width", "price"), [(390, 4_100), (1280, 4_200)])
async def test_from_the_mailbox_to_paid_are_two_clicks_with_a_typed_card(
    system: Running, width: int, price: int
) -> None:
    """A browser that was never here: the button of the e-mail, a card, the button of the page."""
    invoice = await an_invoice(system, price)
    [mail] = await until(lambda: system.mails(f"Invoice {invoice['number']} is ready"))
    clicks = 0
    async with a_browser() as browser, a_visitor(browser, width=width) as visitor:
        await visitor.page.goto(f"{system.mailbox_url}/messages/{mail['id']}")
        letter = visitor.page.frame_locator("iframe.letter")
        async with visitor.page.context.expect_page() as opening:
            await letter.get_by_role("link", name=re.compile("^Pay €")).click()
            clicks += 1
        page = await opening.value
        await fill_card(page)
        await page.get_by_role("button", name=re.compile("^Pay €")).click()
        clicks += 1

        await expect(page.get_by_role("heading", name="Paid", exact=True)).to_be_visible(timeout=PAID_MS)
        assert clicks == 2
        await expect(page.get_by_text("Visa ending 4242")).to_be_visible(timeout=PAID_MS)
        assert not [each for each in await page.context.cookies() if "session" in each.get("name", "")]
    shown = await system.api("GET", f"/clinics/{await harbour(system)}/invoices/{invoice['id']}")
    assert shown["status"] == "paid"
