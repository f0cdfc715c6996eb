"""Every page, in every width and colour scheme: nothing sideways, nothing that axe or the policy objects to."""

import re

import pytest
from playwright.async_api import Page, expect

from services.chassis.ids import new_id
from tests.browser.test_pages_paying import fill_card
from tests.running.browser import CHROMIUM, EMAIL, Portal, Visitor, a_browser, a_visitor, serious
from tests.running.databases import ServiceDb
from tests.running.gateway import a_login

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)")

LARGEST_PAGE = 50_000
SMALLEST_TARGET = 44
PAGES = (
    "",
    "/billing",
    "/billing?status=unpaid",
    "/invoices/{id}",
    "/invoices/{id}/pay",
    "/pay",
    "/pay?all=EUR",
    "/methods",
    "/methods/add",
    "/help",
    "/help?q=receipt",
    "/help/master-guide",
    "/contact",
    "/nowhere",
)


async def sideways(page: Page) -> int:
    return int(
        await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    )


async def small_targets(page: Page) -> list[str]:
    """Buttons, fields and links that stand alone and are lower than a thumb needs."""
    return list(
        await page.evaluate(
            """least => [...document.querySelectorAll(`button, .button, .input, .tabs a, .subtabs a, .filter a, .back,
                .option > label, .check, .textual, .foot a`)]
                .filter(e => e.offsetParent && e.getBoundingClientRect().height < least - 0.5)
                .map(e => e.outerHTML.slice(0, 100))""",
            SMALLEST_TARGET,
        )
    )


@pytest.mark.parametrize(("width", "dark"), [(320, False), (390, True), (1280, False)])
async def test_every_page_reads_well(world: Portal, ann: Visitor, width: int, dark: bool) -> None:
    invoice, page = await world.issue(), ann.page
    await world.issue(due_in_days=-20)
    await page.set_viewport_size({"width": width, "height": 844})
    await page.emulate_media(color_scheme="dark" if dark else "light", reduced_motion="reduce")

    objections: list[str] = []
    for path in PAGES:
        answer = await page.goto(world.portal + path.format(id=invoice["id"]))
        assert answer is not None
        assert len(await answer.body()) < LARGEST_PAGE
        objections += await serious(page) + await small_targets(page)
        objections += [f"{path} is {over} px too wide" for over in [await sideways(page)] if over > 0]

    assert objections == []
    assert [error for error in ann.wrong if "404" not in error] == []


@pytest.mark.parametrize("width", [320, 360, 1280])
async def test_a_word_of_two_hundred_letters_wraps_on_every_page(world: Portal, width: int) -> None:
    word = "Physiotherapy" * 15
    contact = {"phone": "+353 1 555 0123", "email": "a@b.example", "address": word, "hours": word}
    await world.put_clinic(name=word, contact=contact)
    place = {"starts_at": "2026-11-18T14:30:00Z", "place": word}
    invoice = await world.issue(note=word, service=word, practitioner=word, appointment=place)
    async with a_browser() as browser, a_visitor(browser, width=width) as visitor:
        page = visitor.page
        await page.goto(f"{world.url}/login?next=/c/harbour")
        wide = {"login": await sideways(page)}
        await visitor.log_in(world)
        for path in (*PAGES, f"/help?q={word[:90]}"):
            await page.goto(world.portal + path.format(id=invoice["id"]))
            wide[path] = await sideways(page)

    assert {path: over for path, over in wide.items() if over > 0} == {}


@pytest.mark.parametrize("width", [320, 360, 390, 768])
async def test_a_long_name_and_the_links_beside_it_do_not_overlap(
    world: Portal, ann: Visitor, width: int
) -> None:
    page = ann.page
    await page.set_viewport_size({"width": width, "height": 844})
    await page.goto(world.portal)
    # As the page is for a login with several memberships.
    await page.evaluate(
        """() => {
            document.querySelector(".brand span:last-child").textContent = "Harbour Physiotherapy"
            document.querySelector(".account").insertAdjacentHTML("afterbegin", '<a href="/clinics">Change clinic</a>')
        }"""
    )

    apart = await page.evaluate(
        """() => {
            const name = document.createRange()
            name.selectNodeContents(document.querySelector(".brand span:last-child"))
            const [left, right] = [name, document.querySelector(".account")].map(e => e.getBoundingClientRect())
            return left.right <= right.left || left.bottom <= right.top
        }"""
    )
    assert apart
    assert await sideways(page) <= 0


