"""Fixtures of this folder: the payment service, the sandbox, a receiver of its webhooks, a mail server."""

from collections.abc import AsyncIterator

import pytest

from deploy.sandbox.embedded import RunningSandbox, running_sandbox
from deploy.sandbox.testing import Inbox, webhook_inbox
from services.notification.emails.sending import Sender
from tests.running.apps import in_own_task
from tests.running.databases import ServiceDb
from tests.running.gateway import Site, a_whole_site
from tests.running.installation import Installation, an_installation
from tests.running.letters import Post, a_post
from tests.running.notification import MailServer, a_mail_server, sending
from tests.running.payment import PaymentService, a_payment_service
from tests.running.sandbox import ACCOUNT, V1, client_of


@pytest.fixture
async def inbox() -> AsyncIterator[Inbox]:
    async with webhook_inbox() as inbox:
        yield inbox


@pytest.fixture
async def sandbox(inbox: Inbox) -> AsyncIterator[RunningSandbox]:
    async with running_sandbox(inbox.url) as sandbox:
        await sandbox.control("PUT", f"/accounts/{ACCOUNT}", {})
        yield sandbox


@pytest.fixture
async def stripe() -> AsyncIterator[RunningSandbox]:
    """The sandbox of an operator: nobody hears its webhooks."""
    async with running_sandbox() as sandbox:
        await sandbox.control("PUT", f"/accounts/{ACCOUNT}", {})
        yield sandbox


@pytest.fixture
async def site(
    db_gateway: ServiceDb, db_invoice: ServiceDb, db_payment: ServiceDb, db_notification: ServiceDb
) -> AsyncIterator[Site]:
    """The gateway before the real services."""
    async with a_whole_site(db_gateway, db_invoice, db_payment, db_notification) as site:
        yield site


@pytest.fixture
async def post(
    db_gateway: ServiceDb, db_invoice: ServiceDb, db_payment: ServiceDb, db_notification: ServiceDb
) -> AsyncIterator[Post]:
    """The gateway before the real services, and the letters that it has sent."""
    async with a_post(db_gateway, db_invoice, db_payment, db_notification) as made:
        yield made


@pytest.fixture
def v1(sandbox: RunningSandbox) -> V1:
    return client_of(sandbox)


@pytest.fixture
async def mail() -> AsyncIterator[MailServer]:
    async with a_mail_server() as server:
        yield server


@pytest.fixture
async def sender(db_notification: ServiceDb, mail: MailServer) -> AsyncIterator[Sender]:
    async with sending(db_notification, mail.port) as sender:
        yield sender


@pytest.fixture
async def payments(db_payment: ServiceDb) -> AsyncIterator[PaymentService]:
    async with a_payment_service(db_payment) as payments:
        yield payments


@pytest.fixture
async def installation(postgres: str, roles: dict[str, str]) -> AsyncIterator[Installation]:
    async with in_own_task(an_installation(postgres, roles)) as installation:
        yield installation
