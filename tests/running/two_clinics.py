"""Two clinics, three clients with one of everything each, all services in this process, and the sandbox as Stripe."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx2
import pytest
from litestar import Litestar

from deploy.sandbox.embedded import RunningSandbox, running_sandbox
from services.chassis.http.auth import Caller
from services.chassis.ids import new_id
from services.gateway.upstream.calls import Service
from services.invoice import app as invoice_app
from services.notification import app as notification_app
from services.payment import app as payment_app
from services.payment.stripe.api import StripeApi
from tests.builders.callers import a_caller
from tests.builders.clinics import clinic_body
from tests.builders.events import deliver_to_all, outbox_events
from tests.builders.invoices import invoice_body, line_body
from tests.builders.values import money
from tests.running.apps import Client, in_own_task
from tests.running.databases import ServiceDb
from tests.running.gateway import PASSWORD, Site, a_site, reach, without_jobs
from tests.running.payment import Hook, PaymentService, a_hook
from tests.running.refunds import leave_credit, refund_payment
from tests.running.settings import invoice_settings, notification_settings, payment_settings

PRICE = 10_000


@dataclass(frozen=True, slots=True)
class Owner:
    """A client with an open invoice, a paid one, its payment, a refund that waits for approval, and a saved card.

    No other client has its `secrets`.
    """

    clinic_id: UUID
    client_id: UUID
    slug: str
    name: str
    email: str
    invoice_id: UUID
    paid_invoice_id: UUID
    payment_id: UUID
    refund_id: UUID
    method_id: UUID

    @property
    def caller(self) -> Caller:
        return a_caller("client", self.clinic_id, self.client_id)

    @property
    def ids(self) -> dict[str, str]:
        """The owner's ids for paths and queries, by the parameter's name."""
        names = ("clinic_id", "client_id", "invoice_id", "payment_id", "refund_id", "method_id", "slug")
        others = {
            "article": "paying",
            "handle": "0" * 64,
            "passkey_id": str(UUID(int=0)),
            "kind": "reminder",
            "key_id": "0190c0de-0000-7000-8000-000000000000",
            # An exception and a held act have its id, see `_furnished`.
            "exception_id": str(self.invoice_id),
            "act_id": str(self.invoice_id),
            "letter_id": str(self.invoice_id),
            "document_id": str(self.invoice_id),
            "dispute_id": str(self.payment_id),  # and so has a dispute of the payment
        }
        return {name: str(getattr(self, name)) for name in names} | others

    @property
    def secrets(self) -> set[str]:
        ids = (self.invoice_id, self.paid_invoice_id, self.payment_id, self.method_id)
        return {self.name, self.email, str(self.client_id), *map(str, ids)}


@dataclass(frozen=True, slots=True)
class TwoClinics:
    """`ann` and `bob` are clients of alder, `cat` of birch; `keys` are the clinics' API keys by slug."""

    site: Site
    services: Mapping[str, Client]
    apps: Mapping[str, Litestar]
    dbs: Mapping[str, ServiceDb]
    ann: Owner
    bob: Owner
    cat: Owner
    keys: Mapping[str, str]

    async def rows_of(self, clinic_id: UUID, *services: str) -> dict[str, str]:
        """A fingerprint of every row of a clinic, by table, without the times when its API keys were used."""
        found = {}
        for service in services:
            admin = self.dbs[service].admin
            for table in await tables_with_a_clinic(self.dbs[service]):
                found[f"{service}.{table}"] = await admin.fetchval(
                    f"""
                    SELECT md5(string_agg(row, '|' ORDER BY row))
                    FROM (
                        SELECT (to_jsonb(t) - 'last_used_at')::text AS row FROM {table} AS t WHERE clinic_id = $1
                    ) AS rows
                    """,
                    clinic_id,
                )
        return found

    @asynccontextmanager
    async def visitor(self, email: str | None) -> AsyncIterator[Site]:
        """A new browser session, signed in if `email` is given."""
        async with httpx2.AsyncClient(
            transport=reach(self.site.app), base_url=self.site.client.base_url
        ) as client:
            visit = Site(self.site.app, client, self.site.db, self.site.passwords)
            await visit.csrf()
            if email is not None:
                assert (await visit.log_in(email)).status_code == 303
            yield visit


