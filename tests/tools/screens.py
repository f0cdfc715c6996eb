"""`python -m tests.tools.screens [URL]`: takes the pictures of docs/portal/ from a running `up` with a fresh demo.

Look at each of them before you commit it.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

from tests.running.browser import FLAGS
from tests.tools.runner import ROOT, chromium

TO = ROOT / "docs" / "portal"
CLINIC = "/c/harbour"
HEIGHTS = {390: 844, 1280: 900}


async def main(url: str) -> None:
    TO.mkdir(exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=FLAGS.split())
        for width, name, go in SHOWN:
            page = await _logged_in(browser, url, width)
            await page.goto(f"{url}{CLINIC}")
            await go(page)
            await page.wait_for_load_state("networkidle")
            await page.screenshot(path=Path(TO / f"{name}-{width}.png"), animations="disabled")
            await page.context.close()
        await browser.close()


async def _logged_in(browser: Browser, url: str, width: int) -> Page:
    context = await browser.new_context(
        viewport={"width": width, "height": HEIGHTS[width]}, locale="en-IE", base_url=url
    )
    page = await context.new_page()
    await page.goto("/login")
    await page.get_by_label("E-mail").fill("client@example.com")
    await page.get_by_label("Password").fill("clinicpay-demo")
    await page.get_by_role("button", name="Log in").click()
    await page.wait_for_url("**/clinics")
    return page


def _at(path: str) -> Callable[[Page], Awaitable[object]]:
    return lambda page: page.goto(path)


async def _invoice(page: Page) -> None:
    await page.locator("#next-step").click()


async def _pay(page: Page) -> None:
    await _invoice(page)
    await page.locator("#to-pay").first.click()


SHOWN: tuple[tuple[int, str, Callable[[Page], Awaitable[object]]], ...] = (
    (390, "clinics", _at("/clinics")),
    (390, "dashboard", _at(CLINIC)),
    (390, "invoice", _invoice),
    (390, "pay", _pay),
    (1280, "pay", _pay),
    (1280, "billing", _at(f"{CLINIC}/billing")),
    (390, "billing", _at(f"{CLINIC}/billing")),
    (390, "profile", _at(f"{CLINIC}/profile")),
)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8080"))
