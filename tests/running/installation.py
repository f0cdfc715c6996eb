"""A small installation without Kafka: the services' real code, events carried over by hand, and the sandbox's books."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import asyncpg

from contracts.events.envelope import CloudEvent
from contracts.money import Money
from deploy.ops import database
from deploy.ops.verify.access import Access
from deploy.sandbox.embedded import running_sandbox
from services.chassis.ids import new_id
from services.payment import app as payment_app
from services.payment.stripe.api import StripeApi
from tests.builders.callers import a_caller
from tests.builders.events import CONSUMERS, deliver_to_all, outbox_events
from tests.builders.values import money
from tests.running.apps import calling
from tests.running.databases import ServiceDb, fresh_database
from tests.running.invoice import InvoiceService, an_invoice_service
from tests.running.payment import PaymentService, a_hook
from tests.running.settings import SEAL, payment_settings


@dataclass
class Installation:
    """All services' databases with one clinic and one client in them."""

    dbs: Mapping[str, ServiceDb]
    world: InvoiceService
    payments: PaymentService
    published: dict[UUID, CloudEvent] = field(default_factory=dict)
    """Every event that was sent, by id."""

    @property
    def access(self) -> Access:
        """As the auditor reads it."""
        databases = {
            service: database.role_dsn(
                db.admin_dsn, database.AUDITOR, database.AUDITOR, name_in(db.admin_dsn)
            )
            for service, db in self.dbs.items()
        }
        sandbox = self.payments.sandbox
        return Access(
            databases,
            stripe_secret_key=sandbox.secret_key,
            stripe_api_base=sandbox.url,
            seal=SEAL,
        )

    async def pump(self, *, lose: bool = False) -> None:
        """Deliver the events in the outboxes to all consumers, until none are left; or lose them on the way."""
        moved = True
        while moved:
            moved = False
            for service in CONSUMERS:
                events = await outbox_events(self.dbs[service])
                await self.dbs[service].admin.execute("DELETE FROM outbox")
                self.published |= {event.id: event for event in events}
                if not lose:
                    await deliver_to_all(self.dbs, *events)
                moved = moved or bool(events)

    async def open_invoice(self, minor: int) -> UUID:
        issued = await self.world.issue(minor)
        await self.pump()
        return UUID(issued["id"])

    async def pay(self, *shares: tuple[UUID, Money]) -> UUID:
        payment = await self.payments.pay(*shares)
        await self.pump()
        return payment

    async def correct(self, invoice_id: UUID, verb: str, **body: object) -> dict[str, Any]:
        """Void, credit or write off the invoice; returns the answer."""
        answer = await self.world.http.call(
            "POST",
            f"/invoices/{invoice_id}/{verb}",
            self.world.staff,
            json={"reason": "goodwill"} | body,
            headers={"Idempotency-Key": str(new_id())},
        )
        assert answer.status_code == 201, answer.text
        await self.pump()
        made: dict[str, Any] = answer.json()
        return made

    async def refund(self, minor: int, outcome: str | None = None, *, payment_id: UUID | None = None) -> None:
        """Refund some of the client's credit, of one payment or of any; `outcome` is the bank's answer."""
        body: dict[str, object] = {
            "client_id": str(self.payments.client_id),
            "currency": "EUR",
            "amount": minor,
        }
        body |= {"payment_id": str(payment_id)} if payment_id else {}
        staff, headers = a_caller("staff", self.payments.clinic_id), {"Idempotency-Key": str(new_id())}
        answer = await self.payments.api.call("POST", "/refunds", staff, json=body, headers=headers)
        [made] = answer.json()["refunds"]
        await self.payments.hook.until("refund.created", self.payments.hook.count("refund.created") or 1)
        if outcome:
            sent = await self.dbs["payment"].admin.fetchval(
                "SELECT stripe_refund_id FROM refunds WHERE id = $1", UUID(made["id"])
            )
            already = self.payments.hook.count("refund.updated")
            path = f"/accounts/platform/refunds/{sent}/settle"
            await self.payments.sandbox.control("POST", path, {"outcome": outcome})
            await self.payments.hook.until("refund.updated", already + 1)
        await self.payments.consume()
        await self.pump()

    async def decline(self, share: tuple[UUID, Money]) -> None:
        """An attempt that the bank refuses, and that stays open."""
        started = await self.payments.start(share)
        await self.payments.confirm(started, "pm_card_chargeDeclined")
        await self.payments.hook.until("payment_intent.payment_failed")
        await self.payments.consume()
        await self.pump()


