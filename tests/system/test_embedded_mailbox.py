"""The mailbox takes mail over SMTP and shows it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import httpx2
import pytest
from aiosmtplib import send
from playwright.async_api import expect

from deploy.local.process import free_port
from deploy.local.units import PythonUnit
from tests.running.browser import CHROMIUM, a_browser, a_visitor


@dataclass
class Post:
    web: httpx2.AsyncClient
    smtp_port: int

    async def deliver(self, message: EmailMessage) -> None:
        await send(message, hostname="127.0.0.1", port=self.smtp_port)


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    port, smtp_port = free_port(), free_port()
    env = {"SMTP_PORT": str(smtp_port), "MAILBOX_DIR": str(tmp_path / "mail")}
    unit = PythonUnit("mailbox", ["deploy.local.mailbox"], port, tmp_path / "log", lambda: env)
    await unit.start()
    try:
        async with asyncio.timeout(30):
            while not await unit.ready():
                await asyncio.sleep(0.05)
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as web:
            yield Post(web, smtp_port)
    finally:
        await unit.stop()


FITS = """() => {
  const letter = document.querySelector(".letter");
  const page = letter.contentDocument.documentElement;
  return page.scrollHeight > 1500 && page.scrollHeight <= letter.clientHeight;
}"""


def a_receipt(to: str = "client@example.com", html: str = "<p>You paid <b>€125.00</b></p>") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = "Harbour Clinic <billing@clinic.example>", to
    message["Subject"], message["Message-ID"] = "Your receipt – 2026-0007", "<delivery-7@clinicpay>"
    message.set_content("You paid €125.00")
    message.add_alternative(f"{html}<script>alert(1)</script>", subtype="html")
    message.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="receipt.pdf")
    return message


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)")
async def test_a_letter_is_shown_whole_on_a_phone_and_on_a_desk(post: Post) -> None:
    lines = "".join(f"<p>You paid invoice {number}</p>" for number in range(60))
    await post.deliver(a_receipt(html=lines))
    [message] = (await post.web.get("/api/messages")).json()

    async with a_browser() as browser, a_visitor(browser, width=390) as visitor:
        page = visitor.page
        for width in (390, 1280):
            await page.set_viewport_size({"width": width, "height": 844})
            await page.goto(f"{post.web.base_url}/messages/{message['id']}")
            frame = page.frame_locator(".letter")
            await expect(frame.get_by_text("You paid invoice 59")).to_be_visible()
            await page.wait_for_function(FITS)


async def test_a_message_is_kept_and_shown(post: Post) -> None:
    await post.deliver(a_receipt())

    [message] = (await post.web.get("/api/messages")).json()
    assert message["to"] == ["client@example.com"]
    assert message["subject"] == "Your receipt – 2026-0007"
    assert message["message_id"] == "<delivery-7@clinicpay>"
    assert message["text"].strip() == "You paid €125.00"
    assert message["attachments"] == ["receipt.pdf"]
    assert "Your receipt – 2026-0007" in (await post.web.get("/")).text
    page = (await post.web.get(f"/messages/{message['id']}")).text
    assert "You paid €125.00" in page
    assert (await post.web.get(f"/messages/{message['id']}/attachments/0")).content == b"%PDF-1.7"


async def test_the_html_of_a_message_cannot_run_script(post: Post) -> None:
    await post.deliver(a_receipt())
    [message] = (await post.web.get("/api/messages")).json()

    html = await post.web.get(f"/messages/{message['id']}/html")
    assert "<b>€125.00</b>" in html.text
    policy = html.headers["content-security-policy"]
    assert policy.startswith("sandbox ") and "allow-scripts" not in policy
    assert "<script>alert(1)" not in (await post.web.get(f"/messages/{message['id']}")).text


async def test_messages_can_be_asked_for_by_address(post: Post) -> None:
    await post.deliver(a_receipt("one@example.com"))
    await post.deliver(a_receipt("two@example.com"))
    newest = (await post.web.get("/api/messages")).json()
    assert [message["to"] for message in newest] == [["two@example.com"], ["one@example.com"]]
    assert len((await post.web.get("/api/messages?to=ONE@example.com")).json()) == 1


@pytest.mark.parametrize("path", ["/messages/..%2f..%2fsecrets", "/api/messages/nothing", "/assets/app.py"])
async def test_nothing_else_is_served(post: Post, path: str) -> None:
    assert (await post.web.get(path)).status_code == 404
