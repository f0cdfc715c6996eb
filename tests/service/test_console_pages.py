"""Operators at work in the console, over a whole installation's databases."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from litestar.enums import HttpMethod

from deploy.ops.console.routes import PAGES
from deploy.ops.verify.kept import MOST_KEPT, keep
from deploy.ops.verify.report import Breach, Report, Result
from deploy.sandbox.embedded import listen_on
from services.chassis import audit
from services.chassis.ids import new_id
from services.chassis.jobs.jobs import Jobs
from services.chassis.jobs.runs import Runs
from services.chassis.kafka import park
from services.chassis.kafka.park import Parked, Record
from services.gateway.api.keys import actions as api_keys
from services.invoice import consumers
from services.invoice.invoices.actions import announce_overdue
from services.notification import consumers as notification_consumers
from services.payment.payments import sweep
from tests.builders.callers import a_caller
from tests.builders.events import deliver, waiting_parked
from tests.builders.invoices import an_invoice
from tests.builders.payments import a_settlement
from tests.builders.values import money
from tests.running.apps import in_own_task
from tests.running.console import NAME, REASON, Console, a_console
from tests.running.databases import ServiceDb
from tests.running.gateway import a_site
from tests.running.installation import Installation
from tests.running.notification import a_reachable_client, delivery_states
from tests.running.system import until


@pytest.fixture
async def console(installation: Installation) -> AsyncIterator[Console]:
    sandbox = installation.payments.sandbox
    stripe = {"stripe_secret_key": sandbox.secret_key, "stripe_api_base": sandbox.url}
    async with in_own_task(a_console(installation.dbs, **stripe)) as one:
        await one.as_operator()
        yield one


@pytest.fixture
async def small(
    db_gateway: ServiceDb, db_invoice: ServiceDb, db_notification: ServiceDb
) -> AsyncIterator[Console]:
    """Without a payment service: its database does not answer."""
    dbs = {"gateway": db_gateway, "invoice": db_invoice, "notification": db_notification}
    async with in_own_task(a_console(dbs)) as one:
        await one.as_operator()
        yield one


async def acts_of(console: Console) -> list[tuple[str, str, str, str, str]]:
    async with console.own.statements() as connection:
        rows = await connection.fetch("SELECT * FROM operator_acts ORDER BY id")
    return [(row["operator"], row["action"], row["subject"], row["reason"], row["outcome"]) for row in rows]


# Health and journeys


async def test_health_says_what_does_not_answer_and_what_waits(
    console: Console, installation: Installation
) -> None:
    await installation.dbs["payment"].admin.execute(
        """
        INSERT INTO outbox (id, clinic_id, aggregatetype, aggregateid, payload, created_at)
        VALUES (gen_random_uuid(), gen_random_uuid(), 'payment.settled', 'x', '{}', now() - interval '2 hours')
        """
    )

    text = (await console.get("/ops")).text

    assert "The gateway does not answer." in text
    assert "Kafka does not answer." in text
    assert "payment: events to be sent: 1, the oldest for 2 h." in text


async def test_a_database_that_is_away_hides_no_other(small: Console) -> None:
    text = (await small.get("/ops")).text

    assert "The database of payment does not answer." in text
    assert text.index("The database of payment") < text.index("The gateway does not")
    assert "The database of invoice does not answer." not in text


async def test_a_database_that_hangs_holds_up_no_page(
    db_gateway: ServiceDb, db_invoice: ServiceDb, db_notification: ServiceDb
) -> None:
    """It takes connections, and says nothing."""
    dbs = {"gateway": db_gateway, "invoice": db_invoice, "notification": db_notification}
    with listen_on(0) as silent:
        silent.listen()
        hung = f"postgresql://ops@127.0.0.1:{silent.getsockname()[1]}/payment"
        async with a_console(dbs, payment=hung) as one:
            await one.as_operator()
            health = (await one.get("/ops")).text
            parked = (await one.get("/ops/parked")).text

    assert "The database of payment does not answer." in health
    assert "The database of payment does not answer" in parked


async def test_a_payment_that_no_webhook_announced_is_named_for_an_hour(
    console: Console, installation: Installation
) -> None:
    """Stripe has the money, its webhook does not come, and the sweep asks."""
    named = "payment: payments without a webhook in a day: 1, the newest"
    payments = installation.payments
    invoice = await installation.open_invoice(12_500)
    await payments.confirm(await payments.start((invoice, money(12_500))))
    assert named not in (await console.get("/ops")).text

    await sweep.sweep_payments(payments.worker, payments.stripe, timedelta())

    text = await newer(console, named)
    assert "stripe check" in text
    await payments.db.admin.execute("ALTER TABLE entries DISABLE TRIGGER USER")
    await payments.db.admin.execute("UPDATE entries SET booked_at = booked_at - interval '2 hours'")
    await newer(console, "<span>Payments without a webhook in a day</span>", named)


async def test_a_job_that_fails_is_named_with_what_it_does_not_do(
    small: Console, db_invoice: ServiceDb, db_gateway: ServiceDb
) -> None:
    await db_invoice.admin.execute("REVOKE UPDATE ON invoices FROM app_worker")
    await db_gateway.admin.execute("REVOKE SELECT ON operations FROM app_api")
    jobs = Jobs(db_invoice.worker)
    jobs.every(600, "announce_overdue", partial(announce_overdue, db_invoice.worker))
    jobs.every(600, "delete_old", partial(none_are_old, db_invoice))
    async with jobs.running(), a_site(db_gateway):
        text = await newer(small, "gateway: a job has failed for")
        await newer(small, "invoice.worker: a job has failed for")
        page = await newer(small, "Delete rows whose time has passed", path="/ops/jobs")

    assert "Finish or undo changes over several services." in text
    assert "2 jobs do not run as they should" in page
    assert page.count("InsufficientPrivilegeError, for ") == 2
    assert page.index("Publish which invoices are overdue") < page.index("Delete rows")
    assert "The database of payment does not answer, so its jobs are not known." in page


async def none_are_old(db: ServiceDb) -> None:
    """A job that finds nothing to do."""
    async with db.worker.worker_tx() as tx:
        await tx.execute("SELECT 1")


async def test_jobs_that_nobody_runs_are_late(small: Console, db_invoice: ServiceDb) -> None:
    for name in ("delete_old", "announce_overdue"):
        await Runs(db_invoice.worker.worker_tx).keep(name, 600, 0.1, None)
    assert "All jobs run" in (await small.get("/ops/jobs")).text
    await db_invoice.admin.execute(
        "UPDATE job_leases SET began_at = began_at - interval '2 h', ended_at = ended_at - interval '2 h'"
    )

    await newer(small, "invoice.worker: 2 jobs have not run when due.")

    page = (await small.get("/ops/jobs")).text
    assert "2 jobs do not run as they should" in page
    assert page.count("It was due 2 h ago.") == 2


async def newer(console: Console, words: str, without: str = "", path: str = "/ops") -> str:
    """A page once it says so: Health shows its last look while the next one is under way."""

    async def said() -> str | None:
        text = (await console.get(path)).text
        return text if words in text and not (without and without in text) else None

    found: str = await until(said, 20)
    return found


async def test_a_journey_is_found_by_the_number_that_a_client_reads_out(
    console: Console, installation: Installation
) -> None:
    number = await installation.dbs["invoice"].admin.fetchval("SELECT min(number) FROM invoices")

    page = await console.get("/ops/journeys", params={"q": f" {number} "})

    assert page.status_code == 200
    assert f"Invoice {number} of harbour: paid" in page.text
    assert "the receipt waits: not tried yet" in page.text


@pytest.mark.parametrize("q", ["x", "'; DROP TABLE x", "<script>alert(1)</script>", "A" * 5000, "\u202e"])
async def test_a_reference_of_nothing_is_said_so(console: Console, q: str) -> None:
    page = await console.get("/ops/journeys", params={"q": q})

    assert page.status_code == 200
    assert "Nothing is known by" in page.text
    assert "<script>alert" not in page.text


async def test_an_event_that_nothing_is_known_of_says_where_to_look(console: Console) -> None:
    page = await console.get("/ops/journeys", params={"q": "evt_1"})

    assert "webhook_signature_wrong" in page.text
    assert "Give the number" not in page.text


async def test_every_page_answers_head_as_get_without_the_body(small: Console) -> None:
    """So does each address that a stranger may ask for: it leads to the login."""
    pages = [
        ("/ops" + path).rstrip("/")
        for handler in PAGES
        for path in handler.paths
        if HttpMethod.GET in handler.http_methods and "{" not in path
    ]
    assert len(pages) > 8
    for path in (
        *pages,
        "/",
        "/ops/login",
        "/ops/parked/invoice/1",
        f"/ops/clinics/{new_id()}",
    ):
        got, head = await small.get(path), await small.client.head(path, headers={"Accept": "text/html"})
        assert (head.status_code, head.content) == (got.status_code, b""), path
        assert head.headers.get("content-type") == got.headers.get("content-type"), path
    answer = await small.client.head(
        "/ops/api/journeys", params={"q": "x"}, headers={"Authorization": "Bearer x"}
    )
    assert answer.status_code == 401


async def test_a_journey_that_cannot_be_asked_leads_to_what_is_wrong(small: Console) -> None:
    page = await small.get("/ops/journeys", params={"q": "2026-000001"})
    program = await small.client.get("/ops/api/journeys", params={"q": "2026-000001"})

    assert page.status_code == 503
    assert "A database does not answer" in page.text
    assert (program.status_code, program.json()["code"]) == (503, "unavailable")


async def test_programs_ask_with_an_operators_key(console: Console, installation: Installation) -> None:
    number = await installation.dbs["invoice"].admin.fetchval("SELECT min(number) FROM invoices")
    clinic = installation.world.clinic_id
    gateway = installation.dbs["gateway"].api
    async with gateway.tx(audit.INSTALLATION, operator=True) as tx:
        operators = await api_keys.make(tx, a_caller("operator", audit.INSTALLATION), "deploys")
    async with gateway.tx(clinic, operator=True) as tx:
        clinics = await api_keys.make(tx, a_caller("staff", clinic), "of a clinic")
    console.client.cookies.clear()

    async def ask(key: str | None, **query: str) -> Any:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return await console.client.get("/ops/api/journeys", headers=headers, params=query)

    answer = await ask(operators.secret, q=number)
    assert answer.status_code == 200
    [journey] = answer.json()["journeys"]
    assert journey["waits_for"]["code"] == "receipt_not_sent"
    assert journey["steps"]
    assert (await ask(operators.secret, q="nothing")).json() == {"journeys": []}
    for wrong in ("", " ", "\u202e", "A" * 201):
        refused = await ask(operators.secret, q=wrong)
        assert (refused.status_code, refused.json()["code"]) == (422, "reference_invalid")
    assert (await ask(operators.secret)).status_code == 400
    for nobody in (clinics.secret, "wrong", None):
        refused = await ask(nobody, q=number)
        assert (refused.status_code, refused.json()["code"]) == (401, "not_signed_in")


# Parked events


async def a_parked_movement(installation: Installation) -> tuple[int, UUID]:
    """A payment in another currency than its invoice's: the id of its row, and its invoice."""
    invoice = UUID((await installation.world.issue(12_500))["id"])
    wrong = a_settlement(installation.world.clinic_id, invoice, money(1_000, "USD"))
    db = installation.dbs["invoice"]
    await deliver(db.worker, consumers, wrong)
    return await db.admin.fetchval("SELECT max(id) FROM parked"), invoice


