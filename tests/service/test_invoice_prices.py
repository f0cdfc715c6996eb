"""Prices with tax, discounts, lines that take off, two taxes, exemptions and totals of zero, on a real database."""

from collections.abc import AsyncIterator
from random import Random
from typing import Any

import asyncpg
import pytest

from contracts.events.invoice import InvoiceCreated
from services.invoice.invoices import reemit
from tests.builders.clinics import TAX_RATES
from tests.builders.events import outbox_events
from tests.builders.invoices import due_in, invoice_body, line_body
from tests.running.databases import ServiceDb
from tests.running.invoice import CLINIC, InvoiceService, an_invoice_service, put

RATES = [
    *TAX_RATES,
    {"code": "GST", "name": "GST", "percent": "5"},
    {"code": "PST", "name": "PST", "percent": "7.375"},
    {
        "code": "MED",
        "name": "VAT",
        "percent": "0",
        "category": "E",
        "exemption_code": "VATEX-EU-132-1C",
        "exemption_text": "Medical care",
    },
]


@pytest.fixture
async def world(db_invoice: ServiceDb) -> AsyncIterator[InvoiceService]:
    async with an_invoice_service(db_invoice) as made:
        await put(made.http, f"/clinics/{made.clinic_id}", made.operator, CLINIC | {"tax_rates": RATES})
        yield made


def two_taxes(minor: int, **changes: Any) -> dict[str, Any]:
    body = line_body(minor, tax_codes=["GST", "PST"], **changes)
    del body["tax_code"]
    return body


async def test_gross_prices_are_met_to_the_cent(world: InvoiceService) -> None:
    lines = [line_body(999, tax_code="STD")] * 3
    invoice = await world.issue(lines=lines, prices="gross")

    assert (invoice["prices"], invoice["total"]["minor"]) == ("gross", 2997)
    assert (invoice["subtotal"]["minor"], invoice["taxes"][0]["tax"]["minor"]) == (2437, 560)
    assert [line["amount"]["minor"] for line in invoice["lines"]] == [999, 999, 999]
    assert await world.get(f"/invoices/{invoice['id']}") == invoice


async def test_a_clinic_prices_with_tax_unless_an_invoice_says_otherwise(world: InvoiceService) -> None:
    path = f"/clinics/{world.clinic_id}"
    clinic = await put(world.http, path, world.operator, CLINIC | {"tax_rates": RATES, "prices": "gross"})
    lines = [line_body(12_300, tax_code="STD")]

    assert clinic["prices"] == "gross"
    assert (await world.issue(lines=lines))["total"]["minor"] == 12_300
    assert (await world.issue(lines=lines, prices="net"))["total"]["minor"] == 15_129


async def test_discounts_are_shown_as_they_were_given(world: InvoiceService) -> None:
    lines = [
        line_body(10_000, tax_code="STD", discount={"percent": "12.5", "reason": "Student"}),
        line_body(4_000, tax_code="MED", discount={"amount": {"minor": 500, "currency": "EUR"}}),
        line_body(1_000, tax_code="STD", quantity="-1", service="Deposit"),
    ]
    invoice = await world.issue(lines=lines, discount={"percent": "10", "reason": "Family"})

    assert invoice["discount"] == {
        "amount": {"minor": 1_125, "currency": "EUR"},
        "percent": "10",
        "reason": "Family",
    }
    assert [line["discount"] for line in invoice["lines"]] == [
        {"amount": {"minor": 1_250, "currency": "EUR"}, "percent": "12.5", "reason": "Student"},
        {"amount": {"minor": 500, "currency": "EUR"}, "percent": None, "reason": ""},
        None,
    ]
    assert [line["amount"]["minor"] for line in invoice["lines"]] == [8_750, 3_500, -1_000]
    assert sum(line["invoice_discount"]["minor"] for line in invoice["lines"][:2]) == 1_125
    assert invoice["lines"][2]["invoice_discount"] is None
    assert [(tax["category"], tax["exemption_code"], tax["exemption_text"]) for tax in invoice["taxes"]] == [
        ("S", "", ""),
        ("E", "VATEX-EU-132-1C", "Medical care"),
    ]
    assert await world.get(f"/invoices/{invoice['id']}") == invoice


