"""The invoice service with a clinic and a client in it, for tests that call it as people do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from contracts.events import event_id
from contracts.money import Money
from contracts.payment import PaymentCanceled, PaymentFailed, PaymentProcessing, PaymentState, Share
from services.chassis.http.auth import Caller
from services.chassis.ids import new_id
from services.invoice import app, consumers
from services.invoice.settings import Settings
from tests.builders.callers import PUBLIC_KEY, a_caller
from tests.builders.events import deliver
from tests.running.apps import Client, calling
from tests.running.databases import ServiceDb

CLINIC: dict[str, Any] = {
    "slug": "harbour",
    "name": "Harbour Clinic",
    "currency": "EUR",
    "time_zone": "UTC",
    "tax_rates": [
        {"code": "STD", "name": "VAT", "percent": "23"},
        {"code": "NONE", "name": "Exempt", "percent": "0"},
    ],
}


@dataclass(frozen=True, slots=True)
class World:
    """A clinic with one client. `http` calls the service, `db` is its database."""

    http: Client
    db: ServiceDb
    clinic_id: UUID
    client_id: UUID
    staff: Caller
    operator: Caller

    @property
    def client(self) -> Caller:
        return a_caller("client", self.clinic_id, self.client_id)

    async def issue(self, minor: int = 12_500, *, caller: Caller | None = None, **changes: Any) -> Any:
        """A new invoice over this sum, as the service shows it."""
        answer = await self.post_invoice(an_invoice(self.client_id, minor, **changes), caller=caller)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def post_invoice(
        self, body: dict[str, Any], *, key: str | None = None, caller: Caller | None = None
    ) -> Any:
        headers = {"Idempotency-Key": key or str(new_id())}
        return await self.http.call("POST", "/invoices", caller or self.staff, json=body, headers=headers)

    async def get(self, path: str, caller: Caller | None = None) -> Any:
        """The answer's JSON; it must be 200."""
        answer = await self.http.call("GET", path, caller or self.staff)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def deliver(self, *events: Any) -> None:
        """Hand events to the service's real consumers, as one batch."""
        await deliver(self.db.worker, consumers, *events)

    async def add_clinic(self, slug: str) -> tuple[UUID, UUID]:
        """Another clinic with one client: their ids."""
        clinic_id, client_id = new_id(), new_id()
        await put(self.http, f"/clinics/{clinic_id}", self.operator, CLINIC | {"slug": slug})
        await add_client(self.http, client_id, a_caller("staff", clinic_id))
        return clinic_id, client_id


def an_invoice(
    client_id: UUID, minor: int = 12_500, *, currency: str = "EUR", **changes: Any
) -> dict[str, Any]:
    """The body of a request for an invoice with one line that bears no tax."""
    line = {
        "service": "Physiotherapy",
        "practitioner": "A. Byrne",
        "unit_price": {"minor": minor, "currency": currency},
        "tax_code": "NONE",
    }
    due_on = (datetime.now(UTC) + timedelta(days=14)).date().isoformat()
    return {"client_id": str(client_id), "due_on": due_on, "currency": currency, "lines": [line]} | changes


def settings(db: ServiceDb) -> Settings:
    return Settings(
        http_port=1,
        kafka_bootstrap_servers="127.0.0.1:1",
        database_url=db.api_dsn,
        internal_token_public_key=PUBLIC_KEY,
    )


@asynccontextmanager
async def a_world(db: ServiceDb) -> AsyncIterator[World]:
    async with calling(app.api(settings(db)), "invoice") as http:
        clinic_id, client_id = new_id(), new_id()
        world = World(
            http, db, clinic_id, client_id, a_caller("staff", clinic_id), a_caller("operator", clinic_id)
        )
        await put(http, f"/clinics/{clinic_id}", world.operator, CLINIC)
        await add_client(http, client_id, world.staff)
        yield world


async def put(http: Client, path: str, caller: Caller, body: dict[str, Any]) -> Any:
    answer = await http.call("PUT", path, caller, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def add_client(http: Client, client_id: UUID, caller: Caller, name: str = "Ada Nolan") -> None:
    answer = await http.call("POST", f"/clients/{client_id}", caller, json={"name": name})
    assert answer.status_code == 201, answer.text


def a_payment(
    status: str, version: int, clinic_id: UUID, *invoice_ids: UUID, payment_id: UUID, minor: int = 12_500
) -> PaymentState:
    """A state event of a payment over these invoices."""
    kinds: dict[str, type[PaymentState]] = {
        "processing": PaymentProcessing,
        "failed": PaymentFailed,
        "canceled": PaymentCanceled,
    }
    now = datetime.now(UTC)
    amount = Money(minor=minor, currency="EUR")
    return kinds[status].model_validate(
        {
            "id": event_id(now, status, payment_id, version),
            "time": now,
            "clinic_id": clinic_id,
            "version": version,
            "payment_id": payment_id,
            "client_id": new_id(),
            "status": status,
            "amount": amount,
            "invoices": tuple(Share(invoice_id=invoice_id, amount=amount) for invoice_id in invoice_ids),
        }
    )