async def make_real(installation: Installation, parked_id: int) -> None:
    """Let a parked settlement have the id of a movement that payment's ledger has."""
    real = await installation.dbs["payment"].admin.fetchval("SELECT id FROM movements LIMIT 1")
    assert real is not None
    await installation.dbs["invoice"].admin.execute(
        "UPDATE parked SET event_id = $1 WHERE id = $2", real, parked_id
    )


async def park_text(db: ServiceDb, text: bytes) -> int:
    async with db.worker.worker_tx() as tx:
        await park.add(
            tx, "invoice", [Parked(Record("payment.settled", 0, 7, b"k", text), None, "undecodable")]
        )
        found: int = await tx.fetchval("SELECT max(id) FROM parked")
    return found


async def test_a_parked_event_is_replayed_once_its_cause_is_mended(
    console: Console, installation: Installation
) -> None:
    parked_id, invoice = await a_parked_movement(installation)
    path = f"/ops/parked/invoice/{parked_id}"
    assert "wrong_currency" in (await console.get("/ops/parked")).text
    assert "It fits the schema" in (await console.get(path)).text

    forged = await console.post(f"{path}/replay", path, reason=REASON)
    await make_real(installation, parked_id)
    refused = await console.post(f"{path}/replay", path, reason=REASON)
    await installation.dbs["invoice"].admin.execute(
        "UPDATE invoices SET currency = 'USD' WHERE id = $1", invoice
    )
    done = await console.post(f"{path}/replay", path, reason=REASON)
    again = await console.post(f"{path}/replay", path, reason=REASON)

    assert "count money that nobody took" in forged.text
    assert (forged.status_code, refused.status_code, done.status_code, again.status_code) == (
        409,
        422,
        303,
        409,
    )
    assert "does not wait any more" in again.text
    paid = await installation.world.get(f"/invoices/{invoice}")
    assert paid["settled"]["minor"] == 1_000
    assert [outcome for *_, outcome in await acts_of(console)] == [
        "refused: not_in_ledger",
        "refused: wrong_currency",
        "done",
        "refused: not_waiting",
    ]
    assert {(by, why) for by, _, _, why, _ in await acts_of(console)} == {(NAME, REASON)}