@pytest.mark.parametrize("width", [320, 360, 1280])
async def test_a_mailed_link_of_a_further_client_asks_first_and_then_leads_on(
    world: Portal, ann: Visitor, db_gateway: ServiceDb, width: int
) -> None:
    """The login's owner sees which clinic asks for which client, and lands on the invoice after accepting."""
    page, parent = ann.page, world.client_id
    await page.set_viewport_size({"width": width, "height": 844})
    world.client_id = new_id()
    await world.put_client()
    await a_login(db_gateway.api, world.clinic_id, EMAIL, client_id=world.client_id, accepts=False)
    invoice = await world.issue()
    world.client_id = parent

    await page.goto(f"{world.portal}/invoices/{invoice['id']}")
    await expect(page.get_by_role("heading", name="Is this for you?")).to_be_visible()
    await expect(page.get_by_text("Harbour Physiotherapy has connected its client")).to_be_visible()
    assert await serious(page) + await small_targets(page) == []
    assert await sideways(page) <= 0
    await page.get_by_role("button", name="Accept").click()

    await page.wait_for_url(f"**/invoices/{invoice['id']}")
    await expect(page.get_by_text(invoice["number"]).first).to_be_visible()
    await expect(page.get_by_role("banner").get_by_text("Róisín Kelly")).to_be_visible()
    assert await serious(page) == []
    assert await sideways(page) <= 0


async def test_the_login_reads_well_and_keeps_what_was_typed(world: Portal) -> None:
    async with a_browser() as browser, a_visitor(browser, width=390) as visitor:
        page = visitor.page
        await page.goto(f"{world.url}/login")
        assert await serious(page) == []
        await expect(page.get_by_text("clinicpay-demo")).to_be_visible()
        await page.get_by_label("E-mail").fill("ann@example.com")
        await page.get_by_label("Password").fill("not the password")
        await page.keyboard.press("Enter")

        await expect(page.get_by_role("alert")).to_be_focused()
        await expect(page.get_by_label("E-mail")).to_have_value("ann@example.com")
        await expect(page.get_by_label("E-mail")).to_have_attribute("aria-invalid", "true")
        assert await serious(page) == []
        assert await page.title() == "Error: Log in – ClinicPay"


async def test_the_way_to_paying_needs_no_mouse(world: Portal, ann: Visitor) -> None:
    invoice, page = await world.issue(), ann.page
    await page.goto(world.portal)
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")

    await tab_to(page, "Review and pay €125.00")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/invoices/{invoice['id']}")
    await tab_to(page, "Pay with Card")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/pay")
    await expect(page.get_by_role("button", name="Pay €125.00")).to_be_visible()


async def test_three_clicks_after_the_login_pay_and_the_button_stays_in_sight(
    world: Portal, ann: Visitor
) -> None:
    await world.issue()
    page = ann.page
    await page.set_viewport_size({"width": 390, "height": 640})
    await page.goto(world.portal)
    await page.get_by_role("link", name="Review and pay €125.00").click()
    await expect(page.get_by_role("heading", name="Invoice Details")).to_be_attached()
    await page.get_by_role("link", name="Save as PDF").scroll_into_view_if_needed()
    await expect(page.get_by_role("link", name="Pay with Card")).to_be_in_viewport()
    await page.get_by_role("link", name="Pay with Card").click()
    await fill_card(page)
    await page.get_by_role("button", name="Pay €125.00").click()
    await page.wait_for_url(re.compile("/payments/"))


async def test_two_clicks_after_the_login_pay_the_only_unpaid_invoice(world: Portal, ann: Visitor) -> None:
    await world.issue()
    page = ann.page
    await page.goto(world.portal)
    await page.get_by_role("link", name="Pay at once").click()
    await expect(page.get_by_text("Initial physiotherapy assessment · due by")).to_be_visible()
    await fill_card(page)
    await page.get_by_role("button", name="Pay €125.00").click()
    await page.wait_for_url(re.compile("/payments/"))


