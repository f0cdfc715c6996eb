"""Everything that takes part in a payment, in one process: three services on their databases, the sandbox as Stripe.

Kafka and the delivery of Stripe's webhooks are missing: a test delivers everything, in any order and number.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx2

from deploy.sandbox.embedded import RunningSandbox, running_sandbox
from services.invoice import app as invoice_app
from services.payment import app as payment_app
from services.payment.stripe.api import StripeApi
from tests.running.apps import Client, calling, in_own_task
from tests.running.databases import ServiceDb
from tests.running.settings import SEAL, invoice_settings, payment_settings

Cut = Literal["", "before", "after"]
_FORGET = """
    SET session_replication_role = replica;
    DO $$
    DECLARE
        name text;
    BEGIN
        FOR name IN SELECT tablename FROM pg_tables
            WHERE schemaname = 'public' AND tablename NOT IN ('schema_migrations')
        LOOP
            EXECUTE format('DELETE FROM public.%I', name);
        END LOOP;
    END $$;
    RESET session_replication_role;
"""


class Crash(Exception):
    """The process ended here."""


@dataclass
class StripeLink:
    """The connection to Stripe. `cut` ends the next caller: before the request leaves, or once Stripe has acted."""

    http: Any
    cut: Cut = ""

    def __post_init__(self) -> None:
        self._send = self.http.request_async
        self.http.request_async = self._request

    async def _request(self, *arguments: Any, **more: Any) -> Any:
        cut, self.cut = self.cut, ""
        if cut == "before":
            raise Crash
        answer = await self._send(*arguments, **more)
        if cut == "after":
            raise Crash
        return answer


@dataclass
class Services:
    """The databases, Stripe, a browser, and the event loop that all of it lives in."""

    invoice: ServiceDb
    payment: ServiceDb
    notification: ServiceDb
    sandbox: RunningSandbox
    stripe: StripeApi
    invoices: Client
    browser: httpx2.AsyncClient
    payments: Client
    link: StripeLink = field(init=False)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    def __post_init__(self) -> None:
        self.link = StripeLink(self.stripe.http)

    async def forget(self) -> None:
        """Empty the databases: much faster than new ones."""
        for db in (self.invoice, self.payment, self.notification):
            await db.admin.execute(_FORGET)
        self.link.cut = ""
        await self.turn_clock(0)

    async def turn_clock(self, seconds: int) -> None:
        """Set how far Stripe's clock is ahead of ours."""
        self.sandbox.inside.store.set("clock_offset", str(seconds))


@asynccontextmanager
async def the_services(
    invoice: ServiceDb, payment: ServiceDb, notification: ServiceDb
) -> AsyncIterator[Services]:
    async with in_own_task(_the_services(invoice, payment, notification)) as parts:
        yield parts


@asynccontextmanager
async def _the_services(
    invoice: ServiceDb, payment: ServiceDb, notification: ServiceDb
) -> AsyncIterator[Services]:
    async with (
        running_sandbox() as sandbox,
        calling(invoice_app.api(invoice_settings(invoice.api_dsn)), "invoice") as invoices,
        httpx2.AsyncClient(base_url=sandbox.url, trust_env=False) as browser,
        calling(payment_app.api(payment_settings(payment.api_dsn, sandbox)), "payment") as payments,
    ):
        stripe = StripeApi(sandbox.secret_key, sandbox.url, timeout=5, signer=SEAL)
        yield Services(invoice, payment, notification, sandbox, stripe, invoices, browser, payments)
        await stripe.close()