async def test_two_taxes_on_one_line(world: InvoiceService) -> None:
    invoice = await world.issue(lines=[two_taxes(10_000), line_body(2_000, tax_code="GST")])

    assert [(tax["code"], tax["base"]["minor"], tax["tax"]["minor"]) for tax in invoice["taxes"]] == [
        ("GST", 12_000, 600),
        ("PST", 10_000, 738),
    ]
    [line, _] = invoice["lines"]
    assert [(tax["code"], tax["tax"]["minor"]) for tax in line["taxes"]] == [("GST", 500), ("PST", 738)]
    assert (line["tax_code"], line["tax_percent"], line["tax"]["minor"]) == ("GST", "5", 1_238)
    assert await world.get(f"/invoices/{invoice['id']}") == invoice


@pytest.mark.parametrize(
    "changes",
    [
        {"lines": [line_body(0)]},
        {"lines": [line_body(5_000), line_body(5_000, quantity="-1")]},
        {"discount": {"percent": "100"}},
        {"lines": [line_body(4, currency="KWD")], "currency": "KWD"},
        {"lines": [line_body(0)], "issued_on": due_in(-2), "due_on": due_in(-1)},
    ],
)
async def test_a_total_of_zero_is_issued_as_paid(world: InvoiceService, changes: dict[str, Any]) -> None:
    invoice = await world.issue(**changes)

    assert (invoice["status"], invoice["total"]["minor"], invoice["due"]["minor"]) == ("paid", 0, 0)
    assert (invoice["methods"], invoice["online_charge"], invoice["movements"]) == ([], None, [])
    assert not invoice["overdue"]
    assert await world.get(f"/invoices/{invoice['id']}") == invoice
    [event] = [each for each in await outbox_events(world.db) if isinstance(each, InvoiceCreated)]
    assert (event.status, event.due.minor) == ("paid", 0)
    assert (await world.get("/summary", world.client))["unpaid_count"] == 0
    [row] = await world.db.admin.fetch(reemit.SOURCE.sql, event.time)
    assert [each.encode() for each in reemit.invoice_events(row)] == [event.encode()]


async def test_an_invoice_has_up_to_500_lines(world: InvoiceService) -> None:
    lines = [line_body(at, tax_code="STD") for at in range(500)]
    invoice = await world.issue(lines=lines)
    refused = await world.post_invoice(invoice_body(world.client_id, lines=[*lines, lines[0]]))

    assert (len(invoice["lines"]), invoice["subtotal"]["minor"]) == (500, sum(range(500)))
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_lines")


async def test_the_database_takes_whatever_adds_up(world: InvoiceService) -> None:
    """A constraint that is narrower than the rule of `totals` would refuse a good invoice."""
    random = Random(20_261_129)
    for _ in range(40):
        lines = [_any_line(random) for _ in range(random.randint(1, 12))]
        lines.append(line_body(10**9, tax_code="STD"))
        changes: dict[str, Any] = {"lines": lines, "prices": random.choice(["net", "gross"])}
        if random.random() < 0.5:
            changes["discount"] = {"percent": f"{random.randint(0, 100_000) / 1000:.3f}"}
        invoice = await world.issue(**changes)
        assert await world.get(f"/invoices/{invoice['id']}") == invoice


def _any_line(random: Random) -> dict[str, Any]:
    minor = random.choice([random.randint(0, 30), random.randint(0, 10**6)])
    quantity = random.choice(["1", "-1", "0.333", "-2.5", "17.001"])
    line = random.choice([two_taxes(minor), line_body(minor, tax_code=random.choice(RATES)["code"])])
    if random.random() < 0.4:
        line["discount"] = {"percent": f"{random.randint(0, 100_000) / 1000:.3f}"}
    return line | {"quantity": quantity}


@pytest.mark.parametrize(
    "change",
    [
        "net_amount = net_amount + 1",
        "tax_amount = tax_amount + 2",
        "second_tax_amount = second_tax_amount - 2",
        "second_tax_amount = NULL",
        "discount_amount = -1",
        "invoice_discount_amount = 1",
        "discount_amount = 20000",
        "quantity = 0",
        "tax_category = 'K'",
        "position = 501",
    ],
)
async def test_the_database_itself_refuses_a_line_that_does_not_add_up(
    world: InvoiceService, change: str
) -> None:
    await world.issue(lines=[two_taxes(10_000)])

    with pytest.raises(asyncpg.CheckViolationError):
        await world.db.admin.execute(f"UPDATE invoice_lines SET {change}")