async def test_a_parked_settlement_says_whether_its_money_is_real(
    console: Console, installation: Installation
) -> None:
    """A movement has the id of its event, and payment's ledger has each one that is real."""
    parked_id, _ = await a_parked_movement(installation)
    path = f"/ops/parked/invoice/{parked_id}"
    forged = (await console.get(path)).text
    await make_real(installation, parked_id)

    assert "do not replay this event" in forged
    assert "do not discard this event" in (await console.get(path)).text


async def test_a_parked_settlement_whose_ledger_is_away_says_that_it_is_not_known(
    small: Console, db_invoice: ServiceDb
) -> None:
    wrong = a_settlement(new_id(), new_id(), money(100, "EUR"))
    async with db_invoice.worker.worker_tx() as tx:
        record = Record("payment.settled", 0, 7, b"k", wrong.encode())
        await park.add(tx, "invoice", [Parked(record, wrong, "unknown_invoice")])
        parked_id = await tx.fetchval("SELECT max(id) FROM parked")

    page = await small.get(f"/ops/parked/invoice/{parked_id}")

    assert page.status_code == 200
    assert "Not known now: the database of payment does not answer" in page.text


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "a\x00b"])
@pytest.mark.parametrize("verb", ["replay", "discard", "reveal"])
async def test_nothing_is_done_without_a_reason(
    small: Console, db_invoice: ServiceDb, verb: str, reason: str
) -> None:
    path = f"/ops/parked/invoice/{await park_text(db_invoice, b'{')}"

    answer = await small.post(f"{path}/{verb}", path, reason=reason)

    assert answer.status_code == 422
    assert "Say why" in answer.text
    assert await acts_of(small) == []
    assert await waiting_parked(db_invoice) == [("payment.settled", "undecodable")]


