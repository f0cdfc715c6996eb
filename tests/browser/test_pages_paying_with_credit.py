"""A client uses credit on the payment page: with a card, alone, and when the card is declined."""

import re

import pytest
from playwright.async_api import Page, Route, expect

from tests.browser.test_pages_credit import paid_too_much
from tests.browser.test_pages_paying import fill_card
from tests.running.browser import CHROMIUM, Portal, Visitor, serious

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)")


async def use_credit(world: Portal, page: Page, invoice_id: str) -> None:
    """The client has €25.00 of credit, and an invoice over €125.00."""
    await page.goto(f"{world.portal}/invoices/{invoice_id}/pay")
    await expect(page.get_by_text("You have €25.00 of credit at Harbour Physiotherapy.")).to_be_visible()
    await expect(page.get_by_role("button", name="Pay €125.00")).to_be_visible()
    assert await serious(page) == []
    await page.get_by_role("link", name="Use €25.00 of my credit").click()
    await expect(page.get_by_role("button", name="Pay €100.00")).to_be_visible()
    assert await serious(page) == []


async def test_credit_and_a_card_pay_together(world: Portal, ann: Visitor) -> None:
    await paid_too_much(world)
    invoice, page = await world.issue(), ann.page
    await use_credit(world, page, invoice["id"])
    await fill_card(page)
    await page.get_by_role("button", name="Pay €100.00").click()
    await page.wait_for_url(re.compile("/payments/"))
    await world.receive_webhooks("payment_intent.succeeded", 2)

    await expect(page.get_by_role("heading", name="Paid", exact=True)).to_be_visible()
    await expect(page.get_by_role("row", name="Charged to your Visa ending 4242")).to_contain_text("€100.00")
    await expect(page.get_by_role("row", name="Your credit")).to_contain_text("€25.00")
    await expect(page.get_by_role("row", name="Total paid")).to_contain_text("€125.00")
    assert await serious(page) == []
    await page.goto(f"{world.portal}/billing")
    await expect(page.get_by_text("Your credit")).to_be_hidden()
    assert ann.wrong == []


async def test_credit_pays_a_small_invoice_alone(world: Portal, ann: Visitor) -> None:
    await paid_too_much(world)
    invoice, page = await world.issue(1_762), ann.page
    await page.goto(f"{world.portal}/invoices/{invoice['id']}/pay")
    await expect(page.get_by_text("It can pay all of this.")).to_be_visible()
    await page.get_by_role("link", name="Use €20.00 of my credit").click()
    await expect(page.get_by_text("Your credit pays all of this. Nothing is charged.")).to_be_visible()
    assert await serious(page) == []
    await page.get_by_role("button", name="Pay €20.00 with my credit").click()
    await page.wait_for_url(re.compile("/payments/"))

    await expect(page.get_by_role("heading", name="Paid with credit")).to_be_visible()
    await expect(page.get_by_text("Your credit has paid this. Nothing was charged.")).to_be_visible()
    assert await serious(page) == []
    await world.pass_on()
    await page.goto(f"{world.portal}/invoices/{invoice['id']}")
    await expect(page.get_by_text("Paid", exact=True).first).to_be_visible()
    await page.goto(f"{world.portal}/billing")
    await expect(page.get_by_role("heading", name="Your credit: €5.00")).to_be_visible()
    assert ann.wrong == []


async def test_credit_pays_what_is_too_little_to_be_charged(world: Portal, ann: Visitor) -> None:
    await paid_too_much(world)
    invoice, page = await world.issue(26), ann.page
    await page.goto(f"{world.portal}/invoices/{invoice['id']}")
    await expect(page.get_by_text("Your credit can pay all of it.")).to_be_visible()
    assert await serious(page) == []
    await page.get_by_role("link", name="Pay with my credit").click()
    await expect(page.get_by_text("Your credit pays all of this. Nothing is charged.")).to_be_visible()
    await expect(page.get_by_role("link", name="Pay without my credit")).to_be_hidden()
    await page.get_by_role("button", name="Pay €0.30 with my credit").click()
    await page.wait_for_url(re.compile("/payments/"))

    await expect(page.get_by_role("heading", name="Paid with credit")).to_be_visible()
    await world.pass_on()
    await page.goto(f"{world.portal}/invoices/{invoice['id']}")
    await expect(page.get_by_text("Paid", exact=True).first).to_be_visible()
    assert ann.wrong == []