@asynccontextmanager
async def an_installation(
    postgres: str, roles: dict[str, str], *, filled: bool = True
) -> AsyncIterator[Installation]:
    """Invoices that are paid, part paid, paid together, declined and open; none unless `filled`."""
    async with AsyncExitStack() as stack:
        dbs = {
            service: await stack.enter_async_context(fresh_database(service, postgres, roles))
            for service in database.SERVICES
        }
        world = await stack.enter_async_context(an_invoice_service(dbs["invoice"]))
        payments = await _a_payment_service(stack, dbs["payment"], world)
        installation = Installation(dbs, world, payments)
        await installation.pump()
        if filled:
            await _fill(installation)
        # Nobody sends e-mails here, however long the tests take.
        await dbs["notification"].admin.execute("UPDATE tasks SET due_at = due_at + interval '1 day'")
        yield installation


async def _a_payment_service(stack: AsyncExitStack, db: ServiceDb, world: InvoiceService) -> PaymentService:
    hook, url = await stack.enter_async_context(a_hook("whsec_sandbox"))
    sandbox = await stack.enter_async_context(running_sandbox(url))
    stripe = StripeApi(sandbox.secret_key, sandbox.url, signer=SEAL)
    stack.push_async_callback(stripe.close)
    app = payment_app.api(payment_settings(db.api_dsn, sandbox))
    api = await stack.enter_async_context(calling(app, "payment"))
    return PaymentService(
        db, sandbox, hook, stripe, api, clinic_id=world.clinic_id, client_id=world.client_id
    )


async def _fill(installation: Installation) -> None:
    paid, part, one, two, refused = [
        await installation.open_invoice(minor) for minor in (12_500, 8_000, 1_000, 2_000, 500)
    ]
    await installation.open_invoice(700)
    await installation.pay((paid, money(12_500)))
    await installation.pay((part, money(3_000)))
    await installation.pay((one, money(1_000)), (two, money(2_000)))
    await installation.decline((refused, money(500)))
    await _leave_credit(installation)
    await installation.dbs["gateway"].admin.execute(
        """
        WITH portal AS (INSERT INTO portals (clinic_id, slug) VALUES ($1, 'harbour')),
        login AS (INSERT INTO logins (id, email, password_hash) VALUES ($2, 'ada@example.com', 'x'))
        INSERT INTO memberships (clinic_id, login_id, client_id, role, active) VALUES ($1, $2, $3, 'client', true)
        """,
        installation.world.clinic_id,
        new_id(),
        installation.world.client_id,
    )


async def _leave_credit(installation: Installation) -> None:
    """Pay a void invoice from the other tab: of its credit, some is refunded, some is pending, some is left."""
    voided = await installation.open_invoice(2_500)
    started = await installation.payments.start((voided, money(2_500)))
    await installation.correct(voided, "void")
    already = installation.payments.hook.count("payment_intent.succeeded")
    await installation.payments.confirm(started, "pm_card_pendingRefund")
    await installation.payments.hook.until("payment_intent.succeeded", already + 1)
    await installation.payments.consume()
    await installation.pump()
    for minor, outcome in ((1_000, "succeeded"), (700, "failed"), (400, None)):
        await installation.refund(minor, outcome)


@asynccontextmanager
async def broken(installation: Installation, service: str, sql: str) -> AsyncIterator[Access]:
    """Access to a copy of the installation in which somebody with every right has run these statements."""
    dsn = installation.dbs[service].admin_dsn
    original, server = name_in(dsn), database.with_database(dsn, "postgres")
    copy = f"{original}_broken"
    await close_connections(server, original)
    await database.clone(server, service, copy, original)
    try:
        connection = await asyncpg.connect(database.with_database(dsn, copy))
        await connection.execute(f"SET session_replication_role = replica; {sql}")
        await connection.close()
        databases = installation.access.databases
        mended = {**databases, service: database.with_database(databases[service], copy)}
        yield replace(installation.access, databases=mended)
    finally:
        await database.drop(server, copy)


async def close_connections(server: str, name: str) -> None:
    """A database is copied while nobody is connected; pools connect again by themselves."""
    admin = await asyncpg.connect(server)
    await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
    await admin.close()


def name_in(dsn: str) -> str:
    return dsn.rpartition("/")[2].partition("?")[0]