async def test_what_was_typed_stays_when_an_act_is_refused(small: Console, db_invoice: ServiceDb) -> None:
    """Its form is open, and no other has the reason in it."""
    parked_id = await park_text(db_invoice, b"{")
    path = f"/ops/parked/invoice/{parked_id}"

    one = (await small.post(f"{path}/replay", path, reason="mended <it>")).text
    many = await small.post("/ops/parked", "/ops/parked", reason="mended <it>", chosen=f"invoice/{parked_id}")

    assert one.count('value="mended &lt;it&gt;"') == 1
    assert '<details class="more" open><summary>Replay</summary>' in one
    assert "Choose what to do" in many.text
    assert "<title>1 parked event – " in many.text
    assert 'value="mended &lt;it&gt;"' in many.text
    assert f'value="invoice/{parked_id}" checked' in many.text


async def test_what_is_discarded_names_who_and_why(small: Console, db_invoice: ServiceDb) -> None:
    parked_id = await park_text(db_invoice, b"{")
    path = f"/ops/parked/invoice/{parked_id}"

    done = await small.post(f"{path}/discard", path, reason=REASON)

    assert done.status_code == 303
    assert await waiting_parked(db_invoice) == []
    page = (await small.get(path)).text
    assert f"discarded by {NAME}: {REASON}" in page
    assert "Replay</button>" not in page
    entry = await db_invoice.admin.fetchrow("SELECT actor FROM audit WHERE action = 'discard_parked'")
    async with small.own.statements() as connection:
        operator = await connection.fetchval("SELECT id FROM operators")
        own = await connection.fetchrow("SELECT actor, subject_id FROM audit WHERE action LIKE 'discard%'")
    assert entry is not None and own is not None
    assert entry["actor"] == own["actor"] == operator
    assert own["subject_id"] == UUID(int=parked_id)


