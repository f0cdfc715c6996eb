"""The notification service: its API and its worker, which consumes and sends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from litestar import Litestar

from services.chassis.db.database import Database
from services.chassis.http.app import service_app
from services.chassis.jobs.jobs import Jobs
from services.chassis.kafka.samples import watching_lag
from services.chassis.kafka.worker import worker_app
from services.notification import consumers
from services.notification.contacts import routes as contacts
from services.notification.emails import routes as emails
from services.notification.emails import unsent
from services.notification.emails.documents import Documents
from services.notification.emails.rendering import Renderer
from services.notification.emails.sending import Sender
from services.notification.emails.smtp import Smtp
from services.notification.letters import routes as letters
from services.notification.reminders.actions import queue_reminders
from services.notification.retention import RULES
from services.notification.settings import Settings

NAME = "notification"
REMINDERS_SECONDS = 60
ROUTES = [*contacts.ALL, *emails.ALL, *letters.ALL]


def api(settings: Settings) -> Litestar:
    """Contacts and deliveries over HTTP, as the role `notification_api`."""
    db = Database(settings.database_urls)
    return service_app(
        name=NAME,
        settings=settings,
        db=db,
        route_handlers=ROUTES,
        lifespan=watching_lag(settings, consumers),
    )


def worker(settings: Settings) -> Litestar:
    """Consumers, the reminders of the day and the sender, as the role `notification_worker`."""
    db = Database(settings.database_urls)
    connections = [Smtp(settings.smtp_url) for _ in range(settings.smtp_connections)]
    key = settings.document_token_private_key
    documents = Documents(settings.invoice_url, key.get_secret_value() if key else None)
    renderer = Renderer(settings.portal_url, settings.pay_links)
    sender = Sender(db, renderer, connections, settings.mail_from, documents)

    @asynccontextmanager
    async def sending(_: Litestar) -> AsyncIterator[None]:
        async with sender.running():
            yield

    timed = Jobs(db)
    timed.every(REMINDERS_SECONDS, "queue_reminders", partial(queue_reminders, db))
    return worker_app(
        name=NAME,
        settings=settings,
        db=db,
        consumers=consumers,
        rules=RULES,
        jobs=timed,
        reads=[unsent.READ],
        lifespan=[] if settings.mail_paused else [sending],
        after_commit=sender.wake,
    )