async def tab_to(page: Page, name: str) -> None:
    """Press Tab until the link of this name has the focus."""
    for _ in range(40):
        await page.keyboard.press("Tab")
        if name in await page.evaluate("document.activeElement.textContent"):
            return
    raise AssertionError(f"the keyboard does not reach {name}")


async def test_a_clinic_without_online_payment_shows_the_invoice_and_how_to_reach_it(
    world: Portal, ann: Visitor
) -> None:
    await world.put_clinic(online_payment=False)
    invoice, page = await world.issue(), ann.page

    await page.goto(f"{world.portal}/invoices/{invoice['id']}")
    await expect(page.get_by_text("€125.00").first).to_be_visible()
    await expect(page.get_by_role("link", name="Pay with Card")).to_have_count(0)
    await expect(page.get_by_role("link", name="+353 1 555 0123")).to_be_visible()
    await page.goto(f"{world.portal}/invoices/{invoice['id']}/pay")
    await expect(page.get_by_role("heading", name="takes payments directly")).to_be_visible()


async def test_a_clinic_without_online_payment_offers_nothing_that_cannot_be_done(
    world: Portal, ann: Visitor
) -> None:
    await world.put_clinic(online_payment=False)
    page = ann.page
    for path in ("", "/billing", "/methods", "/help", "/help/master-guide"):
        await page.goto(world.portal + path)
        words = await page.locator("body").inner_text()
        assert "Stripe" not in words and "Pay with Card" not in words and "Save a card" not in words, path
    await page.goto(f"{world.portal}/methods")
    await expect(page.get_by_text("does not take cards in this portal")).to_be_visible()
    await expect(page.get_by_role("link", name="Add a card")).to_have_count(0)
    await page.goto(f"{world.portal}/billing")
    await expect(page.get_by_role("link", name="Saved methods")).to_have_count(0)


async def test_a_clinic_without_billing_says_so_and_how_to_reach_it(world: Portal, ann: Visitor) -> None:
    invoice, page = await world.issue(), ann.page
    await world.put_clinic(billing_shown=False)

    await page.goto(world.portal)
    await expect(page.get_by_role("navigation", name="Main")).not_to_contain_text("Payments")
    await expect(page.get_by_text("€125.00")).to_have_count(0)
    for path in ("/billing", f"/invoices/{invoice['id']}", f"/invoices/{invoice['id']}/pay", "/methods"):
        await page.goto(world.portal + path)
        await expect(page.get_by_role("heading", name="Bills are handled by")).to_be_visible()
        await expect(page.get_by_role("link", name="billing@harbour.example")).to_be_visible()
        await expect(page.get_by_text("€125.00")).to_have_count(0)
    assert await serious(page) == []


async def test_older_invoices_are_on_the_next_page(world: Portal, ann: Visitor) -> None:
    for minor in range(10_000, 10_022):
        await world.issue(minor)
    page = ann.page

    await page.goto(f"{world.portal}/billing?status=unpaid")
    await expect(page.locator("tbody tr")).to_have_count(20)
    await page.get_by_role("link", name="Older invoices").click()
    await expect(page.locator("tbody tr")).to_have_count(2)
    assert "status=unpaid" in page.url
    await page.get_by_role("link", name="Newer invoices").click()
    await expect(page.locator("tbody tr")).to_have_count(20)


async def test_pages_work_without_script(world: Portal) -> None:
    invoice = await world.issue()
    async with a_browser() as browser:
        context = await browser.new_context(java_script_enabled=False)
        visitor = Visitor(await context.new_page())
        await visitor.log_in(world)
        page = visitor.page
        await page.get_by_role("link", name="Help", exact=True).click()
        await page.locator("main").get_by_role("searchbox").fill("insurance")
        await page.locator("main").get_by_role("button", name="Search").click()
        await expect(page.locator("main").get_by_role("link", name="Receipts")).to_be_visible()
        await page.goto(f"{world.portal}/invoices/{invoice['id']}/pay")
        await expect(page.get_by_text("Paying here needs JavaScript")).to_be_visible()
        await context.close()
