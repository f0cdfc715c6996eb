"""The guide's steps on the real pages: find an invoice, read it, pay it, see Paid; and what happens when it fails."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from tests.running.browser import CHROMIUM, Portal, Visitor, serious

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)")

STRIPE_GIVES_UP_MS = 20_000
"""More than the time after which Stripe.js says that a form did not load."""


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
    await expect(alert.get_by_role("heading")).to_have_text("Nothing is due any more")
    await expect(alert).to_contain_text("Nothing more was taken.")


async def test_a_form_that_does_not_open_says_so_and_nothing_of_a_payment(
    world: Portal, ann: Visitor
) -> None:
    invoice, page = await world.issue(), ann.page
    await page.route(f"{world.sandbox.url}/v3/", lambda route: route.abort())
    await page.goto(f"{world.portal}/invoices/{invoice['id']}/pay")

    alert = page.get_by_role("alert").first
    await expect(alert.get_by_role("heading")).to_have_text("The form did not open")
    await expect(alert.get_by_role("link", name="Load this page again")).to_be_visible()
    await expect(page.get_by_text("did not go through")).to_be_hidden()


@asynccontextmanager
async def opening_slowly(page: Page) -> AsyncIterator[None]:
    """Hold back the frame of Stripe's form until the block ends."""
    go_on = asyncio.Event()

    async def hold(route: Route) -> None:
        await go_on.wait()
        await route.continue_()

    await page.route("**/v3/element.html", hold)
    try:
        yield
    finally:
        go_on.set()


async def test_a_press_before_the_form_is_open_waits_for_it_and_pays(world: Portal, ann: Visitor) -> None:
    invoice, page = await world.issue(), ann.page
    async with opening_slowly(page):
        await page.goto(f"{world.portal}/invoices/{invoice['id']}/pay", wait_until="domcontentloaded")
        await page.get_by_label("Online payment system").check()
        await page.get_by_role("button", name="Pay €125.00").click()
        await expect(
            page.get_by_role("status").filter(has_text="Opening Stripe's secure form…")
        ).to_be_visible()
        assert world.sandbox.requests("/v1/payment_intents") == []

    await page.wait_for_url(re.compile(re.escape(world.sandbox.url)))
    assert ann.wrong == []


async def test_a_press_before_the_form_for_a_card_is_open_waits_for_it(world: Portal, ann: Visitor) -> None:
    page = ann.page
    async with opening_slowly(page):
        await page.goto(f"{world.portal}/methods/add", wait_until="domcontentloaded")
        await page.get_by_role("button", name="Save this card").click()
        await expect(
            page.get_by_role("status").filter(has_text="Opening Stripe's secure form…")
        ).to_be_visible()

    alert = page.get_by_role("alert").first
    await expect(alert).to_contain_text("Your card number is incomplete.")
    await expect(page.get_by_role("button", name="Save this card")).to_be_enabled()


async def test_a_press_on_a_form_that_never_opens_says_so_and_leaves_the_other_ways(
    world: Portal, ann: Visitor
) -> None:
    invoice, page = await world.issue(), ann.page
    await page.clock.install()
    async with opening_slowly(page):
        await page.goto(f"{world.portal}/invoices/{invoice['id']}/pay", wait_until="domcontentloaded")
        await page.get_by_label("Online payment system").check()
        await page.get_by_role("button", name="Pay €125.00").click()
        await page.clock.fast_forward(STRIPE_GIVES_UP_MS)

        alert = page.get_by_role("alert").first
        await expect(alert.get_by_role("heading")).to_have_text("The form did not open")
        await expect(page.get_by_label("Credit or debit card")).to_be_enabled()
        await expect(page.get_by_role("button", name="Pay €125.00")).to_have_attribute(
            "aria-disabled", "false"
        )
        assert world.sandbox.requests("/v1/payment_intents") == []