async def test_credit_pays_several_that_are_too_little_together(world: Portal, ann: Visitor) -> None:
    await paid_too_much(world)
    for _ in range(2):
        await world.issue(9)
    page = ann.page
    await page.goto(f"{world.portal}/pay?all=EUR")
    await page.get_by_role("button", name="Pay €0.20 with my credit").click()
    await page.wait_for_url(re.compile("/payments/"))

    await expect(page.get_by_role("heading", name="Paid with credit")).to_be_visible()
    assert ann.wrong == []


async def test_too_little_without_enough_credit_is_paid_at_the_clinic(world: Portal, ann: Visitor) -> None:
    invoice, page = await world.issue(26), ann.page
    for rest in ("", "/pay"):
        await page.goto(f"{world.portal}/invoices/{invoice['id']}{rest}")
        await expect(page.get_by_text("Amounts below €0.50 cannot be paid by card or online")).to_be_visible()
        await expect(page.get_by_role("link", name="Pay with my credit")).to_be_hidden()


async def test_a_declined_card_keeps_the_credit_and_pages_tell_so(world: Portal, ann: Visitor) -> None:
    await paid_too_much(world)
    invoice, page = await world.issue(), ann.page
    await use_credit(world, page, invoice["id"])
    await fill_card(page, "4000000000000002")
    await page.get_by_role("button", name="Pay €100.00").click()
    await expect(page.get_by_role("heading", name="The payment did not go through")).to_be_visible()
    await world.receive_webhooks("payment_intent.payment_failed")

    await page.goto(f"{world.portal}/billing")
    await expect(page.get_by_text("€25.00 of your credit is set aside for a payment")).to_be_visible()
    payment = await world.db_payment.admin.fetchval("SELECT id FROM payments WHERE status = 'failed'")
    await page.goto(f"{world.portal}/payments/{payment}")
    await expect(page.get_by_text("€25.00 of your credit is set aside for this payment.")).to_be_visible()
    assert await serious(page) == []
    await page.get_by_role("link", name="Try again").click()
    await expect(page.get_by_role("button", name="Pay €100.00")).to_be_visible()
    await page.get_by_role("link", name="Pay without my credit").click()
    await fill_card(page)
    await page.get_by_role("button", name="Pay €125.00").click()
    await page.wait_for_url(re.compile("/payments/"))
    await world.receive_webhooks("payment_intent.succeeded", 2)
    await page.goto(f"{world.portal}/billing")
    await expect(page.get_by_role("heading", name="Your credit: €25.00")).to_be_visible()


async def test_credit_used_in_another_tab_is_told(world: Portal, ann: Visitor) -> None:
    await paid_too_much(world)
    first, second = await world.issue(1_762), await world.issue(1_762)
    page = ann.page
    await page.goto(f"{world.portal}/invoices/{first['id']}/pay?credit=use")
    other = await page.context.new_page()
    await other.goto(f"{world.portal}/invoices/{second['id']}/pay?credit=use")
    await other.get_by_role("button", name="Pay €20.00 with my credit").click()
    await other.wait_for_url(re.compile("/payments/"))

    await page.get_by_role("button", name="Pay €20.00 with my credit").click()

    await expect(page.get_by_text("Your credit has changed since you opened this page.")).to_be_visible()
    await page.get_by_role("link", name="See what there is to pay").click()
    await expect(page.get_by_text("You have €5.00 of credit at Harbour Physiotherapy.")).to_be_visible()


async def test_a_press_again_after_a_lost_answer_uses_credit_once(world: Portal, ann: Visitor) -> None:
    """A part, of which there is enough credit for two."""
    await world.put_clinic(least_part=500)
    await paid_too_much(world)
    invoice, page = await world.issue(), ann.page
    await page.goto(f"{world.portal}/invoices/{invoice['id']}/pay?amount=10&credit=use")

    async def lose(route: Route) -> None:
        await route.fetch()
        await route.abort()

    await page.route("**/payments", lose)
    pay = page.get_by_role("button", name="Pay €10.00 with my credit")
    await pay.click()
    await expect(page.get_by_text("We do not know yet whether your payment went through.")).to_be_visible()
    await expect(page.get_by_text("No money was taken")).to_be_hidden()
    link = page.get_by_role("link", name="See what became of the payment")
    await expect(link).to_have_attribute("href", f"/c/harbour/invoices/{invoice['id']}")
    await page.unroute("**/payments")
    await pay.click()
    await page.wait_for_url(re.compile("/payments/"))

    await expect(page.get_by_role("heading", name="Paid with credit")).to_be_visible()
    used = await world.db_payment.admin.fetch("SELECT amount FROM payments WHERE kind = 'credit'")
    assert [row["amount"] for row in used] == [1_000]
