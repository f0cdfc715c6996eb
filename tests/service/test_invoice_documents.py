"""Void, credit notes, write-offs and corrections over HTTP, on a real database."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from contracts.events.invoice import InvoiceCreated, InvoiceCredited, InvoiceOverdue, InvoiceState
from contracts.events.payment import PaymentProcessing
from services.chassis.ids import new_id
from services.invoice.checks import Price
from services.invoice.documents import actions
from services.invoice.documents.domain import CreditRequest
from services.invoice.invoices.actions import announce_overdue
from tests.builders.events import outbox_events
from tests.builders.invoices import invoice_body, line_body
from tests.builders.payments import a_payment, a_settlement
from tests.builders.values import eur, money
from tests.running.databases import ServiceDb
from tests.running.invoice import InvoiceService, an_invoice_service


@pytest.fixture
async def world(db_invoice: ServiceDb) -> AsyncIterator[InvoiceService]:
    async with an_invoice_service(db_invoice) as made:
        yield made


async def act(
    world: InvoiceService, invoice: Any, verb: str, /, *, key: str | None = None, **body: Any
) -> Any:
    """The answer to a correction; its reason is `wrong_amount` unless told otherwise."""
    return await world.http.call(
        "POST",
        f"/invoices/{invoice['id']}/{verb}",
        world.staff,
        json={"reason": "wrong_amount"} | body,
        headers={"Idempotency-Key": key or str(new_id())},
    )


async def done(world: InvoiceService, invoice: Any, verb: str, /, **body: Any) -> Any:
    answer = await act(world, invoice, verb, **body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def refused(world: InvoiceService, invoice: Any, verb: str, /, **body: Any) -> Any:
    """The problem of a refused correction, which changed nothing."""
    before = await counted(world.db)
    answer = await act(world, invoice, verb, **body)
    assert answer.status_code in (404, 409, 422), answer.text
    assert await counted(world.db) == before
    return answer.json()


async def counted(db: ServiceDb) -> list[Any]:
    tables = (
        *(
            "invoice_documents",
            "invoice_document_taxes",
            "credit_note_counters",
            "invoice_counters",
            "outbox",
        ),
        *("idempotency_keys", "audit"),
    )
    rows = " UNION ALL ".join(f"SELECT '{table}', count(*) FROM {table}" for table in tables)
    versions = await db.admin.fetch("SELECT version, status FROM invoices ORDER BY id")
    return [*map(tuple, await db.admin.fetch(rows)), *map(tuple, versions)]


async def taxed(world: InvoiceService) -> Any:
    """€100.00 at 23 % in three parts, and €10.00 without tax: €133.00."""
    lines = [
        line_body(3_333, tax_code="STD", quantity="3"),
        line_body(1, tax_code="STD"),
        line_body(1_000),
    ]
    answer = await world.post_invoice(invoice_body(world.client_id, lines=lines))
    assert answer.json()["total"]["minor"] == 13_300
    return answer.json()


async def pay(world: InvoiceService, invoice: Any, minor: int) -> None:
    await world.deliver(a_settlement(world.clinic_id, UUID(invoice["id"]), money(minor)))


async def newest(world: InvoiceService, invoice: Any) -> InvoiceState:
    events = [e for e in await outbox_events(world.db) if isinstance(e, InvoiceState)]
    return max((e for e in events if str(e.invoice_id) == invoice["id"]), key=lambda e: e.version)


async def test_an_unpaid_invoice_is_voided(world: InvoiceService) -> None:
    invoice = await taxed(world)
    made = await done(world, invoice, "void", reason="duplicate")
    shown = await world.get(f"/invoices/{invoice['id']}", world.client)

    assert made["invoice"] == shown
    assert (shown["status"], shown["due"]["minor"], shown["methods"]) == ("void", 0, [])
    [document] = shown["documents"]
    assert document == made["document"]
    assert (document["kind"], document["number"], document["total"]["minor"]) == ("void", None, 13_300)
    event = await newest(world, invoice)
    assert (event.version, event.status, event.due_before_payments) == (2, "void", money(0))
    [audited] = await world.db.admin.fetch("SELECT * FROM audit WHERE action = 'void_invoice'")
    assert (audited["subject_id"], audited["actor"]) == (UUID(document["id"]), world.staff.subject)


async def test_an_invoice_over_nothing_is_voided_with_its_taxes(world: InvoiceService) -> None:
    invoice = (
        await world.post_invoice(invoice_body(world.client_id, lines=[line_body(0, tax_code="STD")]))
    ).json()
    made = (await done(world, invoice, "void", reason="duplicate"))["document"]

    assert [(each["code"], each["base"]["minor"]) for each in made["taxes"]] == [("STD", 0)]


async def test_what_was_paid_is_credited_not_voided(world: InvoiceService) -> None:
    paid, processing, void, credited = [await world.issue() for _ in range(4)]
    await pay(world, paid, 12_500)
    on_its_way = a_payment(PaymentProcessing, world.clinic_id, (UUID(processing["id"]), eur(125)))
    await world.deliver(on_its_way)
    await done(world, void, "void")
    await done(world, credited, "credit-notes", amount=euros(100))

    problem = await refused(world, paid, "void")
    assert (problem["code"], problem["instead"]) == ("invoice_already_paid", "credit_note")
    assert (await refused(world, processing, "void"))["code"] == "payment_processing"
    assert (await refused(world, processing, "write-off", reason="goodwill"))["code"] == "payment_processing"
    assert (await refused(world, void, "void"))["code"] == "invoice_void"
    assert (await refused(world, void, "credit-notes"))["code"] == "invoice_void"
    assert (await refused(world, credited, "void"))["code"] == "invoice_already_corrected"
    assert (await refused(world, {"id": new_id()}, "void"))["code"] == "invoice_not_found"


def euros(minor: int) -> dict[str, Any]:
    return {"minor": minor, "currency": "EUR"}


async def test_credit_notes_by_line_sum_and_rest_make_up_the_invoice(world: InvoiceService) -> None:
    invoice = await taxed(world)
    by_line = await done(world, invoice, "credit-notes", lines=[{"position": 1, "quantity": "1"}])
    by_sum = await done(world, invoice, "credit-notes", amount=euros(400), tax_code="NONE", reason="goodwill")
    rest = await done(world, invoice, "credit-notes")
    numbers = [each["document"]["number"] for each in (by_line, by_sum, rest)]
    year = numbers[0].split("-")[1]

    assert numbers == [f"CN-{year}-00000{at}" for at in (1, 2, 3)]
    assert (by_line["document"]["net"]["minor"], by_line["document"]["tax"]["minor"]) == (3_333, 767)
    assert by_line["document"]["lines"][0]["quantity"] == "1"
    assert by_line["invoice"]["due"]["minor"] == 13_300 - 4_100
    shown = rest["invoice"]
    assert (shown["status"], shown["due"]["minor"], shown["credited"]["minor"]) == ("credited", 0, 13_300)
    for tax in shown["taxes"]:
        parts = [each for d in shown["documents"] for each in d["taxes"] if each["code"] == tax["code"]]
        for sum_of in ("base", "tax"):
            assert sum(part[sum_of]["minor"] for part in parts) == tax[sum_of]["minor"]
    assert (await refused(world, invoice, "credit-notes"))["code"] == "nothing_left_to_credit"


async def test_no_credit_is_above_what_is_left(world: InvoiceService) -> None:
    invoice = await taxed(world)
    lines = [{"position": 1, "quantity": "3.001"}]

    assert (await refused(world, invoice, "credit-notes", lines=lines))["left"] == "3"
    above = await refused(world, invoice, "credit-notes", amount=euros(1001), tax_code="NONE")
    assert (above["code"], above["left"]) == ("credit_too_large", 1_000)
    await done(world, invoice, "credit-notes", amount=euros(10000), tax_code="STD")
    by_line = await refused(world, invoice, "credit-notes", lines=[{"position": 1}])
    assert (by_line["code"], by_line["left"]) == ("credit_too_large", 2_300)
    unclear = await refused(world, invoice, "credit-notes", amount=euros(100))
    assert (unclear["code"], unclear["field"]) == ("invalid_credit", "tax_code")
    assert (await refused(world, invoice, "credit-notes", reason="other"))["code"] == "explanation_needed"
    nowhere = await refused(world, invoice, "credit-notes", lines=[{"position": 4}])
    assert (nowhere["code"], nowhere["field"]) == ("line_not_found", "lines.0.position")


async def test_a_credit_note_rounds_what_it_leaves(world: InvoiceService) -> None:
    """Ariary are charged in hundreds: 250 are 300, of which the second line alone is 100."""
    lines = [line_body(101, currency="MGA"), line_body(149, currency="MGA")]
    invoice = (await world.post_invoice(invoice_body(world.client_id, currency="MGA", lines=lines))).json()
    first = await done(world, invoice, "credit-notes", lines=[{"position": 1}])
    rest = await done(world, invoice, "credit-notes")

    sums = [
        tuple(made["document"][name]["minor"] for name in ("net", "rounding", "total"))
        for made in (first, rest)
    ]
    assert sums == [(101, 99, 200), (149, -49, 100)]
    assert rest["invoice"]["status"] == "credited"


@pytest.mark.parametrize("prices", ["net", "gross"])
async def test_one_of_two_is_credited_at_its_price_to_the_cent(world: InvoiceService, prices: str) -> None:
    """Net and tax of both are odd numbers of cents: half of each, rounded by itself, would be a cent too much."""
    lines = [line_body(1_003, tax_code="STD", quantity="2")]
    invoice = (await world.post_invoice(invoice_body(world.client_id, lines=lines, prices=prices))).json()
    one, other = [
        (await done(world, invoice, "credit-notes", lines=[{"position": 1, "quantity": "1"}]))["document"]
        for _ in range(2)
    ]

    price = "net" if prices == "net" else "total"
    assert (one[price]["minor"], other[price]["minor"]) == (1_003, 1_003)
    assert one["total"]["minor"] + other["total"]["minor"] == invoice["total"]["minor"]


async def test_lines_that_others_take_off_from_are_not_credited_alone(world: InvoiceService) -> None:
    lines = [line_body(10_000, tax_code="STD"), line_body(4_000, quantity="-1", service="Deposit")]
    invoice = (await world.post_invoice(invoice_body(world.client_id, lines=lines))).json()
    assert invoice["total"]["minor"] == 8_300

    above = await refused(world, invoice, "credit-notes", lines=[{"position": 1}])
    both = await done(world, invoice, "credit-notes", lines=[{"position": 1}, {"position": 2}])

    assert (above["code"], above["left"]) == ("credit_too_large", 8_300)
    assert (both["document"]["total"]["minor"], both["document"]["rounding"]) == (8_300, None)


async def test_a_credit_note_after_payment_closes_the_invoice(world: InvoiceService) -> None:
    invoice = await world.issue()
    await pay(world, invoice, 10_000)
    made = await done(world, invoice, "credit-notes", amount=euros(5000), reason="goodwill")

    assert (made["invoice"]["status"], made["invoice"]["due"]["minor"]) == ("paid", 0)
    assert (await newest(world, invoice)).due_before_payments == eur(75)


async def test_a_write_off_takes_what_is_due_and_no_more(world: InvoiceService) -> None:
    invoice = await world.issue()
    await pay(world, invoice, 10_000)
    above = await refused(world, invoice, "write-off", reason="uncollectible", amount=euros(2501))
    made = await done(world, invoice, "write-off", reason="uncollectible")

    assert (above["code"], above["left"]) == ("write_off_too_large", 2_500)
    assert (made["invoice"]["status"], made["invoice"]["written_off"]["minor"]) == ("paid", 2_500)
    assert (await refused(world, invoice, "write-off", reason="uncollectible"))["code"] == "nothing_due"
    unpaid = await done(world, await world.issue(), "write-off", reason="small_amount")
    assert unpaid["invoice"]["status"] == "written_off"


async def test_a_preview_is_what_is_made_and_changes_nothing(world: InvoiceService) -> None:
    invoice = await taxed(world)
    request = CreditRequest(reason="goodwill", amount=Price(1_000, "EUR"), tax_codes=("STD",))
    before = await counted(world.db)
    async with world.db.api.tx(world.clinic_id) as tx:
        planned = await actions.preview_document(tx, world.clinic_id, UUID(invoice["id"]), request)
    made = await done(world, invoice, "credit-notes", reason="goodwill", amount=euros(1_000), tax_code="STD")

    plan = planned.plan
    assert (plan.net, plan.tax, plan.total) == tuple(
        made["document"][name]["minor"] for name in ("net", "tax", "total")
    )
    assert (await counted(world.db))[-1] != before[-1]


async def test_a_correction_replaces_the_invoice(world: InvoiceService) -> None:
    invoice = await world.issue()
    body = {"reason": "wrong_service", "invoice": invoice_body(world.client_id, 9_900)}
    made = await done(world, invoice, "correct", **body)
    new = made["new_invoice"]

    assert (made["invoice"]["status"], new["status"], new["total"]["minor"]) == ("credited", "unpaid", 9_900)
    assert made["document"]["new_invoice"] == {"id": new["id"], "number": new["number"]}
    assert new["corrects"] == {"id": invoice["id"], "number": invoice["number"]}
    assert made["invoice"]["documents"][0]["new_invoice"]["id"] == new["id"]
    assert new == await world.get(f"/invoices/{new['id']}", world.client)
    bad = {"invoice": invoice_body(world.client_id, 9_900, due_on="2001-01-01")}
    assert (await refused(world, new, "correct", **bad))["code"] == "invalid_due_date"
    assert (await refused(world, invoice, "correct", **body))["code"] == "nothing_left_to_credit"


async def test_what_is_wrong_with_the_invoice_of_a_correction_is_named_in_the_request(
    world: InvoiceService,
) -> None:
    invoice = await world.issue()
    taken = await world.issue(external_id="visit-1")
    bad = invoice_body(world.client_id, 9_900, due_on="2001-01-01", note="x" * 2001)

    fields = await refused(world, invoice, "correct", reason="wrong_amount", invoice=bad)
    there = {**invoice_body(world.client_id, 9_900), "external_id": taken["external_id"]}
    known = await refused(world, invoice, "correct", reason="wrong_amount", invoice=there)

    assert [each["pointer"] for each in fields["errors"]] == ["/invoice/due_on", "/invoice/note"]
    assert fields["field"] == "invoice.due_on"
    assert (known["code"], known["field"]) == ("external_id_taken", "invoice.external_id")


async def test_the_same_key_has_the_first_answer_and_is_for_one_invoice(world: InvoiceService) -> None:
    first, other = await world.issue(), await world.issue()
    made = await act(world, first, "credit-notes", key="k")
    again = await act(world, first, "credit-notes", key="k")

    assert (again.status_code, again.json()) == (201, made.json())
    for invoice, verb in ((other, "credit-notes"), (first, "void")):
        assert (await refused(world, invoice, verb, key="k"))["code"] == "idempotency_key_reused"


async def test_credit_notes_at_the_same_time_are_numbered_without_a_gap(world: InvoiceService) -> None:
    invoice, other = await world.issue(), await world.issue()
    answers = await asyncio.gather(
        *(act(world, invoice, "credit-notes", amount=euros(5000)) for _ in range(3)),
        *(act(world, other, "credit-notes", amount=euros(500)) for _ in range(3)),
    )
    made = [answer.json()["document"]["number"][-6:] for answer in answers if answer.status_code == 201]

    assert sorted(made) == [f"{at:06}" for at in range(1, 6)]
    assert [a.json()["code"] for a in answers if a.status_code != 201] == ["credit_too_large"]


async def test_no_sum_changes_without_its_document(world: InvoiceService) -> None:
    invoice = await world.issue()
    for change in ("credited_amount = 1", "written_off_amount = 1", "status = 'void', paid_at = NULL"):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await world.db.admin.execute(f"UPDATE invoices SET {change} WHERE id = $1", UUID(invoice["id"]))
    await done(world, invoice, "credit-notes", amount=euros(100))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with world.db.api.tx(world.clinic_id) as tx:
            await tx.execute("UPDATE invoice_documents SET total_amount = 1")


async def test_a_client_corrects_nothing(world: InvoiceService) -> None:
    invoice = await world.issue()
    for verb in ("void", "credit-notes", "write-off", "correct"):
        answer = await world.http.call("POST", f"/invoices/{invoice['id']}/{verb}", world.client, json={})
        assert answer.status_code == 403


async def test_the_event_carries_the_document_with_net_and_tax_of_each_rate(world: InvoiceService) -> None:
    invoice = await taxed(world)
    made = await done(world, invoice, "credit-notes", lines=[{"position": 1, "quantity": "1"}])
    event = await newest(world, invoice)

    assert isinstance(event, InvoiceCredited)
    assert (str(event.document.id), event.document.number) == (
        made["document"]["id"],
        made["document"]["number"],
    )
    assert [(each.code, each.net, each.tax) for each in event.document.taxes] == [
        ("STD", money(3_333), money(767))
    ]
    assert (event.version, event.due) == (2, money(9_200))
    [created] = [e for e in await outbox_events(world.db) if isinstance(e, InvoiceCreated)]
    assert created.sums is not None
    assert [(each.code, each.net, each.tax) for each in created.sums.taxes] == [
        ("STD", money(10_000), money(2_300)),
        ("NONE", money(1_000), money(0)),
    ]


async def overdue(world: InvoiceService) -> list[str]:
    await announce_overdue(world.db.worker)
    return [str(e.invoice_id) for e in await outbox_events(world.db) if isinstance(e, InvoiceOverdue)]


async def test_an_invoice_becomes_overdue_once_by_the_clinics_calendar(world: InvoiceService) -> None:
    late, due_today, processing, paid, checked = [await world.issue() for _ in range(5)]
    zone = "Pacific/Kiritimati"  # 14 hours ahead
    await world.db.admin.execute(
        "UPDATE invoices SET time_zone = $1, issued_on = '2026-01-01', "
        "due_on = (app_now() AT TIME ZONE $1)::date - (id <> $2)::int",
        zone,
        UUID(due_today["id"]),
    )
    await pay(world, paid, 12_500)
    on_its_way = a_payment(PaymentProcessing, world.clinic_id, (UUID(processing["id"]), eur(125)))
    await world.deliver(on_its_way)
    await world.db.admin.execute(
        "UPDATE invoices SET being_checked = true WHERE id = $1", UUID(checked["id"])
    )

    assert await overdue(world) == [late["id"]]
    assert await overdue(world) == [late["id"]]
    event = await newest(world, late)
    assert (event.version, event.status) == (2, "unpaid")
    assert (await world.get(f"/invoices/{late['id']}"))["version"] == 2
