"""Invoices, amount and credit are chosen on the payment page, and a card that is typed there stays."""

import re

import pytest
from playwright.async_api import Page, expect

from services.chassis.ids import new_id
from tests.browser.test_pages_credit import paid_too_much
from tests.browser.test_pages_paying import fill_card
from tests.builders.callers import a_caller
from tests.running.browser import CHROMIUM, Portal, Visitor, serious

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)")


async def card_number(page: Page) -> str:
    return await page.frame_locator("#card-form iframe").get_by_label("Card number").input_value()


async def test_a_typed_card_stays_while_invoices_amount_and_credit_are_chosen(
    world: Portal, ann: Visitor
) -> None:
    await world.put_clinic(least_part=2_000)
    await paid_too_much(world)
    first, second, page = await world.issue(), await world.issue(7_000), ann.page
    await page.goto(f"{world.portal}/invoices/{first['id']}/pay")
    await fill_card(page)
    await page.get_by_text("Pay another amount").click()
    await page.get_by_label("Amount in EUR").fill("124.80")
    await page.get_by_role("button", name="Change the amount").click()
    await expect(page.get_by_text("or at most €124.50")).to_be_visible()
    await expect(page.get_by_label("Amount in EUR")).to_have_value("124.80")
    await page.get_by_label("Amount in EUR").fill("50")
    await page.get_by_label("Amount in EUR").press("Enter")
    await expect(page.get_by_role("button", name="Pay €50.00")).to_be_enabled()
    await page.get_by_text("Pay other invoices too").click()
    await page.get_by_label(re.compile(second["number"])).check()
    await expect(page.get_by_label(re.compile(second["number"]))).to_be_focused()
    await expect(page.get_by_role("button", name="Pay €204.45")).to_be_enabled()
    await expect(page.locator("#announce")).to_have_text("Total amount due €204.45")
    await page.get_by_role("link", name="Use €25.00 of my credit").click()
    await expect(page.get_by_role("button", name="Pay €179.45")).to_be_enabled()
    assert await serious(page) == []
    assert await card_number(page) == "4242 4242 4242 4242"
    await page.get_by_role("button", name="Pay €179.45").click()
    await page.wait_for_url(re.compile("/payments/"))
    await world.receive_webhooks("payment_intent.succeeded", 2)

    await expect(page.get_by_role("row", name="Total paid")).to_contain_text("€204.45")
    assert ann.wrong == []


async def test_a_choice_is_in_the_address_and_holds_after_a_reload_and_elsewhere(
    world: Portal, ann: Visitor
) -> None:
    first, second, page = await world.issue(), await world.issue(7_000), ann.page
    await page.goto(f"{world.portal}/invoices/{first['id']}")
    await page.get_by_role("link", name="Pay with Card").click()
    await page.get_by_text("Pay other invoices too").click()
    await page.get_by_label(re.compile(second["number"])).check()
    await expect(page.get_by_role("button", name="Pay €204.45")).to_be_enabled()
    await page.reload()
    await expect(page.get_by_role("button", name="Pay €204.45")).to_be_enabled()
    await expect(page.get_by_role("checkbox", checked=True)).to_have_count(2)
    other = await page.context.new_page()
    await other.goto(page.url)
    await fill_card(page)
    await fill_card(other)
    await other.get_by_role("button", name="Pay €204.45").click()
    await other.wait_for_url(re.compile("/payments/"))
    await world.receive_webhooks("payment_intent.succeeded")

    await page.wait_for_url(re.compile("/billing$"))
    await page.go_back()
    await page.wait_for_url(re.compile("/billing$"))
    await expect(page.locator("tbody tr").first).to_contain_text("Paid")


async def test_a_typed_card_stays_when_an_amount_changes_elsewhere(world: Portal, ann: Visitor) -> None:
    first, second, page = await world.issue(), await world.issue(7_000), ann.page
    await page.goto(f"{world.portal}/pay?all=EUR")
    await fill_card(page)
    staff = a_caller("staff", world.clinic_id)
    answer = await world.invoices.call(
        "POST",
        f"/invoices/{second['id']}/void",
        staff,
        json={"reason": "duplicate"},
        headers={"Idempotency-Key": str(new_id())},
    )
    assert answer.status_code < 300, answer.text
    await world.pass_on()

    await expect(page.get_by_role("button", name="Pay €125.00")).to_be_enabled()
    assert await card_number(page) == "4242 4242 4242 4242"
    await page.get_by_role("button", name="Pay €125.00").click()
    await page.wait_for_url(re.compile("/payments/"))
    await world.receive_webhooks("payment_intent.succeeded")
    await expect(page.get_by_role("link", name=f"Invoice {first['number']}")).to_be_visible()
    assert ann.wrong == []


