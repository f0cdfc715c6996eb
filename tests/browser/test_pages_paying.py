"""The guide's steps on the real pages: find an invoice, read it, pay it, see Paid; and what happens when it fails."""

import re
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.running.browser import CHROMIUM, Portal, Visitor, serious

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)")


async def to_payment_page(page: Page, number: str) -> None:
    """From the dashboard by the guide's words."""
    await page.get_by_role("navigation", name="Main").get_by_role("link", name="Payments").click()
    await page.get_by_role("link", name="Billing History").click()
    await page.get_by_role("link", name=number).click()
    await expect(page.get_by_text("Total amount due").first).to_be_visible()
    await page.get_by_role("link", name="Invoice Details").click()
    await page.get_by_role("link", name="Pay with Card").click()


async def fill_card(page: Page, number: str = "4242424242424242", place: str = "#card-form") -> None:
    frame = page.frame_locator(f"{place} iframe")
    await frame.get_by_label("Card number").fill(number)
    await frame.get_by_label("Expiry").fill("12 / 34")
    await frame.get_by_label(re.compile("CVC|Security code")).fill("123")


async def go_to_the_payment_system(world: Portal, page: Page, invoice: Any) -> None:
    await page.goto(f"{world.portal}/invoices/{invoice['id']}/pay")
    await page.get_by_label("Online payment system").check()
    frame = page.frame_locator("#redirect-form iframe")
    await expect(frame.get_by_text(re.compile("You will go on to PayPal"))).to_be_visible()
    await page.get_by_role("button", name="Pay €125.00").click()
    await page.wait_for_url(re.compile(re.escape(world.sandbox.url)))


async def test_the_eight_steps_end_in_paid_with_a_receipt(world: Portal, ann: Visitor) -> None:
    invoice, page = await world.issue(), ann.page
    await page.reload()
    await expect(page.get_by_text("€125.00").first).to_be_visible()

    await to_payment_page(page, invoice["number"])
    await fill_card(page)
    await page.get_by_label("Save this card for future payments").check()
    await page.get_by_role("button", name="Pay €125.00").click()
    await page.wait_for_url(re.compile("/payments/"))
    await world.receive_webhooks("payment_intent.succeeded")

    await expect(page.get_by_role("heading", name="Paid", exact=True)).to_be_visible()
    await expect(page.get_by_text("Visa ending 4242")).to_be_visible()
    await expect(page.get_by_text(re.compile("R-[0-9A-F]{10}"))).to_be_visible()
    assert await serious(page) == []
    await page.get_by_role("link", name=f"Invoice {invoice['number']}").click()
    await expect(page.get_by_text("Total paid")).to_be_visible()
    assert ann.wrong == []


async def test_a_saved_card_comes_first_and_pays(world: Portal, ann: Visitor) -> None:
    first, page = await world.issue(), ann.page
    await page.goto(f"{world.portal}/invoices/{first['id']}/pay")
    await fill_card(page)
    await page.get_by_label("Save this card for future payments").check()
    await page.get_by_role("button", name="Pay €125.00").click()
    await page.wait_for_url(re.compile("/payments/"))
    await world.receive_webhooks("payment_intent.succeeded")
    second = await world.issue()

    await page.goto(f"{world.portal}/invoices/{second['id']}/pay")
    await expect(page.get_by_role("radio").first).to_be_checked()
    await expect(page.get_by_label("Visa ending 4242")).to_be_checked()
    await page.get_by_role("button", name="Pay €125.00").click()
    await page.wait_for_url(re.compile("/payments/"))
    await world.receive_webhooks("payment_intent.succeeded", 2)

    await expect(page.get_by_role("heading", name="Paid", exact=True)).to_be_visible()
    assert ann.wrong == []


async def test_a_declined_card_says_why_and_the_next_try_pays(world: Portal, ann: Visitor) -> None:
    invoice, page = await world.issue(), ann.page
    await page.goto(f"{world.portal}/invoices/{invoice['id']}/pay")
    await fill_card(page, "4000000000009995")
    await page.get_by_role("button", name="Pay €125.00").click()

    summary = page.get_by_role("alert").filter(has_text="did not go through")
    await expect(summary).to_contain_text("There is not enough money on this card")
    await expect(summary).to_be_focused()
    assert await serious(page) == []
    await expect(summary.get_by_role("link", name="Pay with: Online payment system")).to_be_visible()
    await expect(page.get_by_role("button", name="Pay €125.00")).to_have_attribute("aria-disabled", "false")
    await world.receive_webhooks("payment_intent.payment_failed")
    await expect(summary).to_be_visible()

    await fill_card(page)
    await page.get_by_role("button", name="Pay €125.00").click()
    await page.wait_for_url(re.compile("/payments/"))
    await world.receive_webhooks("payment_intent.succeeded")
    await expect(page.get_by_role("heading", name="Paid", exact=True)).to_be_visible()


@pytest.mark.parametrize(
    ("answer", "heading"), [("Complete", "Paid"), ("Fail", "The payment did not go through")]
)
async def test_a_bank_that_wants_to_know_more_is_asked_on_the_page(
    world: Portal, ann: Visitor, answer: str, heading: str
) -> None:
    invoice, page = await world.issue(), ann.page
    await page.goto(f"{world.portal}/invoices/{invoice['id']}/pay")
    await fill_card(page, "4000000000003220")
    await page.get_by_role("button", name="Pay €125.00").click()
    bank = page.frame_locator("dialog iframe")
    await bank.get_by_role("button", name=answer).click()
    await world.receive_webhooks(
        "payment_intent." + ("succeeded" if answer == "Complete" else "payment_failed")
    )

    await expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()


