"""Money that is recorded for an invoice issued a moment ago pays that invoice: it waits for payment to know it."""

from typing import Any

import pytest

from services.chassis.ids import new_id
from tests.builders.events import carry
from tests.builders.invoices import taxed_invoice_body
from tests.running.databases import ServiceDb
from tests.running.gateway import Site, create_client, create_clinic


class Desk:
    """Someone who issues an invoice to a new client and takes the money while the client waits."""

    def __init__(self, site: Site, db_invoice: ServiceDb, db_payment: ServiceDb) -> None:
        self.site = site
        self.dbs = {"invoice": db_invoice, "payment": db_payment}

    async def open(self) -> None:
        clinic = await create_clinic(self.site)
        self.client = await create_client(self.site, clinic)
        self.at = f"/clinics/{clinic['id']}"

    async def post(self, path: str, key: str | None = None, **body: Any) -> Any:
        headers = {"Idempotency-Key": key or str(new_id())}
        return await self.site.api("POST", f"{self.at}/{path}", json=body, headers=headers)

    async def issue(self) -> Any:
        return (await self.post("invoices", **taxed_invoice_body(self.client))).json()

    async def take(self, amount: int, key: str | None = None, **body: Any) -> Any:
        asked = {"client_id": self.client["id"], "kind": "cash", "amount": amount, "currency": "EUR", **body}
        return await self.post("payments", key, **asked)

    async def carry(self) -> None:
        await carry(self.dbs)

    async def credit(self) -> int:
        found = await self.dbs["payment"].admin.fetchval(
            "SELECT coalesce(sum(amount), 0) FROM credit_balances"
        )
        return int(found)

    async def paid(self, invoice: Any) -> bool:
        answer = await self.site.api("GET", f"{self.at}/invoices/{invoice['id']}")
        return bool(answer.json()["status"] == "paid")


@pytest.fixture
async def desk(site: Site, db_invoice: ServiceDb, db_payment: ServiceDb) -> Desk:
    made = Desk(site, db_invoice, db_payment)
    await made.open()
    return made


@pytest.mark.parametrize("named", [True, False], ids=["named", "due first"])
@pytest.mark.parametrize("first", [True, False], ids=["first invoice", "another before"])
async def test_cash_for_a_new_invoice_waits_until_payment_knows_it(
    desk: Desk, named: bool, first: bool
) -> None:
    if not first:
        before = await desk.issue()
        await desk.carry()
        await desk.take(before["due"]["minor"])
    invoice = await desk.issue()
    due = invoice["due"]["minor"]
    body = {"invoices": [{"invoice_id": invoice["id"], "amount": due}]} if named else {}

    early = await desk.take(due, "till", **body)
    await desk.carry()
    late = await desk.take(due, "till", **body)
    await desk.carry()

    assert (early.status_code, early.json()["code"]) == (503, "payable_unknown"), early.text
    assert early.headers["Retry-After"]
    assert late.status_code == 201, late.text
    assert await desk.paid(invoice)
    assert await desk.credit() == 0


async def test_credit_waits_for_a_new_invoice_too(desk: Desk) -> None:
    invoice = await desk.issue()
    await desk.carry()
    await desk.take(2 * invoice["due"]["minor"])
    await desk.carry()
    newer = await desk.issue()
    asked = {"client_id": desk.client["id"], "currency": "EUR"}

    early = await desk.post("credit-uses", "use", **asked)
    await desk.carry()
    late = await desk.post("credit-uses", "use", **asked)
    await desk.carry()

    assert (early.status_code, early.json()["code"]) == (503, "payable_unknown"), early.text
    assert late.status_code == 201, late.text
    assert await desk.paid(newer)
    assert await desk.credit() == 0


async def test_an_invoice_that_never_was_is_not_waited_for(desk: Desk) -> None:
    await desk.issue()
    await desk.carry()

    answer = await desk.take(
        1_000, invoices=[{"invoice_id": "00000000-0000-4000-8000-000000000007", "amount": 1_000}]
    )

    assert (answer.status_code, answer.json()["code"]) == (404, "payable_not_found")
