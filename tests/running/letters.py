"""Letters about logins on their way: asked for by the gateway's job, sent by notification, read by a test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

import pytest

from services.gateway import jobs
from services.notification.emails.sending import Sender
from tests.builders.events import carry
from tests.running.apps import in_own_task
from tests.running.databases import ServiceDb
from tests.running.gateway import Site, a_whole_site
from tests.running.notification import MailServer, a_mail_server, sending

_UNDER_WAY = """
    SELECT (SELECT count(*) FROM reset_requests) + (SELECT count(*) FROM letters)
"""


@dataclass
class Post:
    """A site whose letters arrive at a mail server."""

    site: Site
    gateway: ServiceDb
    notification: ServiceDb
    invoice: ServiceDb
    sender: Sender
    mail: MailServer

    async def settle(self) -> list[EmailMessage]:
        """Wait until the gateway has handed over what is due, send it, and return the e-mails that are new."""
        await carry({"invoice": self.invoice, "notification": self.notification})
        seen = len(self.mail.inbox)
        async with asyncio.timeout(20):
            while await self.gateway.admin.fetchval(_UNDER_WAY):
                await asyncio.sleep(0.01)
        await self.notification.admin.execute("UPDATE tasks SET due_at = app_now() WHERE state = 'due'")
        while await self.sender.send_due():
            pass
        return self.mail.inbox[seen:]

    async def one(self) -> EmailMessage:
        """The one e-mail that is new."""
        [message] = await self.settle()
        return message


def text_of(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def link_in(message: EmailMessage) -> str:
    """Where the letter's button leads, in both parts alike: the path and the query."""
    html = message.get_body(("html",))
    assert html is not None
    [shown] = (line for line in text_of(message).splitlines() if line.startswith("https://"))
    assert f'href="{shown}"' in str(html.get_content())
    parts = urlsplit(shown)
    return parts.path + (f"?{parts.query}" if parts.query else "")


@asynccontextmanager
async def a_post(
    gateway: ServiceDb, invoice: ServiceDb, payment: ServiceDb, notification: ServiceDb, **more: Any
) -> AsyncIterator[Post]:
    """The site, its services and a mail server. Letters are handed over at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "LETTERS_SECONDS", 0.02)
        whole = a_whole_site(gateway, invoice, payment, notification, **more)
        async with (
            in_own_task(whole) as site,
            a_mail_server() as mail,
            sending(notification, mail.port) as sender,
        ):
            yield Post(site, gateway, notification, invoice, sender, mail)
