"""Corrections of invoices that a clinic's `undo_hours` hold, over HTTP and by the worker's handlers."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from contracts.events.invoice import InvoiceCreated, InvoiceState
from services.chassis.held.actions import handlers
from services.chassis.ids import new_id
from services.chassis.queue.working import Worker
from services.invoice.documents import held
from tests.builders.clinics import TAX_RATES
from tests.builders.events import outbox_events
from tests.builders.invoices import due_in, invoice_body, line_body
from tests.builders.values import money
from tests.running.databases import ServiceDb
from tests.running.invoice import CLINIC, InvoiceService, an_invoice_service, put
from tests.service.test_invoice_documents import act, counted, done, euros, newest, pay, taxed

HOURS = 2
DEARER = [rate | {"percent": "25"} if rate["code"] == "STD" else rate for rate in TAX_RATES]


@pytest.fixture
async def world(db_invoice: ServiceDb) -> AsyncIterator[InvoiceService]:
    async with an_invoice_service(db_invoice) as made:
        await set_hours(made, HOURS)
        yield made


async def set_hours(world: InvoiceService, hours: int, **changes: Any) -> None:
    settings = CLINIC | {"undo_hours": hours} | changes
    await put(world.http, f"/clinics/{world.clinic_id}", world.operator, settings)


def body_of(world: InvoiceService, verb: str, **changes: Any) -> dict[str, Any]:
    """The body of an act by this verb that corrects the whole invoice; `changes` are of the new invoice."""
    if verb == "correct":
        lines = [line_body(5_000, tax_code="STD"), line_body(100, quantity="2")]
        return {"invoice": invoice_body(world.client_id, **({"lines": lines} | changes))}
    return {"reason": "uncollectible"} if verb == "write-off" else {}


async def hold(world: InvoiceService, invoice: Any, verb: str, /, **body: Any) -> Any:
    answer = await act(world, invoice, verb, **body)
    assert answer.status_code == 202, answer.text
    return answer.json()


async def preview(world: InvoiceService, invoice: Any, verb: str, /, **body: Any) -> Any:
    before = await counted(world.db)
    path = f"/invoices/{invoice['id']}/{verb}/preview"
    answer = await world.http.call("POST", path, world.staff, json={"reason": "wrong_amount"} | body)
    assert await counted(world.db) == before
    return answer.json()


async def undo(world: InvoiceService, made: Any) -> Any:
    return await world.http.call("POST", f"/held-acts/{made['id']}/undo", world.staff)


async def time_passes(world: InvoiceService, hours: int = HOURS) -> int:
    """The number of tasks that the worker did."""
    await world.db.admin.execute("UPDATE tasks SET due_at = due_at - make_interval(hours => $1)", hours)
    return await Worker(world.db.worker, handlers(held.ACTS)).work_due()


async def shown(world: InvoiceService, invoice: Any) -> Any:
    return await world.get(f"/invoices/{invoice['id']}")


async def acts(world: InvoiceService, *, ended: bool = False) -> Any:
    return (await world.get(f"/held-acts?ended={str(ended).lower()}"))["items"]


async def events(world: InvoiceService) -> list[InvoiceState]:
    return [event for event in await outbox_events(world.db) if isinstance(event, InvoiceState)]


async def test_a_preview_is_what_is_posted_then(world: InvoiceService) -> None:
    await set_hours(world, 0)
    for verb, body in (
        ("void", {}),
        ("credit-notes", {"lines": [{"position": 1, "quantity": "2"}]}),
        ("credit-notes", {"amount": euros(1_000), "tax_code": "STD"}),
        ("write-off", {"reason": "uncollectible"}),
    ):
        invoice = await taxed(world)
        said = await preview(world, invoice, verb, **body)
        made = await done(world, invoice, verb, **body)

        planned, document = said["document"], made["document"]
        for name in ("kind", "reason", "net", "tax", "total"):
            assert planned[name] == document[name], (verb, name)
        assert taxes_of(planned) == taxes_of(document)
        assert [(line["position"], line["net"]) for line in planned["lines"]] == [
            (line["position"], line["net"]) for line in document["lines"]
        ]
        [after] = said["invoices"]
        assert (after["status"], after["due"]) == (made["invoice"]["status"], made["invoice"]["due"])
    assert said["emails"] == []


def taxes_of(document: Any) -> list[Any]:
    return sorted((tax["code"], tax["base"]["minor"], tax["tax"]["minor"]) for tax in document["taxes"])


async def test_a_preview_tells_of_credit_and_e_mails_and_is_refused_as_the_act(world: InvoiceService) -> None:
    invoice = await world.issue()
    await pay(world, invoice, 10_000)

    said = await preview(world, invoice, "credit-notes", amount=euros(4_000))
    refused = await preview(world, invoice, "void")

    [after] = said["invoices"]
    assert (after["status"], after["due"]["minor"], after["becomes_credit"]["minor"]) == ("paid", 0, 1_500)
    assert said["emails"] == ["credit_note"]
    assert refused["code"] == "invoice_already_paid"


@pytest.mark.parametrize("verb", ["void", "credit-notes", "write-off", "correct"])
async def test_a_held_act_changes_nothing_until_it_is_due(world: InvoiceService, verb: str) -> None:
    invoice = await taxed(world)
    before, published = await shown(world, invoice), len(await events(world))

    body = {"reason": "other", "explanation": "Not the patient"} | body_of(world, verb)
    made = await hold(world, invoice, verb, **body)

    assert (made["state"], made["subject_id"], made["result_id"]) == ("held", invoice["id"], None)
    assert await acts(world) == [made]
    assert await shown(world, invoice) == before
    assert await time_passes(world, HOURS - 1) == 0
    assert len(await events(world)) == published
    assert await world.db.admin.fetchval("SELECT count(*) FROM credit_note_counters") == 0
    assert await world.db.admin.fetchval("SELECT max(last_number) FROM invoice_counters") == 1

    assert await time_passes(world, 1) == 1
    after = await shown(world, invoice)
    [document] = after["documents"]
    assert (document["total"], document["explanation"]) == (before["total"], "Not the patient")
    assert (await newest(world, invoice)).version == 2
    [ended] = await acts(world, ended=True)
    assert (ended["state"], ended["result_id"]) == ("done", document["id"])
    assert await acts(world) == []
    assert await time_passes(world) == 0


@pytest.mark.parametrize("held_verb", ["credit-notes", "correct"])
async def test_no_document_is_made_of_an_invoice_while_an_act_is_held(
    world: InvoiceService, held_verb: str
) -> None:
    invoice = await taxed(world)
    made = await hold(world, invoice, held_verb, **body_of(world, held_verb))

    for verb, body in (
        ("void", {}),
        ("credit-notes", {}),
        ("write-off", {"reason": "uncollectible"}),
        ("correct", body_of(world, "correct")),
    ):
        answer = await act(world, invoice, verb, **body)
        assert (answer.status_code, answer.json()["code"]) == (409, "act_held"), verb
        assert answer.json()["held_act_id"] == made["id"]
        assert (await preview(world, invoice, verb, **body))["code"] == "act_held"
    await set_hours(world, 0)
    assert (await act(world, invoice, "void")).json()["code"] == "act_held"


async def test_presses_at_once_hold_one(world: InvoiceService) -> None:
    invoice = await taxed(world)

    answers = await asyncio.gather(*(act(world, invoice, "void") for _ in range(8)))

    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 7
    assert {answer.json().get("code") for answer in answers} == {None, "act_held"}


@pytest.mark.parametrize("verb", ["void", "correct"])
async def test_the_same_key_is_one_act_and_is_answered_as_it_is_by_now(
    world: InvoiceService, verb: str
) -> None:
    invoice, key, body = await taxed(world), str(new_id()), body_of(world, verb)

    first = await act(world, invoice, verb, key=key, **body)
    again = await act(world, invoice, verb, key=key, **body)
    await time_passes(world)
    later = await act(world, invoice, verb, key=key, **body)
    other = await act(world, invoice, verb, key=key, explanation="x", **body)

    assert (again.status_code, again.json()) == (202, first.json())
    assert (later.status_code, later.json()["state"]) == (202, "done")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len((await shown(world, invoice))["documents"]) == 1


async def test_without_hours_it_is_done_at_once(world: InvoiceService) -> None:
    await set_hours(world, 0)
    invoice = await taxed(world)

    await done(world, invoice, "void")

    assert await world.db.admin.fetchval("SELECT count(*) FROM held_acts") == 0


@pytest.mark.parametrize("verb", ["void", "correct"])
async def test_what_is_undone_is_never_done_and_the_invoice_is_free_again(
    world: InvoiceService, verb: str
) -> None:
    invoice = await taxed(world)
    made = await hold(world, invoice, verb, **body_of(world, verb))

    undone = await undo(world, made)
    again = await undo(world, made)

    assert (undone.status_code, undone.json()["state"], again.json()) == (200, "undone", undone.json())
    assert await time_passes(world) == 0
    assert (await shown(world, invoice))["status"] == "unpaid"
    await hold(world, invoice, "credit-notes")
    audited = await world.db.admin.fetch("SELECT action, actor FROM audit WHERE action LIKE '%undo%'")
    assert [tuple(row) for row in audited] == [(f"undo_{made['kind']}", world.staff.subject)]


async def test_what_is_done_cannot_be_undone(world: InvoiceService) -> None:
    made = await hold(world, await taxed(world), "void")
    await time_passes(world)

    refused = await undo(world, made)
    unknown = await undo(world, {"id": new_id()})

    assert (refused.status_code, refused.json()["code"]) == (409, "already_done")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "held_act_not_found")


async def test_undo_at_the_moment_when_it_is_due_is_one_or_the_other(world: InvoiceService) -> None:
    for _ in range(10):
        invoice = await taxed(world)
        made = await hold(world, invoice, "void")

        answer, worked = await asyncio.gather(undo(world, made), time_passes(world))

        status = (await shown(world, invoice))["status"]
        assert (answer.status_code, status) in ((200, "unpaid"), (409, "void")), worked


async def test_a_payment_meanwhile_makes_a_void_an_exception_that_a_person_dismisses(
    world: InvoiceService,
) -> None:
    invoice = await taxed(world)
    made = await hold(world, invoice, "void")
    await pay(world, invoice, 100)

    await time_passes(world)

    [found] = (await world.get("/exceptions"))["items"]
    assert (found["kind"], found["subject_id"], found["cause"]) == (
        "void_changed",
        made["id"],
        "invoice_already_paid",
    )
    assert (await undo(world, made)).json()["code"] == "not_held"
    refused = await settle(world, found, "do")
    dismissed = await settle(world, found, "dismiss")
    assert (refused.status_code, refused.json()["code"]) == (409, "invoice_already_paid")
    assert (dismissed.status_code, (await shown(world, invoice))["documents"]) == (200, [])


async def test_a_write_off_of_another_sum_by_now_is_an_exception_that_a_person_does(
    world: InvoiceService,
) -> None:
    invoice = await world.issue()
    made = await hold(world, invoice, "write-off", reason="uncollectible")
    await pay(world, invoice, 2_500)

    await time_passes(world)
    [found] = (await world.get("/exceptions"))["items"]
    assert (found["kind"], found["cause"]) == ("write_off_changed", "posts_differ")
    assert found["detail"]["posts"]["document"]["total"]["minor"] == 12_500
    settled = await settle(world, found, "do")

    after = await shown(world, invoice)
    assert (settled.status_code, after["status"], after["due"]["minor"]) == (200, "paid", 0)
    assert [document["total"]["minor"] for document in after["documents"]] == [10_000]
    [ended] = await acts(world, ended=True)
    assert (ended["id"], ended["state"]) == (made["id"], "done")


async def test_a_credit_note_is_the_same_whatever_was_paid_meanwhile(world: InvoiceService) -> None:
    invoice = await world.issue()
    await hold(world, invoice, "credit-notes", amount=euros(5_000))
    await pay(world, invoice, 12_500)

    await time_passes(world)

    after = await shown(world, invoice)
    assert (after["status"], after["credited"]["minor"]) == ("paid", 5_000)
    assert (await newest(world, invoice)).due_before_payments == money(7_500)


async def test_a_preview_of_a_replacement_is_what_is_posted_then(world: InvoiceService) -> None:
    await set_hours(world, 0)
    invoice = await taxed(world)
    body = body_of(world, "correct", external_id="new", discount={"percent": "10"})

    said = await preview(world, invoice, "correct", **body)
    made = await done(world, invoice, "correct", **body)

    planned, new = said["new_invoice"], made["new_invoice"]
    assert said["document"]["total"] == made["document"]["total"] == invoice["total"]
    assert (planned["net"], planned["total"]) == (new["subtotal"], new["total"])
    assert planned["tax"]["minor"] == sum(tax["tax"]["minor"] for tax in new["taxes"])
    assert (planned["client_id"], planned["due_on"]) == (new["client_id"], new["due_on"])
    assert taxes_of(planned) == sorted(
        (tax["code"], tax["base"]["minor"], tax["tax"]["minor"]) for tax in new["taxes"]
    )
    assert [(line["position"], line["net"]) for line in planned["lines"]] == [
        (at, line["net"]) for at, line in enumerate(new["lines"], start=1)
    ]
    [after] = said["invoices"]
    assert (after["status"], after["due"]["minor"]) == ("credited", 0)
    assert said["emails"] == ["credit_note", "invoice_ready"]
    again = await world.issue()
    assert (await preview(world, again, "correct", **body))["code"] == "external_id_taken"
    assert (await preview(world, invoice, "correct", **body))["code"] == "nothing_left_to_credit"


async def test_a_held_replacement_credits_and_issues_when_it_is_due(world: InvoiceService) -> None:
    invoice = await taxed(world)
    settings = {
        "external_id": "new",
        "metadata": {"visit": "7"},
        "insurer_reference": "P-1",
        "note": "Thank you",
    }
    made = await hold(world, invoice, "correct", **body_of(world, "correct", **settings))

    assert await time_passes(world) == 1

    after = await shown(world, invoice)
    [document] = after["documents"]
    new = await world.get(f"/invoices/{document['new_invoice']['id']}")
    planned = made["preview"]["new_invoice"]
    assert (made["kind"], after["status"], new["status"]) == ("replacement", "credited", "unpaid")
    assert (new["total"], new["bill_to"]["name"]) == (planned["total"], "Ada Nolan")
    assert {name: new[name] for name in settings} == settings
    assert new["corrects"]["id"] == invoice["id"]
    assert [event.number for event in await events(world) if isinstance(event, InvoiceCreated)] == [
        invoice["number"],
        new["number"],
    ]
    audited = await world.db.admin.fetch(
        "SELECT action FROM audit WHERE action ~ 'hold|correct|issue' ORDER BY seq"
    )
    assert [row["action"] for row in audited] == ["issue_invoice", "hold_replacement"]


async def test_a_replacement_at_other_taxes_by_now_is_an_exception_that_a_person_does(
    world: InvoiceService,
) -> None:
    invoice = await taxed(world)
    await hold(world, invoice, "correct", **body_of(world, "correct"))
    await set_hours(world, HOURS, tax_rates=DEARER)

    await time_passes(world)
    [found] = (await world.get("/exceptions"))["items"]
    assert (found["kind"], found["cause"]) == ("replacement_changed", "posts_differ")
    assert (await shown(world, invoice))["documents"] == []
    settled = await settle(world, found, "do")

    [document] = (await shown(world, invoice))["documents"]
    new = await world.get(f"/invoices/{document['new_invoice']['id']}")
    assert (settled.status_code, new["total"]["minor"]) == (200, 6_450)


async def test_a_replacement_whose_external_id_was_given_away_leaves_nothing_half_done(
    world: InvoiceService,
) -> None:
    invoice = await taxed(world)
    await hold(world, invoice, "correct", **body_of(world, "correct", external_id="new"))
    await world.issue(external_id="new")

    await time_passes(world)

    [found] = (await world.get("/exceptions"))["items"]
    assert (found["kind"], found["cause"]) == ("replacement_changed", "external_id_taken")
    assert (await shown(world, invoice))["documents"] == []
    assert await world.db.admin.fetchval("SELECT count(*) FROM credit_note_counters") == 0
    assert (await world.issue())["number"].endswith("-000003")


async def test_a_replacement_that_would_be_due_before_it_is_issued_is_refused_at_once(
    world: InvoiceService,
) -> None:
    await set_hours(world, 24)
    invoice, body = await taxed(world), body_of(world, "correct", due_on=due_in(0))

    refused = await act(world, invoice, "correct", **body)

    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_due_date")
    assert (await preview(world, invoice, "correct", **body))["code"] == "invalid_due_date"
    assert await acts(world) == []
    await set_hours(world, 0)
    await done(world, invoice, "correct", **body)


async def test_hours_are_0_to_24(world: InvoiceService) -> None:
    path = f"/clinics/{world.clinic_id}"
    for hours in (-1, 25):
        answer = await world.http.call("PUT", path, world.operator, json=CLINIC | {"undo_hours": hours})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_undo_hours")
    assert (await world.get(path))["undo_hours"] == HOURS


async def settle(world: InvoiceService, found: Any, how: str) -> Any:
    path = f"/exceptions/{found['id']}/settle"
    return await world.http.call("POST", path, world.staff, json={"how": how})