async def test_a_page_whose_invoice_another_tab_paid_says_so_in_its_heading(
    world: Portal, ann: Visitor
) -> None:
    invoice, page = await world.issue(), ann.page
    address = f"{world.portal}/invoices/{invoice['id']}/pay"
    # A page that hears of nothing, as after a night in a pocket.
    await page.route("**/live?*", lambda route: route.abort())
    await page.goto(address)
    await fill_card(page)
    other = await page.context.new_page()
    await other.goto(address)
    await fill_card(other)
    await other.get_by_role("button", name="Pay €125.00").click()
    await other.wait_for_url(re.compile("/payments/"))
    await world.receive_webhooks("payment_intent.succeeded")

    await page.get_by_role("button", name="Pay €125.00").click()

    alert = page.get_by_role("alert").first
    await expect(alert.get_by_role("heading")).to_have_text("This invoice is paid")
    await expect(alert).to_contain_text("Nothing more was taken.")


async def test_an_incomplete_card_is_refused_before_anything_is_started(world: Portal, ann: Visitor) -> None:
    invoice, page = await world.issue(), ann.page
    await page.goto(f"{world.portal}/invoices/{invoice['id']}/pay")
    await page.wait_for_selector("#card-form iframe")
    await page.get_by_role("button", name="Pay €125.00").click()

    await expect(page.get_by_role("alert").first).to_be_visible()
    assert world.sandbox.requests("/v1/payment_intents") == []


async def test_an_amount_that_changed_is_said_and_not_taken(world: Portal, ann: Visitor) -> None:
    invoice, page = await world.issue(), ann.page
    await page.goto(f"{world.portal}/invoices/{invoice['id']}/pay")
    await fill_card(page)
    await page.eval_on_selector("#pay", "form => { form.dataset.minor = '99900'; }")
    # The form's own sum is checked by the payment service, not by the page.
    await page.get_by_role("button", name="Pay €125.00").click()

    summary = page.get_by_role("alert").first
    await expect(summary).to_contain_text("it is €125.00 now. No money was taken.")
    await expect(summary.get_by_role("link", name="See the new amount")).to_be_visible()


async def test_an_open_page_turns_to_paid_when_the_money_comes(world: Portal, ann: Visitor) -> None:
    invoice, page = await world.issue(), ann.page
    other = await page.context.new_page()
    await other.goto(f"{world.portal}/billing")
    await other.locator(f"#row-{invoice['id']}").focus()
    await page.goto(f"{world.portal}/invoices/{invoice['id']}/pay")
    await fill_card(page)
    await page.get_by_role("button", name="Pay €125.00").click()
    await page.wait_for_url(re.compile("/payments/"))
    await world.receive_webhooks("payment_intent.succeeded")

    await expect(other.get_by_role("row").filter(has_text=invoice["number"])).to_contain_text("Paid")
    await expect(other.locator(f"#row-{invoice['id']}")).to_be_focused()
    await expect(other.locator("#announce")).to_have_text(f"Invoice {invoice['number']} is paid")


async def test_paying_in_another_window_ends_the_form_in_this_one(world: Portal, ann: Visitor) -> None:
    invoice, page = await world.issue(), ann.page
    waiting = await page.context.new_page()
    await waiting.goto(f"{world.portal}/invoices/{invoice['id']}/pay")
    await page.goto(f"{world.portal}/invoices/{invoice['id']}/pay")
    await fill_card(page)
    await page.get_by_role("button", name="Pay €125.00").click()
    await page.wait_for_url(re.compile("/payments/"))
    await world.receive_webhooks("payment_intent.succeeded")

    await waiting.wait_for_url(f"{world.portal}/invoices/{invoice['id']}")
    await expect(waiting.get_by_text("Total paid")).to_be_visible()


async def test_a_redirect_comes_back_to_the_result(world: Portal, ann: Visitor) -> None:
    invoice, page = await world.issue(), ann.page
    await go_to_the_payment_system(world, page, invoice)
    await page.get_by_role("button").first.click()
    await page.wait_for_url(re.compile("/payments/"))
    await world.receive_webhooks("payment_intent.succeeded")

    await expect(page.get_by_role("heading", name="Paid", exact=True)).to_be_visible()


async def test_a_card_is_added_made_default_and_removed(world: Portal, ann: Visitor) -> None:
    page = ann.page
    await page.goto(f"{world.portal}/methods/add")
    await fill_card(page, "5555555555554444")
    await page.get_by_role("button", name="Save this card").click()
    await page.wait_for_url(re.compile("/methods"))
    await world.receive_webhooks("setup_intent.succeeded")
    await expect(page.get_by_role("strong").filter(has_text="Mastercard ending 4444")).to_be_visible()
    await expect(page.get_by_text("Your card has been saved.")).to_be_visible()

    await page.get_by_role("link", name="Remove Mastercard ending 4444").click()
    await page.get_by_role("button", name="Remove Mastercard ending 4444").click()
    await expect(page.get_by_text("No saved cards")).to_be_visible()
    assert ann.wrong == []
