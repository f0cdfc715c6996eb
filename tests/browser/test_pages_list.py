"""A client finds an invoice in a long Billing History, and comes back to the same place."""

import csv
import re
from io import StringIO

import pytest
from playwright.async_api import expect

from tests.running.browser import CHROMIUM, Portal, Visitor, serious

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)")


async def test_a_search_is_kept_on_the_way_to_an_invoice_and_back(world: Portal, ann: Visitor) -> None:
    wanted = await world.issue(service="Dry needling")
    await world.issue()
    page = ann.page
    await page.goto(f"{world.portal}/billing")
    await page.get_by_text("Search and filter").click()
    assert await serious(page) == []
    await page.get_by_label("Invoice number, service or employee").fill("needling")
    await page.get_by_role("button", name="Show invoices").click()

    await expect(page.locator("tbody tr")).to_have_count(1)
    assert await serious(page) == []
    await page.get_by_role("link", name=wanted["number"]).click()
    await page.get_by_role("link", name="Billing History").first.click()
    await expect(page.get_by_label("Invoice number, service or employee")).to_have_value("needling")
    await page.get_by_role("link", name="Paid", exact=True).click()
    await expect(page.get_by_role("heading", name="No invoice found")).to_be_visible()
    assert await serious(page) == []
    await page.get_by_role("link", name="Show all invoices").first.click()
    await expect(page.locator("tbody tr")).to_have_count(2)
    assert ann.wrong == []


async def test_pages_lead_both_ways_and_the_list_is_saved_whole(world: Portal, ann: Visitor) -> None:
    numbers = [(await world.issue())["number"] for _ in range(23)]
    page = ann.page
    await page.goto(f"{world.portal}/billing")
    await page.get_by_role("link", name="Older invoices").click()
    await expect(page.locator("tbody tr")).to_have_count(3)
    await page.get_by_role("link", name="Newer invoices").click()
    await expect(page.locator("tbody tr")).to_have_count(20)
    await expect(page.get_by_role("link", name="Newer invoices")).to_be_hidden()

    async with page.expect_download() as started:
        await page.get_by_role("link", name=re.compile("Save this list")).click()
    saved = await (await started.value).path()
    rows = list(csv.DictReader(StringIO(saved.read_text("utf-8-sig"))))
    assert [row["Invoice"] for row in rows] == numbers[::-1]
    assert {row["Due"] for row in rows} == {"125.00"}
    assert ann.wrong == []


async def test_days_that_cannot_be_are_said_at_the_field_and_kept(world: Portal, ann: Visitor) -> None:
    await world.issue()
    page = ann.page
    await page.goto(f"{world.portal}/billing?since=2026-03-02&until=2026-03-01")

    await expect(page.get_by_text("The first day is after the last day.")).to_be_visible()
    await expect(page.get_by_label("Issued from")).to_have_value("2026-03-02")
    assert await serious(page) == []
    await page.goto(f"{world.portal}/billing.csv?since=2026-03-02&until=2026-03-01")
    await expect(page.get_by_text("The first day is after the last day.")).to_be_visible()
