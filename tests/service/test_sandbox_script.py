"""The browser script on a page of another origin, under the strict policy that our portal has."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.async_api import Browser, Frame, Page, async_playwright

from deploy.sandbox.embedded import RunningSandbox, running_sandbox
from deploy.sandbox.testing import Inbox, webhook_inbox
from tests.service.sandbox_page import pages

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync"
    " --no-first-run"
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)")

ACCOUNT = "acct_clinic00000001"


@dataclass
class Shop:
    sandbox: RunningSandbox
    inbox: Inbox
    url: str
    browser: Browser

    async def post(self, path: str, **form: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.sandbox.secret_key}", "Stripe-Account": ACCOUNT}
        async with httpx2.AsyncClient(trust_env=False) as client:
            answer = await client.post(f"{self.sandbox.url}/v1/{path}", data=form, headers=headers)
        answered: dict[str, Any] = answer.json()
        return answered

    async def an_intent(self, **more: Any) -> dict[str, Any]:
        form = {"amount": 12500, "currency": "eur", "automatic_payment_methods[enabled]": "true", **more}
        return await self.post("payment_intents", **form)

    async def open(self, width: int = 390, scheme: str = "light", **facts: Any) -> Page:
        context = await self.browser.new_context(
            viewport={"width": width, "height": 844},
            color_scheme=scheme,  # type: ignore[arg-type]
        )
        page = await context.new_page()
        page.on(
            "console", lambda message: complaints.append(message.text) if message.type == "error" else None
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        facts = {"key": self.sandbox.publishable_key, "account": ACCOUNT, **facts}
        await page.goto(f"{self.url}/pay#{json.dumps(facts)}")
        await page.locator("body[data-ready]").wait_for(timeout=10_000)
        return page


complaints: list[str] = []


@pytest.fixture(scope="module")
async def shop() -> AsyncIterator[Shop]:
    async with (
        webhook_inbox() as inbox,
        running_sandbox(inbox.url) as sandbox,
        async_playwright() as playwright,
    ):
        await sandbox.control("PUT", f"/accounts/{ACCOUNT}", {})
        server = await asyncio.start_server(pages(sandbox.url), "127.0.0.1", 0)
        url = f"http://localhost:{server.sockets[0].getsockname()[1]}"
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield Shop(sandbox, inbox, url, browser)
        await browser.close()
        server.close()


def _fields(page: Page) -> Frame:
    return next(frame for frame in page.frames if "/v3/element.html" in frame.url)


async def _fill(page: Page, number: str, expiry: str = "12/34", cvc: str = "123") -> None:
    frame = _fields(page)
    await frame.get_by_label("Card number").press_sequentially(number)
    await frame.get_by_label("Expiry date").fill(expiry)
    await frame.get_by_label("Security code").fill(cvc)


async def _pay(page: Page) -> dict[str, Any]:
    await page.get_by_role("button", name="Pay").click()
    return await _result(page)


async def _result(page: Page) -> dict[str, Any]:
    await page.locator("#result:not(:empty)").wait_for(timeout=10_000)
    result: dict[str, Any] = json.loads(await page.locator("#result").inner_text())
    await page.evaluate("document.querySelector('#result').textContent = ''")
    return result


async def test_a_card_is_paid_and_the_webhook_comes(shop: Shop) -> None:
    complaints.clear()
    intent = await shop.an_intent(**{"metadata[payment_id]": "p-1"})
    page = await shop.open(secret=intent["client_secret"])

    await _fill(page, "4242424242424242")
    result = await _pay(page)

    assert result["paymentIntent"]["status"] == "succeeded"
    assert "metadata" not in result["paymentIntent"]
    hook = await shop.inbox.wait_for("payment_intent.succeeded")
    assert hook.event["data"]["object"]["metadata"] == {"payment_id": "p-1"}
    assert hook.event["account"] == ACCOUNT
    assert complaints == []
    card_posts = [r for r in shop.sandbox.requests("/v1/payment_methods") if r.public]
    assert card_posts
    assert all("4242" not in r.body for r in card_posts)


async def test_a_declined_card_can_be_followed_by_a_good_one(shop: Shop) -> None:
    intent = await shop.an_intent()
    page = await shop.open(secret=intent["client_secret"])
    await _fill(page, "4000000000009995")
    refused = await _pay(page)

    await _fields(page).get_by_label("Card number").fill("")
    await _fill(page, "5555555555554444")
    paid = await _pay(page)

    assert refused["error"]["decline_code"] == "insufficient_funds"
    assert paid["paymentIntent"]["status"] == "succeeded"


async def test_what_is_missing_is_said_at_the_field(shop: Shop) -> None:
    page = await shop.open(secret="pi_1_secret_1")
    await _fields(page).get_by_label("Card number").press_sequentially("4242424242424241")

    result = await _pay(page)

    assert result["error"]["code"] == "invalid_number"
    number = _fields(page).get_by_label("Card number")
    assert await number.get_attribute("aria-invalid") == "true"
    assert await _fields(page).locator("#number-error").inner_text() == "Your card number is invalid."
    assert (
        await _fields(page).locator("#cvc-error").inner_text() == "Your card’s security code is incomplete."
    )
    assert await _fields(page).evaluate("document.activeElement.id") == "number"


@pytest.mark.parametrize(
    ("button", "status"), [("Complete", "succeeded"), ("Fail", "requires_payment_method")]
)
async def test_three_d_secure_asks_in_a_window_over_the_page(shop: Shop, button: str, status: str) -> None:
    intent = await shop.an_intent()
    page = await shop.open(secret=intent["client_secret"])
    await _fill(page, "4000002500003155")

    await page.get_by_role("button", name="Pay").click()
    challenge = page.get_by_role("dialog").frame_locator("iframe")
    await challenge.get_by_role("button", name=button).focus()
    await page.keyboard.press("Enter")
    result = await _result(page)

    seen = result["paymentIntent"] if status == "succeeded" else result["error"]["payment_intent"]
    assert seen["status"] == status
    assert await page.get_by_role("dialog").count() == 0


async def test_escape_from_the_window_is_a_failed_check(shop: Shop) -> None:
    intent = await shop.an_intent()
    page = await shop.open(secret=intent["client_secret"])
    await _fill(page, "4000000000003220")

    await page.get_by_role("button", name="Pay").click()
    await page.get_by_role("dialog").frame_locator("iframe").get_by_role("button", name="Fail").wait_for()
    await page.evaluate(
        "document.querySelector('dialog').dispatchEvent(new Event('cancel', {cancelable: true}))"
    )
    result = await _result(page)

    assert result["error"]["code"] == "payment_intent_authentication_failure"


@pytest.mark.parametrize(("button", "status"), [("Authorise", "succeeded"), ("Fail", "failed")])
async def test_another_payment_system_by_redirect(shop: Shop, button: str, status: str) -> None:
    intent = await shop.an_intent()
    page = await shop.open(secret=intent["client_secret"])

    await _fields(page).get_by_role("radio", name="PayPal").check()
    await page.get_by_role("button", name="Pay").click()
    await page.get_by_role("button", name=button).click()
    await page.wait_for_url("**/result?**")

    assert f"payment_intent={intent['id']}" in page.url
    assert f"redirect_status={status}" in page.url
    assert "keep=1" in page.url
    assert f"payment_intent_client_secret={intent['client_secret']}" in page.url


async def test_a_card_is_saved_without_a_payment(shop: Shop) -> None:
    customer = await shop.post("customers")
    intent = await shop.post("setup_intents", customer=customer["id"], **{"payment_method_types[]": "card"})
    page = await shop.open(
        secret=intent["client_secret"], setup=True, elements={"mode": "setup", "amount": None}
    )

    await _fill(page, "4242424242424242")
    result = await _pay(page)

    assert result["setupIntent"]["status"] == "succeeded"
    attached = await shop.inbox.wait_for("payment_method.attached")
    assert attached.event["data"]["object"]["customer"] == customer["id"]


async def test_a_saved_card_is_paid_with_from_the_page(shop: Shop) -> None:
    customer = await shop.post("customers")
    method = await shop.post("payment_methods/pm_card_threeDSecure2Required/attach", customer=customer["id"])
    intent = await shop.an_intent(customer=customer["id"])
    page = await shop.open(secret=intent["client_secret"])
    facts = [intent["client_secret"], method["id"]]

    await page.evaluate(
        """([clientSecret, payment_method]) => void stripe.confirmPayment({clientSecret, redirect: "if_required",
        confirmParams: {payment_method, return_url: location.origin + "/result"}}).then(say)""",
        facts,
    )
    await page.get_by_role("dialog").frame_locator("iframe").get_by_role("button", name="Complete").click()

    assert (await _result(page))["paymentIntent"]["status"] == "succeeded"


async def test_the_page_goes_on_where_the_server_was_asked_to_authenticate(shop: Shop) -> None:
    form = {"payment_method_types[]": "card", "payment_method": "pm_card_authenticationRequired"}
    intent = await shop.post("payment_intents", amount=12500, currency="eur", confirm="true", **form)
    page = await shop.open(secret=intent["client_secret"])

    await page.evaluate(
        "(clientSecret) => void stripe.handleNextAction({clientSecret}).then(say)", intent["client_secret"]
    )
    await page.get_by_role("dialog").frame_locator("iframe").get_by_role("button", name="Complete").click()

    assert intent["status"] == "requires_action"
    assert (await _result(page))["paymentIntent"]["status"] == "succeeded"


async def test_keys_alone_are_enough(shop: Shop) -> None:
    intent = await shop.an_intent()
    page = await shop.open(secret=intent["client_secret"], elements={"paymentMethodTypes": ["card"]})

    await page.evaluate("element.focus()")
    await _fields(page).locator("#number:focus").wait_for()
    await page.keyboard.type("5555555555554444")
    await _fields(page).locator("#expiry:focus").wait_for()
    await page.keyboard.type("0134")
    await _fields(page).locator("#cvc:focus").wait_for()
    await page.keyboard.type("123")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")

    assert (await _result(page))["paymentIntent"]["status"] == "succeeded"


async def test_the_amount_on_the_page_must_be_the_amount_charged(shop: Shop) -> None:
    intent = await shop.an_intent(amount=13000)
    page = await shop.open(secret=intent["client_secret"])

    await _fill(page, "4242424242424242")
    result = await _pay(page)

    assert "does not match the expected amount" in result["error"]["message"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
async def test_axe_finds_nothing_serious(shop: Shop, width: int, scheme: str) -> None:
    page = await shop.open(width, scheme, secret="pi_1_secret_1")
    if folder := os.environ.get("SCREENSHOTS"):
        await _fill(page, "4242424242424242")
        await page.screenshot(path=Path(folder) / f"element-{width}-{scheme}.png")
        await _fields(page).get_by_label("Card number").fill("4242 4242 4242 4241")
    await _pay(page)

    for frame in page.frames:
        await frame.evaluate(AXE_FILE_PATH.read_text())
        found = await frame.evaluate(
            "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa']})"
        )
        assert [violation["id"] for violation in found["violations"]] == []
    overflow = await page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert not overflow
