"""A pay link in a browser: from the e-mail's button to Paid by one more press, and every state on the way."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from playwright.async_api import Browser, Page, expect

from contracts.unsubscribing import Choice
from services.chassis import clock
from tests.browser.test_pages_paying import fill_card
from tests.browser.test_pages_quality import sideways, small_targets
from tests.builders.callers import a_caller
from tests.running.browser import CHROMIUM, Portal, Visitor, a_browser, a_visitor, serious
from tests.running.settings import gateway_settings

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)")

LINKS = gateway_settings("x").pay_links
ENDINGS = gateway_settings("x").unsubscribing
PAY = "Pay €125.00"


def link_of(world: Portal, invoice: Any, generation: int = 0) -> str:
    link = LINKS.new(world.clinic_id, UUID(invoice["id"]), generation, clock.now().date(), clock.now().date())
    return f"{world.url}/pay/{LINKS.token(link)}"


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with a_browser() as started:
        yield started


@pytest.fixture
async def payer(browser: Browser) -> AsyncIterator[Visitor]:
    """Somebody without a login."""
    async with a_visitor(browser, width=390) as visitor:
        yield visitor


@asynccontextmanager
async def counting(page: Page) -> AsyncIterator[list[str]]:
    """The clicks on links and buttons, by what was clicked. The fields of a card are typed into."""
    clicks: list[str] = []
    await page.expose_function("counted", lambda words: clicks.append(words))
    await page.add_init_script(
        "addEventListener('click', (event) => event.isTrusted && window === top"
        " && event.target.closest('a, button') && counted(event.target.textContent), true)"
    )
    yield clicks


async def press(page: Page, name: str | re.Pattern[str] = PAY) -> None:
    await page.get_by_role("button", name=name).click()


@pytest.mark.parametrize("width", [390, 1280])
async def test_a_typed_card_pays_by_one_press_and_the_page_turns_to_paid(
    world: Portal, browser: Browser, width: int
) -> None:
    invoice = await world.issue()
    async with a_visitor(browser, width=width) as visitor, counting(visitor.page) as clicks:
        page = visitor.page
        await page.goto(link_of(world, invoice))
        await expect(page.get_by_text("Total amount due")).to_be_visible()
        await fill_card(page)
        await press(page)
        await page.wait_for_url(re.compile("/pay/.*/payments/"))
        await world.receive_webhooks("payment_intent.succeeded")

        await expect(page.get_by_role("heading", name="Paid", exact=True)).to_be_visible()
        assert clicks == [PAY]
        await expect(page.get_by_text("Visa ending 4242")).to_be_visible()
        await expect(page.get_by_text(re.compile("R-[0-9A-F]{10}"))).to_be_visible()
        receipt = await page.locator("main").inner_text()
        assert not any(
            words in receipt for words in ("physiotherapy assessment", "Aoife", "Róisín", "Sea Road")
        )
        assert await serious(page) + await small_targets(page) == []
        assert not [each for each in await page.context.cookies() if "session" in each.get("name", "")]

        await page.go_back()
        await expect(page.get_by_text("Total paid")).to_be_visible()
        await expect(page.get_by_role("button", name=PAY)).to_have_count(0)
        await page.get_by_role("link", name=re.compile("Receipt R-")).click()
        await expect(page.get_by_role("heading", name="Paid", exact=True)).to_be_visible()
        assert visitor.wrong == []
    saved = await world.db_payment.admin.fetchval("SELECT count(*) FROM payment_methods")
    assert saved == 0


async def test_a_second_tab_and_a_second_device_turn_to_paid_by_themselves(
    world: Portal, browser: Browser, payer: Visitor
) -> None:
    link = link_of(world, await world.issue())
    async with a_visitor(browser) as other:
        for page in (payer.page, other.page):
            await page.goto(link)
            await expect(page.get_by_role("button", name=PAY)).to_be_enabled()
        await fill_card(payer.page)
        await press(payer.page)
        await payer.page.wait_for_url(re.compile("/payments/"))
        await world.receive_webhooks("payment_intent.succeeded")

        await expect(other.page.get_by_text("Total paid")).to_be_visible()
        await expect(other.page.get_by_role("button", name=PAY)).to_have_count(0)
        assert other.wrong == []


async def test_a_declined_card_says_why_and_another_one_pays(world: Portal, payer: Visitor) -> None:
    page = payer.page
    await page.goto(link_of(world, await world.issue()))
    await fill_card(page, "4000000000000002")
    await press(page)
    await expect(page.get_by_role("alert").filter(has_text="did not go through")).to_be_visible()
    await expect(page.get_by_role("alert")).to_contain_text("No money was taken")

    await fill_card(page)
    await press(page)
    await page.wait_for_url(re.compile("/payments/"))
    await world.receive_webhooks("payment_intent.succeeded")

    await expect(page.get_by_role("heading", name="Paid", exact=True)).to_be_visible()


async def test_a_bank_that_asks_comes_back_to_the_links_own_result(world: Portal, payer: Visitor) -> None:
    page, link = payer.page, link_of(world, await world.issue())
    await page.goto(link)
    await fill_card(page, "4000000000003220")
    await press(page)
    await page.frame_locator("dialog iframe").get_by_role("button", name="Complete").click()
    await page.wait_for_url(re.compile(re.escape(link) + "/payments/"))
    await world.receive_webhooks("payment_intent.succeeded")

    await expect(page.get_by_role("heading", name="Paid", exact=True)).to_be_visible()


async def test_an_online_payment_system_leads_back_to_the_link(world: Portal, payer: Visitor) -> None:
    page, link = payer.page, link_of(world, await world.issue())
    await page.goto(link)
    await page.get_by_label("Online payment system").check()
    frame = page.frame_locator("#redirect-form iframe")
    await expect(frame.get_by_text(re.compile("You will go on to PayPal"))).to_be_visible()
    await press(page)
    await page.wait_for_url(re.compile(re.escape(world.sandbox.url)))
    await page.get_by_role("button").first.click()

    await page.wait_for_url(re.compile(re.escape(link) + "/payments/"))
    await world.receive_webhooks("payment_intent.succeeded")
    await expect(page.get_by_role("heading", name="Paid", exact=True)).to_be_visible()


async def test_an_amount_that_changed_meanwhile_is_told_and_the_page_offers_the_new_one(
    world: Portal, payer: Visitor
) -> None:
    invoice, page = await world.issue(), payer.page
    await page.goto(link_of(world, invoice))
    await fill_card(page)
    await page.evaluate(
        "document.getElementById('main').dataset.busy = 'yes'"
    )  # as if the stream were cut off
    staff = a_caller("staff", world.clinic_id)
    body = {"reason": "goodwill", "amount": {"minor": 2_500, "currency": "EUR"}, "tax_code": "reduced"}
    headers = {"Idempotency-Key": "credit"}
    path = f"/invoices/{invoice['id']}/credit-notes"
    assert (await world.invoices.call("POST", path, staff, json=body, headers=headers)).status_code == 201
    await world.pass_on()

    await press(page)

    await expect(page.get_by_role("alert")).to_contain_text("it is €100.00 now. No money was taken.")
    await page.get_by_role("link", name="See the new amount").click()
    await expect(page.get_by_role("button", name="Pay €100.00")).to_be_enabled()
    await expect(page.get_by_text("Credited")).to_be_visible()


async def test_a_link_that_is_revoked_while_its_page_is_open_takes_nothing(
    world: Portal, payer: Visitor
) -> None:
    invoice, page = await world.issue(), payer.page
    await page.goto(link_of(world, invoice))
    await fill_card(page)
    staff = a_caller("staff", world.clinic_id)
    path = f"/invoices/{invoice['id']}/pay-link/revoke"
    await world.invoices.call("POST", path, staff, headers={"Idempotency-Key": "revoke"})

    await press(page)

    await expect(page.get_by_role("alert")).to_contain_text("This link does not work any more.")
    await expect(page.get_by_role("link", name="Log in to see the invoice")).to_be_visible()
    assert await world.db_payment.admin.fetchval("SELECT count(*) FROM payments") == 0
    await page.reload()
    await expect(page.get_by_role("heading", name="This link does not work any more")).to_be_visible()


async def test_without_scripts_it_shows_the_facts_and_what_is_needed(world: Portal, browser: Browser) -> None:
    invoice = await world.issue()
    context = await browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844})
    page = await context.new_page()
    await page.goto(link_of(world, invoice))

    for words in ("€125.00", f"Invoice {invoice['number']}", "Harbour Physiotherapy"):
        await expect(page.get_by_text(words).first).to_be_visible()
    await expect(page.get_by_text("Paying here needs JavaScript.")).to_be_visible()
    await expect(page.get_by_role("button", name=PAY)).to_be_disabled()
    await context.close()


@pytest.mark.parametrize(
    ("width", "dark"), [(320, False), (360, False), (390, True), (1280, False), (1280, True)]
)
async def test_every_state_reads_well(world: Portal, browser: Browser, width: int, dark: bool) -> None:
    open_invoice, void = await world.issue(), await world.issue()
    staff = a_caller("staff", world.clinic_id)
    body, headers = {"reason": "duplicate"}, {"Idempotency-Key": "void"}
    await world.invoices.call("POST", f"/invoices/{void['id']}/void", staff, json=body, headers=headers)
    await world.pass_on()
    links = {
        "open": link_of(world, open_invoice),
        "late": link_of(world, await world.issue(due_in_days=-20)),
        "void": link_of(world, void),
        "ended": link_of(world, open_invoice, generation=9),
        "forged": f"{world.url}/pay/x",
    }
    objections: list[str] = []
    async with a_visitor(browser, width=width, dark=dark) as visitor:
        page = visitor.page
        for state, link in links.items():
            await page.goto(link)
            if state in ("open", "late"):
                await expect(
                    page.frame_locator("#card-form iframe").get_by_label("Card number")
                ).to_be_visible()
            objections += await serious(page) + await small_targets(page)
            objections += [f"{state} is {over} px too wide" for over in [await sideways(page)] if over > 0]
        assert objections == []
        assert [error for error in visitor.wrong if "410" not in error] == []


async def test_a_word_of_two_hundred_letters_wraps(world: Portal, payer: Visitor) -> None:
    word = "Physiotherapy" * 15
    contact = {"phone": "+353 1 555 0123", "email": "a@b.example", "address": word, "hours": word}
    await world.put_clinic(name=word, contact=contact)
    invoice, page = await world.issue(note=word, service=word, practitioner=word), payer.page
    for link in (link_of(world, invoice), link_of(world, invoice, generation=1)):
        await page.goto(link)
        assert await sideways(page) <= 0


@pytest.mark.parametrize(("width", "dark"), [(360, False), (390, True), (1280, False)])
async def test_the_page_that_ends_e_mails_has_one_button_and_needs_no_login(
    world: Portal, browser: Browser, width: int, dark: bool
) -> None:
    token = ENDINGS.token(Choice(world.clinic_id, world.client_id, "reminder"))
    async with a_visitor(browser, width=width, dark=dark) as visitor:
        page = visitor.page
        for path, heading in ((token, "Stop these e-mails?"), (token[:-1], "This link does not work")):
            await page.goto(f"{world.url}/mail/{path}")
            await expect(page.get_by_role("heading", name=heading)).to_be_visible()
            assert await serious(page) + await small_targets(page) == []
            assert await sideways(page) == 0
        await page.goto(f"{world.url}/mail/{token}")
        button = page.get_by_role("button")
        await expect(button).to_have_text("Stop these e-mails")
        while not await button.evaluate("e => e === document.activeElement"):
            await page.keyboard.press("Tab")
        assert await page.context.cookies() == []
        assert [error for error in visitor.wrong if "410" not in error] == []