async def test_personal_texts_are_hidden_until_somebody_says_why(
    small: Console, db_invoice: ServiceDb
) -> None:
    client = str(new_id())
    text = f'{{"id": "{client}", "status": "open", "data": {{"note": "Ann Byrne, knee"}}}}'
    parked_id = await park_text(db_invoice, text.encode())
    path = f"/ops/parked/invoice/{parked_id}"

    masked = (await small.get(path)).text
    whole = await small.post(f"{path}/reveal", path, reason=REASON)

    assert client in masked and "open" in masked
    assert "Byrne" not in masked
    assert whole.status_code in (200, 201, 303)
    assert "Ann Byrne, knee" in whole.text
    assert await acts_of(small) == [(NAME, "reveal_parked", str(parked_id), REASON, "done")]
    assert "Byrne" not in (await small.get(path)).text


@pytest.mark.parametrize("name", ["status", "code", "kind", "type", "number", "source", "template", "x"])
async def test_no_member_shows_a_person_whatever_its_name(
    small: Console, db_invoice: ServiceDb, name: str
) -> None:
    text = json.dumps({name: "Jane Doe", "data": {name: "jane@patient.example", "Jane Doe": 1}})
    async with db_invoice.worker.worker_tx() as tx:
        headers = (("jane@patient.example", b"Jane"),)
        row = Record("payment.settled", 0, 7, b"Jane Doe", text.encode(), headers)
        await park.add(tx, "invoice", [Parked(row, None, "undecodable")])

    page = (await small.get("/ops/parked/invoice/1")).text

    assert "jane" not in page.lower()


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"Ann Byrne", b"[" * 100_000, b'"Ann"', b""])
async def test_any_record_can_be_looked_at(small: Console, db_invoice: ServiceDb, raw: bytes) -> None:
    page = await small.get(f"/ops/parked/invoice/{await park_text(db_invoice, raw)}")

    assert page.status_code == 200
    assert "It is no event of its topic" in page.text
    assert "Ann" not in page.text.replace(NAME, "")