async def tables_with_a_clinic(db: ServiceDb) -> list[str]:
    """Tables, and parents of partitions, with a clinic_id, by name."""
    rows = await db.admin.fetch(
        """
        SELECT relname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
        WHERE attname = 'clinic_id' AND NOT attisdropped AND relkind IN ('r', 'p') AND NOT relispartition
            AND relnamespace = 'public'::regnamespace
        ORDER BY relname
        """
    )
    return [row["relname"] for row in rows]


@asynccontextmanager
async def two_clinics(dbs: Mapping[str, ServiceDb], **gateway: Any) -> AsyncIterator[TwoClinics]:
    """The world, ready. `gateway` are settings of the gateway."""
    async with AsyncExitStack() as stack:
        without_jobs(stack.enter_context(pytest.MonkeyPatch.context()))
        hook, url = await stack.enter_async_context(a_hook("whsec_sandbox"))
        sandbox = await stack.enter_async_context(running_sandbox(url))
        apps: dict[Service, Litestar] = {
            "invoice": invoice_app.api(invoice_settings(dbs["invoice"].api_dsn)),
            "payment": payment_app.api(payment_settings(dbs["payment"].api_dsn, sandbox)),
            "notification": notification_app.api(notification_settings(dbs["notification"].api_dsn)),
        }
        for made in apps.values():
            await stack.enter_async_context(in_own_task(made.lifespan()))
        transports = {name: reach(made) for name, made in apps.items()}
        site = await stack.enter_async_context(
            a_site(dbs["gateway"], transports, payment_url="http://payment.test", **gateway)
        )
        services: dict[str, Client] = {}
        for name, transport in transports.items():
            http = httpx2.AsyncClient(transport=transport, base_url="http://test")
            services[name] = Client(await stack.enter_async_context(http), name)
        yield await _furnished(
            site, services, {**dict[str, Litestar](apps.items()), "gateway": site.app}, dbs, sandbox, hook
        )


async def _furnished(
    site: Site,
    services: Mapping[str, Client],
    apps: Mapping[str, Litestar],
    dbs: Mapping[str, ServiceDb],
    sandbox: RunningSandbox,
    hook: Hook,
) -> TwoClinics:
    alder, birch = await _clinic(site, "alder"), await _clinic(site, "birch")
    stripe = StripeApi(sandbox.secret_key, sandbox.url)
    owners = []
    for name, clinic in (("ann", alder), ("bob", alder), ("cat", birch)):
        client = await _client(site, clinic, name)
        issued = [await _invoice(site, clinic, client) for _ in range(2)]
        await deliver_to_all(dbs, *await outbox_events(dbs["invoice"]), but="invoice")
        payments = PaymentService(
            dbs["payment"],
            sandbox,
            hook,
            stripe,
            services["payment"],
            UUID(clinic["id"]),
            UUID(client["id"]),
        )
        payment_id = await payments.pay((UUID(issued[1]["id"]), money(PRICE)), save=True)
        await leave_credit(payments)
        refund_id = await _waiting_refund(payments, payment_id)
        owners.append(await _owner(services, clinic, client, issued, payment_id, refund_id))
        await dbs["payment"].admin.execute(
            """
            INSERT INTO disputes (clinic_id, id, client_id, payment_id, stripe_dispute_id, status, amount, currency,
                due_by, version, opened_at, updated_at, seen_at, checked_at)
            SELECT clinic_id, id, client_id, id, 'du_' || id, 'warning_needs_response', amount, currency,
                now() + interval '5 days', 1, now(), now(), now(), now()
            FROM payments WHERE id = $1
            """,
            payment_id,
        )
        for service in ("invoice", "payment"):
            await dbs[service].admin.execute(
                """
                INSERT INTO exceptions (clinic_id, id, kind, subject_id, cause, detail)
                VALUES ($1, $2, 'charge_unproved', $2, 'no_intent', '{}')
                """,
                UUID(clinic["id"]),
                UUID(issued[0]["id"]),
            )
            await _hold(dbs[service], "void" if service == "invoice" else "refund", clinic, issued[0])
    await stripe.close()
    await deliver_to_all(dbs, *await outbox_events(dbs["payment"]), but="payment")
    keys = {clinic["slug"]: await _staff_and_key(site, clinic) for clinic in (alder, birch)}
    ann, bob, cat = owners
    return TwoClinics(site, services, apps, dbs, ann, bob, cat, keys)


