"""Everything works after the browser's Back."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.test_pages_paying import fill_card, go_to_the_payment_system
from tests.running.browser import CHROMIUM, EMAIL, Portal, Visitor
from tests.running.gateway import PASSWORD

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)")


async def save_a_card(world: Portal, page: Page) -> None:
    await page.goto(f"{world.portal}/methods/add")
    await fill_card(page, "5555555555554444")
    await page.get_by_role("button", name="Save this card").click()
    await page.wait_for_url(re.compile("/methods[?]"))
    await world.receive_webhooks("setup_intent.succeeded")


async def pay_by_new_card(world: Portal, page: Page) -> None:
    await fill_card(page)
    await page.get_by_role("button", name="Pay €125.00").click()
    await page.wait_for_url(re.compile("/payments/"))
    await world.receive_webhooks("payment_intent.succeeded")
    await expect(page.get_by_role("heading", name="Paid", exact=True)).to_be_visible()


async def test_another_card_can_be_entered_after_going_away_and_back(world: Portal, ann: Visitor) -> None:
    page = ann.page
    await save_a_card(world, page)
    invoice = await world.issue()
    await page.goto(f"{world.portal}/invoices/{invoice['id']}")
    await page.get_by_role("link", name="Pay with Card").click()
    await page.get_by_label("Another card").check()
    await page.get_by_label("Save this card for future payments").check()
    await page.get_by_role("link", name="Cancel and go back").click()
    await page.wait_for_url(re.compile(f"/invoices/{invoice['id']}$"))
    await page.go_back()

    await expect(page.get_by_label("Another card")).to_be_visible()
    if not await page.get_by_label("Another card").is_checked():
        await page.get_by_label("Another card").check()
    await pay_by_new_card(world, page)
    assert ann.wrong == []


async def test_a_choice_that_the_browser_puts_back_without_a_word_has_its_form(
    world: Portal, ann: Visitor
) -> None:
    page = ann.page
    await save_a_card(world, page)
    invoice = await world.issue()
    await page.goto(f"{world.portal}/invoices/{invoice['id']}/pay")
    # As browsers do it: the boxes change, and no event tells.
    await page.evaluate(
        "() => { document.querySelector('#way-card').checked = true; document.querySelector('#save').checked = true }"
    )
    await page.evaluate("window.dispatchEvent(new PageTransitionEvent('pageshow'))")

    await pay_by_new_card(world, page)
    assert ann.wrong == []


async def test_who_comes_back_from_the_payment_system_by_back_can_pay_another_way(
    world: Portal, ann: Visitor
) -> None:
    page, invoice = ann.page, await world.issue()
    await go_to_the_payment_system(world, page, invoice)
    await page.go_back()

    await expect(page.get_by_role("button", name="Pay €125.00")).to_be_enabled()
    await page.get_by_label("Credit or debit card").check()
    await pay_by_new_card(world, page)


async def test_a_card_that_was_removed_is_gone_after_back(world: Portal, ann: Visitor) -> None:
    page = ann.page
    await save_a_card(world, page)
    await page.goto(f"{world.portal}/methods")
    await page.get_by_role("link", name="Remove Mastercard ending 4444").click()
    await page.get_by_role("button", name="Remove Mastercard ending 4444").click()
    await expect(page.get_by_text("The card has been removed.")).to_be_visible()
    await page.go_back()

    await page.wait_for_url(re.compile("/methods[?]done=gone"))
    await expect(page.get_by_text("This card is no longer saved here.")).to_be_visible()


async def test_back_after_adding_a_card_shows_an_empty_form_that_works(world: Portal, ann: Visitor) -> None:
    page = ann.page
    await save_a_card(world, page)
    await page.go_back()

    await page.wait_for_url(re.compile("/methods/add"))
    await fill_card(page)
    await page.get_by_role("button", name="Save this card").click()
    await page.wait_for_url(re.compile("/methods[?]"))
    await world.receive_webhooks("setup_intent.succeeded", 2)
    await expect(page.get_by_role("strong").filter(has_text="Visa ending 4242")).to_be_visible()


async def test_back_after_logging_in_leads_on_and_after_logging_out_to_the_login(
    world: Portal, ann: Visitor
) -> None:
    page = ann.page
    await page.go_back()
    await expect(page.get_by_text("Harbour Physiotherapy").first).to_be_visible()
    await expect(page.get_by_label("Password")).to_have_count(0)
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_label("Password")).to_be_visible()
    await page.go_back()

    await expect(page.get_by_label("Password")).to_be_visible()
    await page.get_by_label("E-mail").fill(EMAIL)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("button", name="Log out")).to_be_visible()


@pytest.mark.parametrize("status", ["unpaid", ""])
async def test_an_invoice_leads_back_to_the_page_of_the_list_that_led_to_it(
    world: Portal, ann: Visitor, status: str
) -> None:
    for minor in range(10_000, 10_022):
        await world.issue(minor)
    page = ann.page
    await page.goto(f"{world.portal}/billing" + (f"?status={status}" if status else ""))
    await page.get_by_role("link", name="Older invoices").click()
    await expect(page.locator("tbody tr")).to_have_count(2)
    older = page.url

    await page.locator("tbody tr").first.get_by_role("link").click()
    await page.get_by_role("link", name="Invoice Details").click()
    await page.get_by_role("link", name="Pay with Card").click()
    await page.get_by_role("link", name="Cancel and go back").click()
    await page.get_by_role("link", name="Billing History").click()

    await expect(page.locator("tbody tr")).to_have_count(2)
    assert page.url == older