async def test_many_are_done_at_once_and_those_that_are_refused_wait_on(
    small: Console, db_invoice: ServiceDb
) -> None:
    rows = [await park_text(db_invoice, text) for text in (b"{", b"[]", b"1")]

    refused = await small.post(
        "/ops/parked", "/ops/parked", verb="replay", reason=REASON, chosen=f"invoice/{rows[0]}"
    )
    chosen = [f"invoice/{each}" for each in (*rows[:2], rows[0])]
    done = await small.post("/ops/parked", "/ops/parked", verb="discard", reason=REASON, chosen=chosen)

    assert refused.status_code == 422
    assert "0 of 1 are done" in refused.text
    assert "It can only be discarded" in refused.text
    assert (done.status_code, done.headers["location"]) == (303, "/ops/parked?done=discard&count=2")
    assert "Discarded: 2" in (await small.get(done.headers["location"])).text
    assert await waiting_parked(db_invoice) == [("payment.settled", "undecodable")]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"verb": "discard", "reason": REASON}, "Choose at least one."),
        ({"verb": "discard", "reason": " ", "chosen": "invoice/1"}, "Say why"),
        ({"verb": "", "reason": REASON, "chosen": "invoice/1"}, "Choose what to do"),
        ({"verb": "delete", "reason": REASON, "chosen": "invoice/1"}, "Choose what to do"),
        (
            {"verb": "discard", "reason": REASON, "chosen": [f"invoice/{n}" for n in range(201)]},
            "at most 200",
        ),
    ],
)
async def test_a_form_that_lacks_something_changes_nothing(
    small: Console, db_invoice: ServiceDb, form: dict[str, str | list[str]], said: str
) -> None:
    await park_text(db_invoice, b"{")

    answer = await small.post("/ops/parked", "/ops/parked", **form)

    assert answer.status_code == 422
    assert said in answer.text
    assert await acts_of(small) == []
    assert await waiting_parked(db_invoice) == [("payment.settled", "undecodable")]


@pytest.mark.parametrize("query", ["done=all+refunds+booked", "done=replay&count=x"])
async def test_no_address_makes_the_page_say_that_something_was_done(small: Console, query: str) -> None:
    answer = await small.get(f"/ops/parked?{query}")

    assert answer.status_code == 400
    assert "refunds" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/ops/parked/invoice/999999",
        "/ops/parked/gateway/1",
        "/ops/parked/invoice/99999999999999999999",
        "/ops/parked/invoice/-1",
        "/ops/parked/invoice/x",
        "/ops/nothing",
    ],
)
async def test_a_wrong_address_is_a_page_that_is_not_found(small: Console, path: str) -> None:
    answer = await small.get(path)

    assert answer.status_code == 404
    assert "ClinicPay console" in answer.text


@pytest.mark.parametrize(
    "chosen", ["x", "gateway/1", "invoice/x", "invoice/" + "9" * 30, "/", "invoice/²", "invoice/777"]
)
async def test_a_made_up_choice_changes_nothing(small: Console, db_invoice: ServiceDb, chosen: str) -> None:
    await park_text(db_invoice, b"{")

    answer = await small.post("/ops/parked", "/ops/parked", verb="discard", reason=REASON, chosen=chosen)

    assert answer.status_code == 422
    assert "There is no such event." in answer.text
    assert await waiting_parked(db_invoice) == [("payment.settled", "undecodable")]


# E-mails


async def a_failed_email(db: ServiceDb) -> str:
    """`clinic/id` of an e-mail that was given up."""
    clinic, client_id = await a_reachable_client(db)
    await deliver(db.worker, notification_consumers, an_invoice(clinic.clinic_id, client_id))
    await db.admin.execute(
        "UPDATE deliveries SET state = 'failed', attempts = 9, last_error = '550', failed_at = now()"
    )
    await db.admin.execute(
        "UPDATE tasks SET state = 'failed', attempts = 9, ended_at = now(), reason = '550'"
    )
    return str(await db.admin.fetchval("SELECT clinic_id || '/' || id FROM deliveries"))


