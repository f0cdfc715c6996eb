"""Billing History, who sees what, and how the database finds it."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from contracts.events.payment import PaymentProcessing
from services.chassis.ids import new_id
from services.invoice.invoices import reads as store_reads
from services.invoice.invoices.reads import StatusFilter
from services.invoice.paging import Place
from tests.builders.callers import a_caller
from tests.builders.invoices import invoice_body, line_body
from tests.builders.payments import a_payment, a_settlement
from tests.builders.values import eur, money
from tests.running.databases import ServiceDb
from tests.running.invoice import InvoiceService, add_client, an_invoice_service

TODAY = datetime.now(UTC).date()


@pytest.fixture
async def world(db_invoice: ServiceDb) -> AsyncIterator[InvoiceService]:
    async with an_invoice_service(db_invoice) as made:
        yield made


async def pay(world: InvoiceService, invoice: Any, minor: int = 12_500) -> None:
    await world.deliver(a_settlement(world.clinic_id, UUID(invoice["id"]), money(minor)))


async def pages(world: InvoiceService, path: str) -> list[Any]:
    """All items of a list, page by page."""
    items: list[Any] = []
    cursor = ""
    while True:
        page = await world.get(path + cursor)
        items += page["items"]
        if page["next"] is None:
            return items
        cursor = f"&cursor={page['next']}"


async def test_history_is_newest_first_and_complete_over_its_pages(world: InvoiceService) -> None:
    """Many on one day, so that the day alone would not say where a page begins."""
    days = [TODAY - timedelta(days=at % 3) for at in range(13)]
    issued = [await world.issue(issued_on=day.isoformat()) for day in days]

    for limit in (1, 4, 13, 100):
        shown = await pages(world, f"/invoices?limit={limit}")
        assert [each["id"] for each in shown] == [
            each["id"] for each in sorted(issued, key=lambda i: (i["issued_on"], i["id"]), reverse=True)
        ]


async def test_a_list_is_read_backwards_too(world: InvoiceService) -> None:
    """Each page leads to the one before it, whose rows are the same as on the way there."""
    for at in range(7):
        await world.issue(issued_on=(TODAY - timedelta(days=at % 2)).isoformat())
    there = [await world.get("/invoices?limit=3")]
    while there[-1]["next"]:
        there.append(await world.get(f"/invoices?limit=3&cursor={there[-1]['next']}"))

    back = [there[-1]]
    while "previous" in back[-1]:
        back.append(await world.get(f"/invoices?limit=3&cursor={back[-1]['previous']}"))

    assert [len(page["items"]) for page in there] == [3, 3, 1]
    assert [page["items"] for page in back[::-1]] == [page["items"] for page in there]
    assert [page["next"] for page in back[::-1]] == [page["next"] for page in there]


FIRST = {"service": "Knee rehab 50% off", "practitioner": "Dr Ó Briain", "place": "Room_1"}
SECOND = {"service": "Dry needling", "practitioner": "Mia Knee", "place": "Annex"}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("search=knee", [2, 1]),
        ("search=KNEE%20dry", [2]),
        ("search=50%25", [1]),
        ("search=%25", [1]),
        ("search=_", [1]),
        ("search=%5C", []),
        ("search=briain%20room", [1]),
        ("search=Cork", [2]),
        ("search=needling%20rehab", []),
        ("location=Annex", [2]),
        ("location=Cork", [2]),
        ("location=annex%25", []),
        ("issued_from=2026-02-01", [3, 2]),
        ("issued_to=2026-02-01", [2, 1]),
        ("issued_from=2026-02-01&issued_to=2026-02-01&search=knee", [2]),
        ("status=paid&search=knee", []),
        ("search=%20%20", [3, 2, 1]),
    ],
)
async def test_a_list_is_narrowed(world: InvoiceService, query: str, found: list[int]) -> None:
    made = {}
    invoices: list[tuple[str, dict[str, str], dict[str, Any]]] = [
        ("2026-01-31", FIRST, {}),
        ("2026-02-01", SECOND, {"location": "Cork"}),
        ("2026-03-01", {}, {}),
    ]
    for number, (day, of_line, more) in enumerate(invoices, 1):
        line = line_body(1_000, **{name: value for name, value in of_line.items() if name != "place"})
        if of_line:
            line["appointment"] = {"starts_at": "2026-01-02T10:00:00Z", "place": of_line["place"]}
        body = invoice_body(world.client_id, issued_on=day, lines=[line], **more)
        made[(await world.post_invoice(body)).json()["id"]] = number

    shown = await world.get(f"/invoices?{query}", world.client)

    assert [made[each["id"]] for each in shown["items"]] == found
    assert await world.get("/invoices/locations", world.client) == ["Annex", "Cork", "Room_1"]


async def test_a_number_finds_its_invoice(world: InvoiceService) -> None:
    _, second = [await world.issue() for _ in range(2)]
    assert [
        each["id"]
        for each in (await world.get(f"/invoices?search={second['number']}", world.client))["items"]
    ] == [second["id"]]


async def test_a_search_finds_nobody_elses_invoices(world: InvoiceService) -> None:
    other = new_id()
    await add_client(world.http, other, world.staff, "Bo Daly")
    line = {
        **line_body(1_000, service="Secret therapy"),
        "appointment": {"starts_at": "2026-01-02T10:00:00Z", "place": "Room 9"},
    }
    await world.post_invoice(invoice_body(other, lines=[line]))

    assert (await world.get("/invoices?search=secret", world.client))["items"] == []
    assert await world.get("/invoices/locations", world.client) == []
    everybody = await world.http.call("GET", "/invoices?search=secret", world.staff)
    assert (everybody.status_code, everybody.json()["code"]) == (422, "client_needed")
    assert len((await world.get(f"/invoices?search=secret&client_id={other}"))["items"]) == 1


async def test_a_page_is_stable_while_invoices_are_added(world: InvoiceService) -> None:
    before = [await world.issue() for _ in range(4)]
    first = await world.get("/invoices?limit=2")
    await world.issue()
    second = await world.get(f"/invoices?limit=2&cursor={first['next']}")

    assert [each["id"] for each in first["items"] + second["items"]] == [each["id"] for each in before[::-1]]
    assert second["next"] is None


async def test_history_filters_by_status(world: InvoiceService) -> None:
    unpaid, part, on_its_way, paid = [await world.issue() for _ in range(4)]
    await pay(world, part, 100)
    await pay(world, paid)
    await world.deliver(
        a_payment(
            PaymentProcessing,
            world.clinic_id,
            (UUID(on_its_way["id"]), eur(125)),
            version=1,
            payment_id=new_id(),
        )
    )

    async def shown(status: str) -> set[str]:
        return {each["number"] for each in (await world.get(f"/invoices?status={status}"))["items"]}

    assert await shown("unpaid") == {unpaid["number"], part["number"], on_its_way["number"]}
    assert await shown("paid") == {paid["number"]}
    assert await shown("processing") == {on_its_way["number"]}
    assert len(await shown("all")) == 4
    answer = await world.http.call("GET", "/invoices?status=lost", world.staff)
    assert answer.status_code == 400


async def test_a_row_shows_how_it_was_paid_last(world: InvoiceService) -> None:
    invoice = await world.issue()
    first = a_settlement(world.clinic_id, UUID(invoice["id"]), money(100))
    bank = {"kind": "sepa_debit", "brand": None, "last4": "3000"}
    last = first.model_validate(
        a_settlement(world.clinic_id, UUID(invoice["id"]), money(200)).model_dump() | {"method": bank}
    )
    await world.deliver(last, first)

    [row] = (await world.get("/invoices"))["items"]
    assert row["paid_with"] == bank
    assert datetime.fromisoformat(row["paid_at"]) == last.time


async def test_a_row_says_that_credit_paid_where_nothing_else_did(world: InvoiceService) -> None:
    by_credit, by_both, too_much = [await world.issue() for _ in range(3)]

    def moved(invoice: Any, minor: int, kind: str) -> Any:
        return a_settlement(world.clinic_id, UUID(invoice["id"]), money(minor), kind=kind)

    await world.deliver(moved(by_both, 100, "payment"), moved(too_much, 100, "payment"))
    await world.deliver(
        moved(by_credit, 100, "credit"), moved(by_both, 200, "credit"), moved(too_much, -100, "credit")
    )

    shown = {row["id"]: row["paid_with"] for row in (await world.get("/invoices"))["items"]}
    assert shown[by_credit["id"]] == {"kind": "credit", "brand": None, "last4": None}
    assert shown[by_both["id"]]["last4"] == shown[too_much["id"]]["last4"] == "4242"
    assert (await world.get(f"/invoices/{by_credit['id']}"))["paid_at"] is not None


@pytest.mark.parametrize(
    "query",
    [
        "cursor=x",
        "cursor=",
        "cursor=.",
        "cursor=.x",
        "issued_from=x",
        f"search={'x' * 101}",
        "limit=0",
        "limit=101",
        "limit=x",
        "client_id=1",
    ],
)
async def test_a_bad_question_is_refused(world: InvoiceService, query: str) -> None:
    assert (await world.http.call("GET", f"/invoices?{query}", world.staff)).status_code == 400


async def test_a_client_sees_only_their_own(world: InvoiceService) -> None:
    other_id = new_id()
    await add_client(world.http, other_id, world.staff, "Bo Daly")
    mine = await world.issue()
    theirs = (await world.post_invoice(invoice_body(other_id))).json()

    for path in ("/invoices", f"/invoices?client_id={other_id}"):
        assert [each["id"] for each in (await world.get(path, world.client))["items"]] == [mine["id"]]
    for path in (f"/invoices/{theirs['id']}", f"/clients/{other_id}", f"/invoices/{new_id()}"):
        assert (await world.http.call("GET", path, world.client)).status_code == 404
    assert (await world.http.call("GET", "/clients", world.client)).status_code == 403
    assert (await world.get(f"/clients/{world.client_id}", world.client))["name"] == "Ada Nolan"


async def test_another_clinics_staff_find_nothing(world: InvoiceService) -> None:
    invoice = await world.issue()
    clinic_id, client_id = await world.add_clinic("other")
    stranger = a_caller("staff", clinic_id)

    for path in (f"/invoices/{invoice['id']}", f"/clients/{world.client_id}", f"/clinics/{world.clinic_id}"):
        assert (await world.http.call("GET", path, stranger)).status_code == 404
    assert (await world.get("/invoices", stranger))["items"] == []
    assert (await world.get(f"/invoices?client_id={world.client_id}", stranger))["items"] == []
    assert [each["id"] for each in (await world.get("/clients", stranger))["items"]] == [str(client_id)]
    crossed = await world.post_invoice(invoice_body(world.client_id), caller=stranger)
    assert (crossed.status_code, crossed.json()["code"]) == (404, "client_not_found")


async def test_nobody_without_a_token_is_answered(world: InvoiceService) -> None:
    for path in ("/invoices", "/clinics", "/summary", f"/clients/{world.client_id}"):
        assert (await world.http.call("GET", path)).status_code == 401


async def test_operators_see_all_clinics_page_by_page(world: InvoiceService) -> None:
    ids = [str(world.clinic_id), *[str((await world.add_clinic(f"c{at}"))[0]) for at in range(3)]]
    seen, cursor = [], ""
    while True:
        page = await world.get(f"/clinics?limit=2{cursor}", a_caller("operator"))
        seen += [each["id"] for each in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"

    assert seen == sorted(ids)
    assert (await world.http.call("GET", "/clinics", world.staff)).status_code == 403
    assert (await world.get(f"/clinics/{ids[1]}", a_caller("operator")))["slug"] == "c0"


async def test_the_summary_says_what_is_owed_and_what_to_pay_first(world: InvoiceService) -> None:
    later = await world.issue(10_000, due_on=(TODAY + timedelta(days=9)).isoformat())
    week_ago = (TODAY - timedelta(days=7)).isoformat()
    first = await world.issue(2_000, issued_on=week_ago, due_on=(TODAY - timedelta(days=2)).isoformat())
    yen = await world.issue(500, currency="JPY", due_on=(TODAY + timedelta(days=30)).isoformat())
    paid, on_its_way = await world.issue(12_500), await world.issue(700)
    await pay(world, paid)
    await pay(world, later, 1_000)
    await world.deliver(
        a_payment(
            PaymentProcessing,
            world.clinic_id,
            (UUID(on_its_way["id"]), eur(125)),
            version=1,
            payment_id=new_id(),
        )
    )

    summary = await world.get("/summary", world.client)

    assert summary["due"] == [{"minor": 11_000, "currency": "EUR"}, {"minor": 500, "currency": "JPY"}]
    assert (summary["unpaid_count"], summary["overdue_count"]) == (3, 1)
    assert (summary["next"]["id"], summary["last_paid"]["id"]) == (first["id"], paid["id"])
    assert yen["total"] == {"minor": 500, "currency": "JPY"}


async def test_a_client_without_invoices_owes_nothing(world: InvoiceService) -> None:
    assert await world.get("/summary", world.client) == {
        "due": [], "unpaid_count": 0, "overdue_count": 0, "checked_count": 0, "next": None, "last_paid": None
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "of_client", "index"),
    [
        ("all", True, "invoices_of_client"),
        ("unpaid", True, "invoices_open_of_client"),
        ("all", False, "invoices_of_clinic"),
        ("unpaid", False, "invoices_open_of_clinic"),
    ],
)
@pytest.mark.parametrize("back", [False, True])
async def test_history_is_read_in_index_order(
    world: InvoiceService, status: StatusFilter, of_client: bool, index: str, back: bool
) -> None:
    """Over thousands of invoices: one index scan that stops at the limit, nothing sorted."""
    await many_invoices(world)
    sql, parameters = store_reads.list_statement(
        world.clinic_id,
        store_reads.Wanted(client_id=world.client_id if of_client else None, status=status),
        Place((TODAY - timedelta(days=30), new_id()), back),
        limit=21,
    )
    async with world.db.api.tx(world.clinic_id) as tx:
        plan = json.loads(await tx.fetchval("EXPLAIN (ANALYZE, FORMAT JSON) " + sql, *parameters))
    nodes = list(every_node(plan[0]["Plan"]))

    [scan] = [node for node in nodes if node.get("Alias") == "i"]
    assert (scan["Node Type"], scan["Index Name"]) == ("Index Scan", index)
    assert scan["Actual Rows"] <= 21
    assert not [node for node in nodes if node["Node Type"] == "Sort" and node["Actual Rows"] > 1]


async def many_invoices(world: InvoiceService) -> None:
    """6000 invoices of 20 clients, a tenth of them open, written as the statements of a restore would."""
    await world.db.admin.execute(
        """
        INSERT INTO clients (clinic_id, id, name, billing_address)
        SELECT $1, gen_random_uuid(), 'C', '{}' FROM generate_series(1, 19)
        """,
        world.clinic_id,
    )
    await world.db.admin.execute(
        """
        INSERT INTO invoices (clinic_id, id, client_id, number, status, currency, subtotal_amount, tax_amount,
            total_amount, settled_amount, issued_on, due_on, summary, paid_at)
        SELECT $1, gen_random_uuid(), c.id, '2020-' || lpad((n * 20 + c.nth)::text, 6, '0'),
            CASE WHEN n % 10 = 0 THEN 'unpaid' ELSE 'paid' END, 'EUR', 100, 0, 100,
            CASE WHEN n % 10 = 0 THEN 0 ELSE 100 END, $2::date - n, $2::date, 'S',
            CASE WHEN n % 10 = 0 THEN NULL ELSE now() END
        FROM (SELECT id, row_number() OVER () AS nth FROM clients WHERE clinic_id = $1) AS c,
            generate_series(1, 300) AS n
        """,
        world.clinic_id,
        TODAY,
    )
    await world.db.admin.execute("ANALYZE invoices")


def every_node(plan: dict[str, Any]) -> Any:
    yield plan
    for inner in plan.get("Plans", []):
        yield from every_node(inner)