async def test_an_incomplete_card_is_refused_before_anything_is_started(world: Portal, ann: Visitor) -> None:
    invoice, page = await world.issue(), ann.page
    await page.goto(f"{world.portal}/invoices/{invoice['id']}/pay")
    await page.wait_for_selector("#card-form iframe")
    await page.get_by_role("button", name="Pay €125.00").click()

    alert = page.get_by_role("alert").first
    await expect(alert.get_by_role("heading")).to_have_text("Please check your details")
    await expect(alert).to_contain_text("Your card number is incomplete. Nothing has been sent.")
    assert world.sandbox.requests("/v1/payment_intents") == []


async def test_an_amount_that_changed_is_said_and_not_taken(world: Portal, ann: Visitor) -> None:
    invoice, page = await world.issue(), ann.page
    await page.goto(f"{world.portal}/invoices/{invoice['id']}/pay")
    await fill_card(page)
    of_before = "form => { form.dataset.shares = form.dataset.shares.replace('12500', '99900'); }"
    await page.eval_on_selector("#pay", of_before)
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


async def test_several_invoices_are_chosen_paid_once_and_named_on_the_receipt(
    world: Portal, ann: Visitor
) -> None:
    first, second, page = await world.issue(), await world.issue(7_000, due_in_days=3), ann.page
    left = await world.issue(20_000)
    await page.goto(f"{world.portal}/billing")
    await page.get_by_role("link", name="Pay several at once").click()
    assert await serious(page) == []
    await page.get_by_label(re.compile(first["number"])).check()
    await fill_card(page)
    await page.get_by_label(re.compile(first["number"])).uncheck()
    await expect(page.get_by_role("alert").first).to_have_text("Choose at least one invoice.")
    await expect(page.get_by_role("button", name="Pay €")).to_be_hidden()
    for invoice in (first, second):
        await page.get_by_label(re.compile(invoice["number"])).check()
    await expect(page.get_by_role("button", name="Pay €204.45")).to_be_enabled()
    assert await serious(page) == []
    await page.get_by_role("button", name="Pay €204.45").click()
    await page.wait_for_url(re.compile("/payments/"))
    await world.receive_webhooks("payment_intent.succeeded")

    await expect(page.get_by_role("heading", name="Paid", exact=True)).to_be_visible()
    for invoice in (first, second):
        named = page.get_by_role("link", name=f"Invoice {invoice['number']}", exact=True)
        await expect(named).to_be_visible()
    await page.go_back()
    await page.wait_for_url(re.compile("/billing$"))
    await page.goto(f"{world.portal}/billing?status=unpaid")
    await expect(page.locator("tbody tr")).to_have_count(1)
    await expect(page.get_by_role("link", name=left["number"])).to_be_visible()
    assert ann.wrong == []


async def test_a_part_is_paid_and_back_shows_the_rest(world: Portal, ann: Visitor) -> None:
    await world.put_clinic(least_part=2_000)
    invoice, page = await world.issue(), ann.page
    await page.goto(f"{world.portal}/invoices/{invoice['id']}/pay")
    await page.get_by_text("Pay another amount").click()
    for typed, words in (("124.80", "or at most €124.50"), ("50", "€75.00 of the €125.00 due")):
        await page.get_by_label("Amount in EUR").fill(typed)
        await page.get_by_role("button", name="Change the amount").click()
        await expect(page.get_by_text(words)).to_be_visible()
    await fill_card(page)
    assert await serious(page) == []
    await page.get_by_role("button", name="Pay €50.00").click()
    await page.wait_for_url(re.compile("/payments/"))
    await world.receive_webhooks("payment_intent.succeeded")

    await expect(page.get_by_role("heading", name="Paid", exact=True)).to_be_visible()
    await page.go_back()
    await expect(page.get_by_text("€25.00 of the €75.00 due")).to_be_visible()
    await page.get_by_role("link", name="Pay the whole €75.00").click()
    await expect(page.get_by_role("button", name="Pay €75.00")).to_be_visible()
    assert ann.wrong == []