@pytest.mark.parametrize("task_is_kept", [True, False])
async def test_an_email_that_failed_is_sent_again_with_all_its_tries(
    small: Console, db_notification: ServiceDb, task_is_kept: bool
) -> None:
    chosen = await a_failed_email(db_notification)
    if not task_is_kept:
        await db_notification.admin.execute("DELETE FROM tasks")
    page = (await small.get("/ops/emails")).text
    assert "550" in page and "invoice_ready" in page
    assert "client@example.com" not in page and "Byrne" not in page

    other = await small.invited("bob@example.com")
    done = await small.post("/ops/emails", other, reason=REASON, chosen=chosen)
    again = await small.post("/ops/emails", other, reason=REASON, chosen=chosen)

    assert done.status_code == 303
    assert again.status_code == 422
    assert await delivery_states(db_notification) == [("invoice_ready", "due", 0, "550")]
    task = await db_notification.admin.fetchrow(
        "SELECT state, attempts, due_at <= app_now() AS due FROM tasks WHERE kind = 'email.invoice_ready'"
    )
    assert task is not None
    assert tuple(task.values()) == ("due", 0, True)


async def test_an_email_is_sent_again_once_and_what_is_refused_beside_it_is_said(
    small: Console, db_notification: ServiceDb
) -> None:
    good, unknown = await a_failed_email(db_notification), f"{new_id()}/{new_id()}"

    answer = await small.post("/ops/emails", "/ops/emails", reason=REASON, chosen=[unknown, good, good])

    assert answer.status_code == 422
    assert "1 of 2 are done." in answer.text
    assert "Nothing was changed" not in answer.text
    assert (await delivery_states(db_notification))[0][1] == "due"


@pytest.mark.parametrize("chosen", ["x/y", "", "00000000-0000-0000-0000-000000000000"])
async def test_an_email_that_is_none_changes_nothing(
    small: Console, db_notification: ServiceDb, chosen: str
) -> None:
    await a_failed_email(db_notification)

    answer = await small.post("/ops/emails", "/ops/emails", reason=REASON, chosen=chosen)

    assert answer.status_code == 422
    assert (await delivery_states(db_notification))[0][1] == "failed"


# Clinics, keys, audit log, verify


async def test_a_clinic_shows_its_account_what_it_took_and_what_is_open(
    console: Console, installation: Installation
) -> None:
    text = (await console.get("/ops/clinics", params={"q": "harb"})).text

    assert "harbour" in text
    assert "€" in text
    assert "No clinic is found" in (await console.get("/ops/clinics", params={"q": "%"})).text


async def test_one_clinic_shows_what_it_took_and_everything_that_waits(
    console: Console, installation: Installation
) -> None:
    parked_id, _ = await a_parked_movement(installation)
    clinic = installation.world.clinic_id
    await installation.dbs["payment"].admin.execute(
        """
        INSERT INTO exceptions (clinic_id, id, kind, subject_id, cause, detail)
        VALUES ($1, gen_random_uuid(), 'refund', gen_random_uuid(), 'charge_disputed', '{}')
        """,
        clinic,
    )

    text = (await console.get(f"/ops/clinics/{clinic}")).text

    assert "takes payments" in text
    assert "card_declined" in text or "generic_decline" in text
    assert f"/ops/parked/invoice/{parked_id}" in text
    assert "charge_disputed" in text
    assert (await console.get(f"/ops/clinics/{new_id()}")).status_code == 404
    assert (await console.get("/ops/clinics/x")).status_code == 404


@pytest.mark.parametrize("path", ["/ops/clinics", "/ops/audit?service=payment"])
async def test_a_page_whose_database_is_away_leads_to_what_is_wrong(small: Console, path: str) -> None:
    answer = await small.get(path)

    assert answer.status_code == 503
    assert "A database does not answer" in answer.text
    assert 'href="/ops"' in answer.text


