"""The words that a client reads after each outcome of paying or saving a card, on a phone and on a desk."""

import json
import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, Route, expect

from tests.browser.test_pages_paying import fill_card
from tests.running.browser import CHROMIUM, Portal, Visitor, a_browser, a_visitor, serious

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)")

CONFIRM = re.compile(r"/v1/(payment|setup)_intents/[^/]+/confirm")
NOT_CONFIRMED = "Your bank could not confirm that it was you. Try again and follow its steps"


@pytest.fixture(params=[360, 1280])
async def ann(world: Portal, request: pytest.FixtureRequest) -> AsyncIterator[Visitor]:
    async with a_browser() as browser, a_visitor(browser, width=request.param) as visitor:
        await visitor.log_in(world)
        yield visitor


async def open_form(world: Portal, page: Page) -> str:
    """Open the payment page of a new invoice; returns the invoice's address."""
    invoice = await world.issue()
    path = f"{world.portal}/invoices/{invoice['id']}"
    await page.goto(f"{path}/pay")
    return path


async def press_pay(page: Page) -> None:
    await page.get_by_role("button", name="Pay €125.00").click()


async def said(page: Page) -> str:
    """The words of the error summary."""
    await expect(page.locator("#errors")).to_be_visible()
    return await page.locator("#errors").inner_text()


async def answer_with(page: Page, error: dict[str, object]) -> None:
    """Let Stripe answer the next confirmations with this error."""

    async def answer(route: Route) -> None:
        await route.fulfill(
            body=json.dumps({"error": error}),
            content_type="application/json",
            headers={"Access-Control-Allow-Origin": "*"},
        )

    await page.route(CONFIRM, answer)


async def test_a_bank_that_declines(world: Portal, ann: Visitor) -> None:
    await open_form(world, ann.page)
    await fill_card(ann.page, "4000000000000002")
    await press_pay(ann.page)

    words = await said(ann.page)
    assert (
        "Your bank declined the payment and did not say why. Use another card, or pay another way." in words
    )
    assert "No money was taken." in words
    assert (await ann.page.locator("body").inner_text()).count("Your bank declined the payment") == 1


async def test_a_bank_that_does_not_confirm_the_client(world: Portal, ann: Visitor) -> None:
    await open_form(world, ann.page)
    await fill_card(ann.page, "4000000000003220")
    await press_pay(ann.page)
    await ann.page.frame_locator("dialog iframe").get_by_role("button", name="Fail").click()

    words = await said(ann.page)
    assert NOT_CONFIRMED in words
    assert "No money was taken." in words
    assert "Pay with: Online payment system" in words
    assert await serious(ann.page) == []


async def test_a_payment_that_is_cancelled_on_paypals_page(world: Portal, ann: Visitor) -> None:
    page = ann.page
    await open_form(world, page)
    await page.get_by_label("Online payment system").check()
    await expect(
        page.frame_locator("#redirect-form iframe").get_by_text("You will go on to PayPal")
    ).to_be_visible()
    await press_pay(page)
    await page.get_by_role("button", name="Fail").click()
    await page.wait_for_url(re.compile("/payments/"))
    await world.receive_webhooks("payment_intent.payment_failed")

    await expect(page.get_by_role("heading", name="Not paid")).to_be_visible()
    words = await page.locator("main").inner_text()
    assert "The payment was cancelled before it was approved. Try again, or choose another way." in words
    assert "No money was taken." in words
    assert "bank" not in words
    await page.get_by_role("link", name="Try again").click()
    await page.wait_for_url(re.compile("/pay$"))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (
            "rate_limit_error",
            "Too many payments are being made just now. Try again in a minute. No money was taken.",
        ),
        (
            "authentication_error",
            "The clinic cannot take payments here just now. Ask the clinic. No money",
        ),
        ("invalid_request_error", "This could not be done. Load this page again and try once more"),
    ],
)
async def test_trouble_that_proves_that_nothing_was_done(
    world: Portal, ann: Visitor, kind: str, words: str
) -> None:
    await open_form(world, ann.page)
    await fill_card(ann.page)
    await answer_with(ann.page, {"type": kind, "message": "for programmers"})
    await press_pay(ann.page)

    assert words in (text := await said(ann.page))
    assert "for programmers" not in text
    await ann.page.unroute(CONFIRM)
    await press_pay(ann.page)
    await ann.page.wait_for_url(re.compile("/payments/"))


@pytest.mark.parametrize("kind", ["api_error", "api_connection_error", "idempotency_error", "of_tomorrow"])
async def test_trouble_that_proves_nothing_leads_to_the_payment(
    world: Portal, ann: Visitor, kind: str
) -> None:
    await open_form(world, ann.page)
    await fill_card(ann.page)
    await answer_with(ann.page, {"type": kind, "message": "for programmers"})
    await press_pay(ann.page)

    words = await said(ann.page)
    assert "We do not know yet whether your payment went through. Look at it before you pay again." in words
    assert "No money was taken" not in words
    await ann.page.get_by_role("link", name="See what became of the payment").click()
    await ann.page.wait_for_url(re.compile("/payments/"))


async def test_an_error_about_a_payment_that_went_through_ends_on_its_page(
    world: Portal, ann: Visitor
) -> None:
    await open_form(world, ann.page)
    await fill_card(ann.page)
    done = {"id": "pi_1", "status": "succeeded"}
    code = "payment_intent_unexpected_state"
    await answer_with(ann.page, {"type": "invalid_request_error", "code": code, "payment_intent": done})
    await press_pay(ann.page)

    await ann.page.wait_for_url(re.compile("/payments/"))


async def test_a_card_that_the_bank_does_not_confirm_is_not_saved(world: Portal, ann: Visitor) -> None:
    page = ann.page
    await page.goto(f"{world.portal}/methods/add")
    await fill_card(page, "4000002500003155")
    await page.get_by_role("button", name="Save this card").click()
    await page.frame_locator("dialog iframe").get_by_role("button", name="Fail").click()

    words = await said(page)
    assert "The card was not saved" in words
    assert "Your bank could not confirm that it was you." in words
    assert "pay" not in words.lower()


async def test_a_card_that_is_declined_is_not_saved(world: Portal, ann: Visitor) -> None:
    page = ann.page
    await page.goto(f"{world.portal}/methods/add")
    await fill_card(page, "4000000000000002")
    await page.get_by_role("button", name="Save this card").click()

    assert "Your bank declined this card and did not say why. Use another card." in await said(page)


async def test_it_is_not_known_whether_a_card_was_saved(world: Portal, ann: Visitor) -> None:
    page = ann.page
    await page.goto(f"{world.portal}/methods/add")
    await fill_card(page)
    await answer_with(page, {"type": "api_error"})
    await page.get_by_role("button", name="Save this card").click()

    assert "We do not know yet whether your card was saved." in await said(page)
    await page.get_by_role("link", name="See your saved cards").click()
    await page.wait_for_url(f"{world.portal}/methods")
