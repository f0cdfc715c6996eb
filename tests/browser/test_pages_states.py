"""One state everywhere: the same word on result, invoice, details, list and dashboard, whatever has come so far."""

import re

import pytest
from playwright.async_api import Page, expect

from services.payment.payments import sweep
from services.payment.stripe.api import StripeApi
from tests.browser.test_pages_paying import fill_card, go_to_the_payment_system
from tests.running.browser import CHROMIUM, Portal, Visitor

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)")


async def pay_by_card(world: Portal, page: Page) -> str:
    """Pay a new invoice; returns its address. No event is passed on."""
    invoice = await world.issue()
    path = f"{world.portal}/invoices/{invoice['id']}"
    await page.goto(f"{path}/pay")
    await fill_card(page)
    await page.get_by_role("button", name="Pay €125.00").click()
    await page.wait_for_url(re.compile("/payments/"))
    return path


async def test_money_that_stripe_has_taken_is_on_its_way_everywhere_before_any_event(
    world: Portal, ann: Visitor
) -> None:
    page = ann.page
    await world.sandbox.control("POST", "/faults/webhooks", {"kind": "drop", "type": "*", "count": 50})
    path = await pay_by_card(world, page)

    await expect(page.get_by_role("heading", name="On its way")).to_be_visible()
    await expect(page.locator("main")).to_contain_text("Your payment went through.")
    await everywhere_on_its_way(world, page, path)
    stripe = StripeApi(world.sandbox.secret_key, world.sandbox.url)
    await sweep.sweep_payments(world.db_payment.worker, stripe)
    await stripe.close()
    await everywhere_on_its_way(world, page, path)

    await world.pass_on()
    for place in (path, f"{world.portal}/billing", world.portal):
        await page.goto(place)
        await expect(page.locator("main .status")).to_have_text("Paid")


async def everywhere_on_its_way(world: Portal, page: Page, path: str) -> None:
    for place in (
        path,
        f"{world.portal}/billing",
        f"{world.portal}/billing?status=unpaid",
    ):
        await page.goto(place)
        await expect(page.locator("main .status")).to_have_text("On its way")
        await expect(page.locator("main").get_by_role("link", name=re.compile("^Pay"))).to_have_count(0)
    await page.goto(f"{path}/pay")
    await page.wait_for_url(path)
    await page.goto(world.portal)
    await expect(page.get_by_role("heading", name="Nothing to pay")).to_be_visible()


async def test_a_client_who_never_comes_back_from_the_payment_system_is_not_asked_to_pay_again(
    world: Portal, ann: Visitor
) -> None:
    page, invoice = ann.page, await world.issue()
    await world.sandbox.control("POST", "/faults/webhooks", {"kind": "drop", "type": "*", "count": 50})
    await go_to_the_payment_system(world, page, invoice)
    await page.route(re.compile("/payments/"), lambda route: route.abort())
    async with page.expect_event("requestfailed", lambda request: "/payments/" in request.url):
        await page.get_by_role("button", name="Authorise").click(no_wait_after=True)

    await page.goto(f"{world.portal}/billing")
    await expect(page.locator("main .status")).to_have_text("On its way")


async def test_a_payment_that_was_only_started_is_not_finished_and_can_be_gone_on_with(
    world: Portal, ann: Visitor
) -> None:
    page, invoice = ann.page, await world.issue()
    await go_to_the_payment_system(world, page, invoice)
    started = await world.db_payment.admin.fetchval("SELECT id FROM payments")

    await page.goto(f"{world.portal}/payments/{started}")
    await expect(page.get_by_role("heading", name="Not finished")).to_be_visible()
    await expect(page.locator("main")).to_contain_text("No money was taken.")
    await expect(page.locator("main")).not_to_contain_text("On its way")
    await page.goto(f"{world.portal}/billing")
    await expect(page.locator("main .status")).to_have_text("Unpaid")
    await page.goto(f"{world.portal}/payments/{started}")
    await page.get_by_role("link", name="Go on to pay €125.00").click()
    await page.wait_for_url(re.compile("/pay$"))


async def test_a_payment_of_which_stripe_cannot_be_asked_is_not_said_to_have_failed(
    world: Portal, ann: Visitor
) -> None:
    page = ann.page
    await world.sandbox.control("POST", "/faults/webhooks", {"kind": "drop", "type": "*", "count": 50})
    fault = {"kind": "500_before", "method": "GET", "path": "/v1/payment_intents/*", "count": 50}
    invoice = await world.issue()
    await page.goto(f"{world.portal}/invoices/{invoice['id']}/pay")
    await fill_card(page)
    confirmed = page.expect_response(re.compile("/confirm"))
    async with confirmed:
        await page.get_by_role("button", name="Pay €125.00").click()
    await world.sandbox.control("POST", "/faults/api", fault)
    await page.wait_for_url(re.compile("/payments/"))
    await page.reload()

    await expect(page.get_by_role("heading", name="Waiting for an answer")).to_be_visible()
    await expect(page.locator("main")).to_contain_text(
        "We do not know yet whether your payment went through."
    )
    await world.sandbox.control("DELETE", "/faults")
    await expect(page.get_by_role("heading", name="On its way")).to_be_visible()