async def _hold(db: ServiceDb, kind: str, clinic: Any, invoice: Any) -> None:
    """An act with the invoice's id that is about nothing, and its task."""
    await db.admin.execute(
        """
        WITH task AS (
            INSERT INTO tasks (clinic_id, kind, key, due_at) VALUES ($1, 'held.' || $3, $2, now() + interval '1 day')
        )
        INSERT INTO held_acts (clinic_id, id, kind, subject_id, request, preview, preview_hash, actor, role, due_at)
        VALUES ($1, $2, $3, $4, '{}', '{"posts": {}, "shows": {}}', sha256(''), $4, 'staff', now() + interval '1 day')
        """,
        UUID(clinic["id"]),
        UUID(invoice["id"]),
        kind,
        new_id(),
    )


async def _waiting_refund(payments: PaymentService, payment_id: UUID) -> UUID:
    """A refund that another one has to approve."""
    operator = a_caller("operator", payments.clinic_id)
    await payments.api.call("PUT", "/refund-rules", operator, json={"approve_above": 0})
    made = await refund_payment(payments, payment_id, amount=1, to="credit")
    await payments.api.call("PUT", "/refund-rules", operator, json={})
    return UUID(made.json()["refunds"][0]["id"])


async def _owner(
    services: Mapping[str, Client], clinic: Any, client: Any, issued: Any, payment_id: UUID, refund_id: UUID
) -> Owner:
    caller = a_caller("client", UUID(clinic["id"]), UUID(client["id"]))
    saved = await services["payment"].call("GET", "/payment-methods", caller)
    return Owner(
        clinic_id=UUID(clinic["id"]),
        client_id=UUID(client["id"]),
        slug=clinic["slug"],
        name=client["name"],
        email=client["email"],
        invoice_id=UUID(issued[0]["id"]),
        paid_invoice_id=UUID(issued[1]["id"]),
        payment_id=payment_id,
        refund_id=refund_id,
        method_id=UUID(saved.json()["items"][0]["id"]),
    )


async def _clinic(site: Site, slug: str) -> Any:
    return await _made(site, "/clinics", clinic_body(slug=slug, name=f"Clinic {slug}"))


async def _client(site: Site, clinic: Any, name: str) -> Any:
    body = {
        "name": f"Secretive {name.title()}",
        "email": f"{name}@clients.test",
        "login": {"password": PASSWORD},
        "billing_address": {"lines": [f"Hidden Lane of {name}"], "city": "Cork", "country": "IE"},
    }
    return await _made(site, f"/clinics/{clinic['id']}/clients", body)


async def _invoice(site: Site, clinic: Any, client: Any) -> Any:
    lines = [line_body(PRICE, service=f"Treatment of {client['name']}")]
    return await _made(site, f"/clinics/{clinic['id']}/invoices", invoice_body(client["id"], lines=lines))


async def _staff_and_key(site: Site, clinic: Any) -> str:
    email = f"staff@{clinic['slug']}.test"
    await _made(site, f"/clinics/{clinic['id']}/staff", {"email": email, "password": PASSWORD})
    made = await _made(site, f"/clinics/{clinic['id']}/api-keys", {"name": f"{clinic['slug']}'s books"})
    return str(made["api_key"])


async def _made(site: Site, path: str, body: dict[str, Any]) -> Any:
    answer = await site.api("POST", path, json=body, headers={"Idempotency-Key": str(new_id())})
    assert answer.status_code == 201, answer.text
    return answer.json()
