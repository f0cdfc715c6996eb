"""The way in, in a browser on the system that `./clinicpay up` runs: invitation, login, forgotten password, profile."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import CDPSession, Page, expect

from services.chassis.ids import new_id
from tests.browser.test_pages_quality import sideways, small_targets
from tests.running.browser import CHROMIUM, a_browser, a_visitor, serious
from tests.running.system import Running, running, until

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)")

FIRST, SECOND = "the first passphrase of mine", "the second passphrase of mine"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("door") / "data"


@pytest.fixture(scope="module")
async def system(data: Path) -> AsyncIterator[Running]:
    async with running(data) as started:
        yield started


async def link_to(system: Running, email: str, subject: str) -> str:
    """The link in the newest e-mail with this subject to the address."""

    async def found() -> list[Any]:
        return [mail for mail in await system.mails(subject) if email in str(mail["to"])]

    newest, *_ = await until(found)
    address = re.search(r"http\S+/(?:password|invitation|email|login/link)/\S+", newest["text"])
    assert address is not None, newest["text"]
    return address[0]


async def reads_well(page: Page) -> None:
    """Nothing that axe objects to, nothing sideways, nothing too small for a thumb."""
    assert [*await serious(page), *await small_targets(page)] == []
    assert await sideways(page) <= 0


async def log_in(page: Page, email: str, password: str) -> None:
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password", exact=True).fill(password)
    await page.get_by_role("button", name="Log in").click()


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1280, False)])
async def test_an_invited_client_comes_in_forgets_the_password_and_changes_the_address(
    system: Running, data: Path, width: int, dark: bool
) -> None:
    email, moved = f"door{width}@example.com", f"moved{width}@example.com"
    clinics = (await system.api("GET", "/clinics"))["items"]
    clinic = next(each["id"] for each in clinics if each["slug"] == "harbour")
    body = {"name": "Una Door", "email": email, "invite": True}
    await system.api("POST", f"/clinics/{clinic}/clients", body, key=f"door-{new_id()}")
    links = [await link_to(system, email, "You are invited to your client portal")]
    async with a_browser() as browser, a_visitor(browser, width=width, dark=dark) as visitor:
        page = visitor.page
        await page.goto(links[0])
        await reads_well(page)
        await page.get_by_label("Password", exact=True).fill("short")
        await page.get_by_role("button", name="Make my login").click()
        await expect(page.get_by_role("alert")).to_contain_text("Use at least 10 characters")
        await reads_well(page)
        await page.get_by_label("Password", exact=True).fill(FIRST)
        await page.get_by_role("button", name="Show the password").click()
        await expect(page.get_by_label("Password", exact=True)).to_have_attribute("type", "text")
        await page.get_by_role("button", name="Make my login").click()
        await expect(page.get_by_text("Your login is ready.")).to_be_visible()
        await reads_well(page)
        await log_in(page, email, FIRST)
        await page.wait_for_url(re.compile("/c/harbour$"))
        await page.get_by_role("button", name="Log out").click()

        await page.get_by_role("link", name="Forgot your password?").click()
        await reads_well(page)
        await page.get_by_label("E-mail").fill(email)
        await page.get_by_role("button", name="Send me a link").click()
        await expect(page.get_by_role("heading", name="Look at your e-mails")).to_be_visible()
        await reads_well(page)
        links.append(await link_to(system, email, "Choose a new password"))
        await page.goto(links[1])
        await reads_well(page)
        await page.get_by_label("New password").fill(SECOND)
        await page.get_by_role("button", name="Save the new password").click()
        await expect(page.get_by_text("Your password is changed.")).to_be_visible()
        await log_in(page, email, SECOND)
        await page.wait_for_url(re.compile("/c/harbour$"))
        await _change_the_address(page, system, moved, links)
        await page.goto(links[1])
        await expect(page.get_by_role("heading", name="This link does not work any more")).to_be_visible()
        await reads_well(page)
        assert [error for error in visitor.wrong if not re.search("40[04]", error)] == []
    _nothing_is_told(system, data, email, moved, links)


@pytest.mark.parametrize(("width", "dark"), [(360, False), (390, True), (1280, False)])
async def test_a_code_by_e_mail_logs_in_without_a_password(
    system: Running, data: Path, width: int, dark: bool
) -> None:
    email = f"code{width}@example.com"
    clinics = (await system.api("GET", "/clinics"))["items"]
    clinic = next(each["id"] for each in clinics if each["slug"] == "harbour")
    body = {"name": "Cora Code", "email": email, "login": {"password": FIRST}}
    await system.api("POST", f"/clinics/{clinic}/clients", body, key=f"door-{new_id()}")
    async with a_browser() as browser, a_visitor(browser, width=width, dark=dark) as visitor:
        page = visitor.page
        await page.goto(f"{system.url}/login?next=/c/harbour/billing")
        await reads_well(page)
        await page.get_by_role("link", name="Get a code").click()
        await page.get_by_role("button", name="Send me a code").click()
        await expect(page.get_by_role("alert")).to_contain_text("No code was sent")
        await reads_well(page)
        await page.get_by_label("E-mail").fill(email)
        await page.get_by_role("button", name="Send me a code").click()
        await expect(page.get_by_role("heading", name="Type the code from your e")).to_be_visible()
        await reads_well(page)
        links = [await link_to(system, email, "Your code to log in")]
        await page.get_by_label("Code").fill("aaaa-aaaa")
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_role("alert")).to_contain_text("The code is not right")
        await reads_well(page)
        await page.goto(links[0])
        await expect(page.get_by_text("You log in as")).to_be_visible()
        await reads_well(page)
        await page.get_by_role("button", name="Log in").click()
        await page.wait_for_url(re.compile("/c/harbour/billing$"))
        await page.get_by_role("button", name="Log out").click()
        await page.goto(links[0])
        await expect(page.get_by_role("heading", name="This link does not work here")).to_be_visible()
        await reads_well(page)
        assert [error for error in visitor.wrong if not re.search("40[014]", error)] == []
    tokens = [link.partition("/login/link/")[2].partition("?")[0] for link in links]
    _is_told_nowhere(system, data, email, *tokens)


@pytest.mark.parametrize(("width", "dark"), [(360, True), (390, False), (1280, True)])
async def test_a_passkey_is_made_logs_in_and_is_removed(system: Running, width: int, dark: bool) -> None:
    email = f"key{width}@example.com"
    clinics = (await system.api("GET", "/clinics"))["items"]
    clinic = next(each["id"] for each in clinics if each["slug"] == "harbour")
    body = {"name": "Kay Key", "email": email, "login": {"password": FIRST}}
    await system.api("POST", f"/clinics/{clinic}/clients", body, key=f"door-{new_id()}")
    async with a_browser() as browser, a_visitor(browser, width=width, dark=dark) as visitor:
        page = visitor.page
        device = await _a_device(page)
        await page.goto(f"{system.url}/login?next=/c/harbour/profile")
        await reads_well(page)
        await page.get_by_role("button", name="Use a passkey").click()
        await expect(page.get_by_text("No passkey was used.")).to_be_visible()
        await log_in(page, email, FIRST)
        await expect(page.get_by_role("heading", name="Passkeys")).to_be_visible()
        await reads_well(page)
        await page.locator("#passkeys-present").fill(FIRST)
        await page.get_by_role("button", name="Add a passkey").click()
        await page.get_by_label("Name").fill("My phone")
        await reads_well(page)
        await page.get_by_role("button", name="Make the passkey").click()
        await expect(page.get_by_text("Your passkey is added.")).to_be_visible()
        await expect(page.get_by_text("My phone").first).to_be_visible()
        await reads_well(page)
        await page.get_by_role("button", name="Log out", exact=True).click()
        await page.get_by_role("button", name="Use a passkey").click()
        await page.wait_for_url(re.compile("/c/harbour$"))
        await page.get_by_role("link", name="Profile").click()
        await expect(page.get_by_text("Last used").first).to_be_visible()
        [kept] = await device.credentials()
        assert kept["signCount"] > 1 and kept["isResidentCredential"] and kept["rpId"] == "localhost"
        await page.locator("summary", has_text="Remove").click()
        await page.locator("#passkey-1-present").fill(FIRST)
        await page.get_by_role("button", name="Remove the passkey").click()
        await expect(page.get_by_text("The passkey is removed.")).to_be_visible()
        await page.get_by_role("button", name="Log out", exact=True).click()
        await page.get_by_role("button", name="Use a passkey").click()
        await expect(page.get_by_text("The passkey was not accepted.")).to_be_visible()
        await reads_well(page)
        assert [error for error in visitor.wrong if not re.search("40[014]", error)] == []


async def test_without_scripts_no_page_offers_a_passkey(system: Running) -> None:
    async with a_browser() as browser:
        context = await browser.new_context(java_script_enabled=False)
        page = await context.new_page()
        await page.goto(f"{system.url}/login")
        await expect(page.get_by_role("button", name="Log in", exact=True)).to_be_visible()
        await expect(page.get_by_role("button", name="Use a passkey")).to_be_hidden()
        await context.close()


@dataclass(frozen=True)
class Device:
    """A device of Chromium's own that keeps passkeys, and unlocks them for its visitor."""

    session: CDPSession
    id: str

    async def credentials(self) -> list[dict[str, Any]]:
        answer = await self.session.send("WebAuthn.getCredentials", {"authenticatorId": self.id})
        found: list[dict[str, Any]] = answer["credentials"]
        return found