async def test_a_choice_that_is_not_answered_is_taken_back_and_the_card_stays(
    world: Portal, ann: Visitor
) -> None:
    first, second, page = await world.issue(), await world.issue(7_000), ann.page
    await page.goto(f"{world.portal}/invoices/{first['id']}/pay")
    await fill_card(page)
    await page.get_by_text("Pay other invoices too").click()
    await page.route("**/pay?*", lambda route: route.abort())
    await page.get_by_label(re.compile(second["number"])).click()

    await expect(page.get_by_role("alert").first).to_contain_text("We could not reach the payment service.")
    await expect(page.get_by_label(re.compile(second["number"]))).not_to_be_checked()
    await expect(page.get_by_role("button", name="Pay €125.00")).to_be_enabled()
    assert await card_number(page) == "4242 4242 4242 4242"


async def test_without_a_script_links_and_forms_choose(world: Portal, ann: Visitor) -> None:
    await world.put_clinic(least_part=2_000)
    await paid_too_much(world)
    first, second = await world.issue(), await world.issue(7_000)
    state = await ann.page.context.storage_state()
    browser = ann.page.context.browser
    assert browser is not None
    context = await browser.new_context(java_script_enabled=False, storage_state=state)
    page = await context.new_page()
    await page.goto(f"{world.portal}/pay")
    await page.get_by_role("button", name="Review the chosen invoices").click()
    await expect(page.get_by_role("alert").first).to_have_text("Choose at least one invoice.")
    for invoice in (first, second):
        await page.get_by_label(re.compile(invoice["number"])).check()
    await page.get_by_role("button", name="Review the chosen invoices").click()
    await page.get_by_role("link", name="Use €25.00 of my credit").click()
    await expect(page.get_by_role("button", name="Pay €179.45")).to_be_disabled()
    await page.get_by_label(re.compile(second["number"])).uncheck()
    await page.get_by_role("button", name="Review the chosen invoices").click()
    await expect(page.get_by_role("button", name="Pay €100.00")).to_be_disabled()
    await page.get_by_text("Pay another amount").click()
    await page.get_by_label("Amount in EUR").fill("60")
    await page.get_by_role("button", name="Change the amount").click()
    await expect(page.get_by_role("button", name="Pay €35.00")).to_be_disabled()
    await expect(page.get_by_text("Paying here needs JavaScript.")).to_be_visible()
    await context.close()


async def test_a_wallet_of_the_device_pays_by_its_own_button(world: Portal, ann: Visitor) -> None:
    await paid_too_much(world)
    before = len(world.sandbox.requests("/v1/payment_intents"))
    invoice, page = await world.issue(), ann.page
    await page.add_init_script("localStorage.setItem('sandbox-wallet', 'googlePay')")
    await page.goto(f"{world.portal}/invoices/{invoice['id']}/pay")
    await page.get_by_role("link", name="Use €25.00 of my credit").click()
    await expect(page.get_by_role("button", name="Pay €100.00")).to_be_enabled()
    wallet, sheet = page.get_by_role("button", name="Google Pay"), page.get_by_role("dialog")
    assert await serious(page) == []
    await wallet.click()
    await expect(sheet).to_contain_text("10000 eur")
    await expect(page.locator("#pay-button")).to_have_attribute("aria-disabled", "true")
    await sheet.get_by_role("button", name="Close the wallet").click()
    await expect(page.get_by_role("button", name="Pay €100.00")).to_be_enabled()
    assert len(world.sandbox.requests("/v1/payment_intents")) == before
    await wallet.click()
    await sheet.get_by_role("button", name="Confirm in the wallet").click()
    await page.wait_for_url(re.compile("/payments/"))
    await world.receive_webhooks("payment_intent.succeeded", 2)

    await expect(page.get_by_role("heading", name="Paid", exact=True)).to_be_visible()
    await expect(page.get_by_role("row", name="Total paid")).to_contain_text("€125.00")
    assert ann.wrong == []


async def test_a_wallet_that_is_refused_says_why_and_other_ways_are_left(world: Portal, ann: Visitor) -> None:
    invoice, page = await world.issue(), ann.page
    await page.add_init_script("localStorage.setItem('sandbox-wallet', 'applePay')")
    await page.goto(f"{world.portal}/invoices/{invoice['id']}/pay")
    await page.get_by_role("button", name="Apple Pay").click()
    await page.eval_on_selector(
        "#pay", "form => { form.dataset.shares = form.dataset.shares.replace('12500', '99900'); }"
    )
    await page.get_by_role("button", name="Confirm in the wallet").click()
    summary = page.get_by_role("alert").first
    await expect(summary).to_contain_text("it is €125.00 now. No money was taken.")
    await page.get_by_role("link", name="See the new amount").click()
    await fill_card(page)
    await page.get_by_role("button", name="Pay €125.00").click()
    await page.wait_for_url(re.compile("/payments/"))


async def test_a_device_without_a_wallet_shows_no_word_of_one(world: Portal, ann: Visitor) -> None:
    invoice, page = await world.issue(), ann.page
    await page.goto(f"{world.portal}/invoices/{invoice['id']}/pay")
    await expect(page.frame_locator("#card-form iframe").get_by_label("Card number")).to_be_visible()
    await expect(page.locator("#wallets-or")).to_be_hidden()
    assert await page.locator("#wallets").evaluate("each => each.getBoundingClientRect().height") == 0
