"""Invoice and receipt on paper: complete enough for an insurer, and nothing that only a screen needs."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.test_pages_paying import fill_card
from tests.running.browser import CHROMIUM, Portal, Visitor

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)")

SCREEN_ONLY = [
    "Billing History",
    "Log out",
    "Search help",
    "Print or save",
    "Invoice Details\n2",
    "Dashboard",
    "Receipt\n·",
]
FOR_AN_INSURER = [
    "Harbour Physiotherapy",
    "Róisín Kelly",
    "Initial physiotherapy assessment",
    "Aoife Brennan",
    "18 November 2026",
    "€110.13",
    "13.5% on €110.13",
    "€14.87",
    "€125.00",
    "Ireland",
]


async def on_paper(page: Page) -> str:
    """The text that is printed."""
    await page.emulate_media(media="print")
    words = await page.locator("body").inner_text()
    assert len(await page.pdf()) > 1000
    await page.emulate_media(media="screen")
    return words


async def test_the_printed_documents_are_complete_and_have_no_buttons(world: Portal, ann: Visitor) -> None:
    invoice, page = await world.issue(), ann.page
    path = f"{world.portal}/invoices/{invoice['id']}"
    await page.goto(f"{path}/pay")
    await fill_card(page)
    await page.get_by_role("button", name="Pay €125.00").click()
    await page.wait_for_url(re.compile("/payments/"))
    await world.receive_webhooks("payment_intent.succeeded")
    await expect(page.get_by_role("heading", name="Paid", exact=True)).to_be_visible()

    receipt = await on_paper(page)
    assert [words for words in FOR_AN_INSURER if words not in receipt] == []
    assert "Visa ending 4242" in receipt and re.search("R-[0-9A-F]{10}", receipt)
    await page.goto(path)
    printed = await on_paper(page)
    assert [words for words in FOR_AN_INSURER if words not in printed] == []
    for text in (receipt, printed):
        assert [words for words in SCREEN_ONLY if words in text] == []
        assert re.findall(r"(?m)(?:^\s*·|·\s*$)", text) == []
    await page.goto(f"{world.portal}/billing")
    listed = await on_paper(page)
    assert "Unpaid" not in listed and "All" not in listed.split()