async def _a_device(page: Page) -> Device:
    session = await page.context.new_cdp_session(page)
    await session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
    }
    made = await session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return Device(session, made["authenticatorId"])


async def _change_the_address(page: Page, system: Running, moved: str, links: list[str]) -> None:
    await page.get_by_role("link", name="Profile").click()
    await expect(page.get_by_text("Una Door")).to_be_visible()
    await reads_well(page)
    await page.get_by_label("Reminders of unpaid invoices").uncheck()
    await page.get_by_role("button", name="Save my choice").click()
    await expect(page.get_by_role("status").first).to_contain_text("Your choice of e-mails is saved.")
    await expect(page.get_by_label("Reminders of unpaid invoices")).not_to_be_checked()
    await expect(page.get_by_label("New invoices")).to_be_checked()
    await page.get_by_label("New e-mail address").fill(moved)
    await page.locator("#email-present").fill(SECOND)
    await page.get_by_role("button", name="Send the link").click()
    await expect(page.get_by_role("status").first).to_contain_text("We are sending a link")
    links.append(await link_to(system, moved, "Confirm your new e-mail address"))
    await page.goto(links[2])
    await reads_well(page)
    await page.get_by_role("button", name="Use this address").click()
    await page.goto(f"{system.url}/c/harbour/profile")
    await expect(page.get_by_text(moved)).to_be_visible()
    await page.get_by_role("button", name="Log out everywhere").click()
    await expect(page.get_by_text("You are logged out everywhere.")).to_be_visible()


def _nothing_is_told(system: Running, data: Path, email: str, moved: str, links: list[str]) -> None:
    """No log and no span holds an address or a token."""
    tokens = [re.split("[/?]", link.partition("://")[2])[2] for link in links]
    assert all(len(token) == 43 for token in tokens)
    _is_told_nowhere(system, data, email, moved, *tokens)


def _is_told_nowhere(system: Running, data: Path, *texts: str) -> None:
    secrets = [text.encode() for text in texts]
    logs = {file.name: file.read_bytes() for file in (data / "logs").iterdir()}
    assert [name for name, text in logs.items() for secret in secrets if secret in text] == []
    assert [1 for body in system.spans.raw for secret in secrets if secret in body] == []


async def test_a_visitor_without_scripts_comes_in_too(system: Running) -> None:
    async with a_browser() as browser:
        context = await browser.new_context(java_script_enabled=False)
        page = await context.new_page()
        await page.goto(f"{system.url}/password")
        await page.get_by_label("E-mail").fill("nobody@example.com")
        await page.get_by_role("button", name="Send me a link").click()
        await expect(page.get_by_role("heading", name="Look at your e-mails")).to_be_visible()
        await context.close()