async def test_of_two_tabs_with_overlapping_choices_the_last_press_wins(world: Portal, ann: Visitor) -> None:
    first, second, page = await world.issue(), await world.issue(7_000), ann.page
    await page.goto(f"{world.portal}/invoices/{first['id']}/pay")
    await fill_card(page, "4000000000009995")
    await page.get_by_role("button", name="Pay €125.00").click()
    await expect(page.get_by_role("alert").first).to_contain_text("not enough money")
    other = await page.context.new_page()
    await other.goto(f"{world.portal}/pay?all=EUR")
    await fill_card(other)
    await other.get_by_role("button", name="Pay €204.45").click()
    await other.wait_for_url(re.compile("/payments/"))
    await world.receive_webhooks("payment_intent.succeeded")

    await page.wait_for_url(f"{world.portal}/invoices/{first['id']}")
    paid = await world.db_invoice.admin.fetch("SELECT id, status, settled_amount FROM invoices ORDER BY id")
    assert [(str(row["id"]), row["status"]) for row in paid] == [
        (first["id"], "paid"),
        (second["id"], "paid"),
    ]
    statuses = await world.db_payment.admin.fetch("SELECT status FROM payments ORDER BY id")
    assert [row["status"] for row in statuses] == ["canceled", "succeeded"]


async def test_a_debit_is_agreed_to_on_its_way_and_payable_again_when_it_failed(
    world: Portal, ann: Visitor
) -> None:
    await world.put_clinic(methods=["card", "debit"])
    invoice, page = await world.issue(), ann.page
    await page.goto(f"{world.portal}/invoices/{invoice['id']}/pay")
    await page.get_by_label("Bank debit").check()
    await expect(page.get_by_text("usually it is there by")).to_be_visible()
    await expect(page.get_by_text("you authorise (A) Harbour Physiotherapy and Stripe")).to_be_visible()
    await page.frame_locator("#debit-form iframe").get_by_label("IBAN").fill("AT86 1904 3002 3547 3202")
    assert await serious(page) == []
    await page.get_by_role("button", name="Pay €125.00").click()
    await page.wait_for_url(re.compile("/payments/"))
    await world.receive_webhooks("payment_intent.processing")
    await expect(page.get_by_role("heading", name="On its way")).to_be_visible()
    await page.goto(f"{world.portal}/invoices/{invoice['id']}")
    await expect(page.get_by_role("link", name="Pay with Card")).to_have_count(0)

    intent = await world.db_payment.admin.fetchval("SELECT stripe_payment_intent_id FROM payments")
    settle = f"/accounts/{world.sandbox.platform}/payment_intents/{intent}/settle"
    await world.sandbox.control("POST", "/clock", {"offset_seconds": 10})
    await world.sandbox.control("POST", settle, {"outcome": "failed"})
    await world.receive_webhooks("payment_intent.payment_failed")
    await page.reload()
    await expect(page.get_by_role("link", name="Pay with Card")).to_be_visible()
    assert ann.wrong == []


async def test_a_deposit_is_paid_before_there_is_an_invoice_and_becomes_credit(
    world: Portal, ann: Visitor
) -> None:
    page = ann.page
    await page.goto(f"{world.portal}/deposit")
    await page.wait_for_url(re.compile("/billing$"))
    await expect(page.get_by_role("link", name="Pay a deposit")).to_have_count(0)
    await world.put_clinic(deposits=True)
    await page.reload()
    await page.get_by_role("link", name="Pay a deposit").click()
    for typed in ("0.20", "50"):
        await page.get_by_label("How much do you want to pay").fill(typed)
        await page.get_by_role("button", name="Go on to pay").click()
        if typed == "0.20":
            await expect(page.get_by_text("can be paid online is €0.50")).to_be_visible()
    await fill_card(page)
    assert await serious(page) == []
    await page.get_by_role("button", name="Pay €50.00").click()
    await page.wait_for_url(re.compile("/payments/"))
    await world.receive_webhooks("payment_intent.succeeded")

    await expect(page.get_by_role("heading", name="Paid", exact=True)).to_be_visible()
    await expect(page.get_by_text("You paid €50.00 before there was an invoice.")).to_be_visible()
    await page.goto(f"{world.portal}/billing")
    await expect(page.get_by_role("heading", name="Your credit: €50.00")).to_be_visible()
    assert ann.wrong == []
