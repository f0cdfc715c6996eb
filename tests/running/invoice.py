"""The invoice service in this process, with one clinic and one client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from services.chassis.http.auth import Caller
from services.chassis.ids import new_id
from services.invoice import app, consumers
from tests.builders.callers import a_caller
from tests.builders.clinics import clinic_body
from tests.builders.events import deliver
from tests.builders.invoices import invoice_body
from tests.running.apps import Client, calling
from tests.running.databases import ServiceDb
from tests.running.settings import invoice_settings

CLINIC = clinic_body(time_zone="UTC", least_part=50)


@dataclass(frozen=True, slots=True)
class InvoiceService:
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
        answer = await self.post_invoice(invoice_body(self.client_id, minor, **changes), caller=caller)
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

    async def change_clinic(self, **changes: Any) -> None:
        """Change the clinic's settings; the others are as they were in the beginning."""
        await put(self.http, f"/clinics/{self.clinic_id}", self.operator, CLINIC | changes)

    async def add_clinic(self, slug: str) -> tuple[UUID, UUID]:
        """Another clinic with one client: their ids."""
        clinic_id, client_id = new_id(), new_id()
        await put(self.http, f"/clinics/{clinic_id}", self.operator, CLINIC | {"slug": slug})
        await add_client(self.http, client_id, a_caller("staff", clinic_id))
        return clinic_id, client_id


@asynccontextmanager
async def an_invoice_service(db: ServiceDb) -> AsyncIterator[InvoiceService]:
    async with calling(app.api(invoice_settings(db.api_dsn)), "invoice") as http:
        clinic_id, client_id = new_id(), new_id()
        world = InvoiceService(
            http, db, clinic_id, client_id, a_caller("staff", clinic_id), a_caller("operator", clinic_id)
        )
        await put(http, f"/clinics/{clinic_id}", world.operator, CLINIC)
        await add_client(http, client_id, world.staff)
        yield world


async def put(http: Client, path: str, caller: Caller, body: dict[str, Any]) -> Any:
    answer = await http.call("PUT", path, caller, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def add_client(
    http: Client, client_id: UUID, caller: Caller, name: str = "Ada Nolan", **more: Any
) -> None:
    answer = await http.call("POST", f"/clients/{client_id}", caller, json={"name": name, **more})
    assert answer.status_code == 201, answer.text