async def test_a_key_is_revoked_with_a_reason_and_the_last_one_stays(
    small: Console, db_gateway: ServiceDb
) -> None:
    async with db_gateway.api.tx(audit.INSTALLATION, operator=True) as tx:
        caller = a_caller("operator", audit.INSTALLATION)
        kept, lost = [await api_keys.make(tx, caller, name) for name in ("kept", "lost")]

    without = await small.post(f"/ops/keys/{lost.id}/revoke", "/ops/keys", reason="")
    done = await small.post(f"/ops/keys/{lost.id}/revoke", "/ops/keys", reason=REASON)
    last = await small.post(f"/ops/keys/{kept.id}/revoke", "/ops/keys", reason=REASON)
    nobody = await small.post(f"/ops/keys/{new_id()}/revoke", "/ops/keys", reason=REASON)

    assert [each.status_code for each in (without, done, last, nobody)] == [422, 303, 422, 422]
    assert await api_keys.find(db_gateway.api, lost.secret) is None
    assert await api_keys.find(db_gateway.api, kept.secret) is not None
    by = await db_gateway.admin.fetchval(
        "SELECT actor FROM audit WHERE action = 'revoke_api_key' ORDER BY seq DESC LIMIT 1"
    )
    assert by == await db_gateway.admin.fetchval("SELECT id FROM operators")


async def test_the_audit_log_is_filtered_and_saved(console: Console, installation: Installation) -> None:
    clinic = installation.world.clinic_id
    page = (await console.get("/ops/audit", params={"service": "invoice", "clinic": "harbour"})).text
    assert "void_invoice" in page or "void" in page

    saved = await console.get("/ops/audit.csv", params={"service": "invoice", "clinic": str(clinic)})

    lines = saved.text.splitlines()
    assert saved.headers["content-type"].startswith("text/csv")
    assert lines[0].startswith("clinic_id,seq,at,actor")
    assert len(lines) > 1
    none = await console.get(
        "/ops/audit", params={"service": "invoice", "clinic": "harbour", "action": "nothing"}
    )
    assert "No entry fits." in none.text


@pytest.mark.parametrize(
    "query",
    [
        {"service": "nothing"},
        {"clinic": "nowhere"},
        {"since": "yesterday"},
        {"until": "2026-02-30"},
        {"action": "\x00"},
        {"clinic": "\x00"},
    ],
)
async def test_a_filter_that_is_wrong_is_said_so(small: Console, query: dict[str, str]) -> None:
    assert (await small.get("/ops/audit", params=query)).status_code == 422
    assert (await small.get("/ops/audit.csv", params=query)).status_code == 422


async def test_the_last_outcome_of_verify_is_kept_and_shown(small: Console, db_gateway: ServiceDb) -> None:
    assert "Nothing was verified yet" in (await small.get("/ops/verify")).text
    breach = Breach("paid_once", {"invoice": "2026-000007"})
    report = Report([Result("paid_once", "invoice", "an invoice is paid once", (breach,), 0.1)])

    await keep(report, db_gateway.admin_dsn)

    page = (await small.get("/ops/verify")).text
    assert "1 breach" in page
    assert "invoice 2026-000007" in page
    assert "The last verify found 1 breaches." in (await small.get("/ops")).text
    await db_gateway.admin.execute(
        """
        INSERT INTO verify_runs (id, ended_at, breaches, not_checked, report)
        SELECT gen_random_uuid(), now() - n * interval '1 day', 0, 0, '{}' FROM generate_series(1, 450) AS n
        """
    )
    await keep(Report([]), db_gateway.admin_dsn)
    assert await db_gateway.admin.fetchval("SELECT count(*) FROM verify_runs") == MOST_KEPT
    assert "No breach" in (await small.get("/ops/verify")).text
