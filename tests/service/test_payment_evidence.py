"""Evidence of disputes: written, previewed, and submitted once, whatever Stripe answers and whichever process dies."""

import asyncio
from datetime import timedelta
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from stripe import HTTPClient

from contracts.http.disputes import MOST_CHARACTERS, TEXT_LIMITS
from services.chassis.http.auth import Caller
from services.chassis.queue.working import Worker
from services.payment import consumers
from services.payment.evidence import actions
from services.payment.evidence.sweep import submitting
from services.payment.retention import RULES
from tests.builders.values import eur
from tests.running.disputes import charge_of, dispute, disputes_at_stripe, end
from tests.running.payment import PaymentService
from tests.running.refunds import staff
from tests.service.test_stripe_calls import MEANINGS, answers, corrected

HELD = {"customer_name": "Ann Client", "product_description": "Invoice ALD-1."}
TEXTS = {"uncategorized_text": "The client came, and signed.", "product_description": "Two fillings."}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's retries follow at once."""
    monkeypatch.setattr(HTTPClient, "INITIAL_DELAY", 0.01)
    monkeypatch.setattr(HTTPClient, "MAX_DELAY", 0.02)


async def a_dispute(payments: PaymentService, **how: Any) -> str:
    """A paid invoice whose payment is disputed: the dispute's id here."""
    invoice = await payments.open_invoice(eur(50))
    charge = await charge_of(payments, await payments.pay((invoice, eur(50))))
    await dispute(payments, charge, **how)
    await payments.consume()
    return str(await payments.db.admin.fetchval("SELECT id FROM disputes"))


async def call(payments: PaymentService, method: str, path: str, body: Any = None, who: Any = None) -> Any:
    caller: Caller = who or staff(payments)
    return await payments.api.call(method, f"/disputes/{path}", caller, json=body)


async def put(payments: PaymentService, id_: str, texts: Any = TEXTS, **more: Any) -> Any:
    return await call(payments, "PUT", f"{id_}/evidence", {"texts": texts} | more)


async def preview(payments: PaymentService, id_: str, held: Any = HELD) -> Any:
    return (await call(payments, "POST", f"{id_}/evidence/preview", {"held": held})).json()


async def submit(payments: PaymentService, id_: str, digest: str, held: Any = HELD) -> Any:
    return await call(payments, "POST", f"{id_}/evidence/submission", {"held": held, "digest": digest})


async def read(payments: PaymentService, id_: str) -> Any:
    return (await call(payments, "GET", f"{id_}/evidence")).json()


async def work(payments: PaymentService) -> int:
    """Work on the tasks of evidence, as if their time had come."""
    await payments.db.admin.execute(
        "UPDATE tasks SET due_at = app_now(), claimed_until = NULL WHERE kind = $1 AND state = 'due'",
        actions.TASK,
    )
    return await Worker(
        payments.worker, [submitting(payments.worker, payments.stripe, consumers.apply_stripe_events)]
    ).work_due()


async def at_stripe(payments: PaymentService) -> tuple[str, int, dict[str, str]]:
    """(status, submissions, texts) of the dispute at Stripe."""
    [found] = await disputes_at_stripe(payments)
    texts = {name: text for name, text in found["evidence"].items() if text and name in TEXT_LIMITS}
    return found["status"], found["evidence_details"]["submission_count"], texts


async def test_a_preview_is_what_is_sent_and_staff_win_over_records(payments: PaymentService) -> None:
    id_ = await a_dispute(payments)

    kept = (await put(payments, id_, with_services=True)).json()
    seen = await preview(payments, id_)
    sent = (await submit(payments, id_, seen["digest"])).json()

    assert (kept["texts"]["product_description"], kept["with_services"], kept["state"]) == (
        "Two fillings.",
        True,
        "draft",
    )
    assert [(each["name"], each["held"]) for each in seen["texts"]] == [
        ("customer_name", True),
        ("product_description", False),
        ("uncategorized_text", False),
    ]
    assert [each["limit"] for each in seen["texts"]] == [5_000, 20_000, 20_000]
    assert (seen["length"], seen["limit"]) == (sum(each["length"] for each in seen["texts"]), MOST_CHARACTERS)
    assert (sent["state"], sent["digest"], seen["refusal"]) == ("sent", seen["digest"], None)
    assert sent["refusal"] == "evidence_already_submitted"
    texts = {each["name"]: each["text"] for each in seen["texts"]}
    assert await at_stripe(payments) == ("under_review", 1, texts)
    await work(payments)
    assert await payments.db.admin.fetchval("SELECT status FROM disputes") == "under_review"


async def test_who_wrote_and_who_submitted_is_in_the_audit_log(payments: PaymentService) -> None:
    id_ = await a_dispute(payments)

    await put(payments, id_)
    await put(payments, id_)
    await submit(payments, id_, (await preview(payments, id_))["digest"])
    await submit(payments, id_, (await preview(payments, id_))["digest"])

    rows = await payments.db.admin.fetch("SELECT action, subject_id, actor FROM audit ORDER BY seq")
    assert [(row["action"], str(row["subject_id"])) for row in rows] == [
        ("put_evidence", id_),
        ("submit_evidence", id_),
    ]
    assert all(row["actor"] for row in rows)


async def test_twenty_presses_at_once_submit_once(payments: PaymentService) -> None:
    id_ = await a_dispute(payments)
    await put(payments, id_)
    digest = (await preview(payments, id_))["digest"]

    pressed = await asyncio.gather(*(submit(payments, id_, digest) for _ in range(20)))

    assert {answer.status_code for answer in pressed} == {200}
    assert (await at_stripe(payments))[1] == 1
    assert await payments.db.admin.fetchval("SELECT count(*) FROM evidence_submissions") == 1


@pytest.mark.parametrize(
    ("methods", "kind"),
    [
        *product((("POST",), ("POST", "GET")), MEANINGS),
        (("POST",), "timeout_after"),
    ],
)
async def test_evidence_is_sent_once_or_provably_not_whatever_stripe_answers(
    payments: PaymentService, methods: tuple[str, ...], kind: str
) -> None:
    id_ = await a_dispute(payments)
    await put(payments, id_)
    digest = (await preview(payments, id_))["digest"]
    for method in methods:
        await answers(payments, kind, method, "/v1/disputes/*")

    first = await submit(payments, id_, digest)
    if first.status_code == 200 and first.json()["state"] == "sending":
        assert (await put(payments, id_, {"customer_name": "Other"})).json()["code"] == (
            "evidence_already_submitted"
        )
        other = await submit(payments, id_, "0" * 64)
        assert other.json()["code"] == "evidence_already_submitted"
    await work(payments)
    await corrected(payments)
    for _ in range(2):  # Stripe may keep an error of its own under the first key
        await work(payments)

    state = (await read(payments, id_))["state"]
    status, submissions, texts = await at_stripe(payments)
    assert (state, submissions) in {("sent", 1), ("refused", 0)}
    if state == "refused":
        assert first.status_code in (200, 409)
        assert (await put(payments, id_, {"customer_name": "Other"})).status_code == 200
        again = (await preview(payments, id_))["digest"]
        assert (await submit(payments, id_, again)).json()["state"] == "sent"
        status, submissions, texts = await at_stripe(payments)
    assert (status, submissions) == ("under_review", 1)
    assert texts["customer_name"] == ("Other" if state == "refused" else "Ann Client")


async def test_a_refusal_of_stripes_says_why(payments: PaymentService) -> None:
    id_ = await a_dispute(payments)
    await put(payments, id_)
    await answers(payments, "400", "POST", "/v1/disputes/*")

    refused = await submit(payments, id_, (await preview(payments, id_))["digest"])

    assert (refused.status_code, refused.json()["code"]) == (409, "evidence_refused")
    assert refused.json()["reason"] == "parameter_unknown"
    kept = await read(payments, id_)
    assert (kept["state"], kept["reason"], kept["refusal"]) == ("refused", "parameter_unknown", None)


async def test_evidence_whose_answer_was_lost_is_found_when_stripe_has_forgotten_its_key(
    payments: PaymentService,
) -> None:
    """The person presses again a day later: Stripe refuses a second submission."""
    id_ = await a_dispute(payments)
    await put(payments, id_)
    digest = (await preview(payments, id_))["digest"]
    await answers(payments, "500_after", "POST", "/v1/disputes/*")
    await answers(payments, "500_before", "GET", "/v1/disputes/*")
    assert (await submit(payments, id_, digest)).json()["state"] == "sending"
    assert (await at_stripe(payments))[1] == 1
    await corrected(payments)
    await payments.sandbox.control("POST", "/clock", {"offset_seconds": 2 * 86_400})

    again = await submit(payments, id_, digest)

    assert (again.status_code, again.json()["state"]) == (200, "sent")
    assert (await at_stripe(payments))[:2] == ("under_review", 1)


async def test_what_a_process_committed_before_it_died_is_sent(payments: PaymentService) -> None:
    id_ = await a_dispute(payments)
    await put(payments, id_)
    digest = (await preview(payments, id_))["digest"]

    async with payments.db.api.tx(payments.clinic_id) as tx:
        await actions.begin(tx, staff(payments), UUID(id_), HELD, digest)
    assert (await at_stripe(payments))[1] == 0
    assert (await read(payments, id_))["state"] == "sending"
    await work(payments)

    assert (await at_stripe(payments))[:2] == ("under_review", 1)
    assert (await read(payments, id_))["state"] == "sent"
    assert await payments.db.admin.fetchval("SELECT status FROM disputes") == "under_review"


async def test_the_answer_to_an_inquiry_never_goes_to_the_chargeback(payments: PaymentService) -> None:
    id_ = await a_dispute(payments, status="warning_needs_response")
    await put(payments, id_)
    digest = (await preview(payments, id_))["digest"]
    await answers(payments, "500_before", "POST", "/v1/disputes/*")
    assert (await submit(payments, id_, digest)).json()["state"] == "sending"
    await corrected(payments)
    [made] = await disputes_at_stripe(payments)
    await end(payments, made["id"], "escalated")
    await payments.consume()

    await work(payments)

    kept = await read(payments, id_)
    assert (kept["state"], kept["reason"], kept["refusal"]) == ("refused", "not_wanted", None)
    assert (await at_stripe(payments))[1] == 0
    assert (await submit(payments, id_, digest)).json()["state"] == "sent"
    assert (await at_stripe(payments))[:2] == ("under_review", 1)


async def test_an_inquiry_that_was_answered_can_be_answered_as_a_chargeback(payments: PaymentService) -> None:
    id_ = await a_dispute(payments, status="warning_needs_response")
    await put(payments, id_)
    digest = (await preview(payments, id_))["digest"]
    assert (await submit(payments, id_, digest)).json()["state"] == "sent"
    [made] = await disputes_at_stripe(payments)
    await end(payments, made["id"], "escalated")
    await payments.consume()

    assert (await read(payments, id_))["refusal"] is None
    assert (await submit(payments, id_, digest)).json()["state"] == "sent"
    assert (await at_stripe(payments))[1] == 2


async def _late(payments: PaymentService) -> None:
    await payments.db.admin.execute("UPDATE disputes SET due_by = app_now() - interval '1 s'")


async def _without_answer(payments: PaymentService) -> None:
    await payments.db.admin.execute("UPDATE disputes SET due_by = NULL")


async def _lost(payments: PaymentService) -> None:
    await payments.db.admin.execute("UPDATE disputes SET status = 'lost'")


async def _answered_elsewhere(payments: PaymentService) -> None:
    await payments.db.admin.execute("UPDATE disputes SET status = 'under_review', submissions = 1")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_late, "evidence_too_late"),
        (_without_answer, "dispute_not_answerable"),
        (_lost, "dispute_not_answerable"),
        (_answered_elsewhere, "evidence_already_submitted"),
    ],
)
async def test_what_the_bank_would_not_take_is_refused_before_stripe_is_asked(
    payments: PaymentService, change: Any, code: str
) -> None:
    id_ = await a_dispute(payments)
    await put(payments, id_)
    digest = (await preview(payments, id_))["digest"]
    await change(payments)

    for answer in (await put(payments, id_, {}), await submit(payments, id_, digest)):
        assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert ((await preview(payments, id_))["refusal"], (await read(payments, id_))["refusal"]) == (code, code)
    assert (await read(payments, id_))["texts"]["product_description"] == "Two fillings."
    assert (await at_stripe(payments))[1] == 0


async def test_nothing_but_what_was_previewed_is_sent(payments: PaymentService) -> None:
    id_ = await a_dispute(payments)
    await put(payments, id_)
    digest = (await preview(payments, id_))["digest"]

    changed = await submit(payments, id_, digest, HELD | {"customer_name": "Ann Married"})
    empty = await preview(payments, id_, {})
    await put(payments, id_, {})
    nothing = await submit(payments, id_, (await preview(payments, id_, {}))["digest"], {})

    assert (changed.status_code, changed.json()["code"]) == (409, "evidence_changed")
    assert empty["texts"]
    assert (nothing.status_code, nothing.json()["code"]) == (422, "evidence_empty")
    assert (await at_stripe(payments))[1] == 0


async def test_texts_have_stripes_limits(payments: PaymentService) -> None:
    id_ = await a_dispute(payments)
    longest = {name: "x" * limit for name, limit in TEXT_LIMITS.items()}

    for wrong in ({"customer_name": "x" * 5_001}, {"surprise": "x"}, {"uncategorized_text": "a\x00b"}):
        answer = await put(payments, id_, wrong)
        assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid")
    assert (await put(payments, id_, longest)).status_code == 200
    seen = await preview(payments, id_)
    assert (seen["length"] > MOST_CHARACTERS, seen["refusal"]) == (True, "evidence_too_long")
    refused = await submit(payments, id_, seen["digest"])
    assert (refused.status_code, refused.json()["code"]) == (422, "evidence_too_long")


async def test_texts_go_with_time(payments: PaymentService) -> None:
    id_ = await a_dispute(payments)
    await put(payments, id_)
    await submit(payments, id_, (await preview(payments, id_))["digest"])
    await payments.db.admin.execute("UPDATE evidence SET updated_at = app_now() - interval '181 days'")
    await payments.db.admin.execute(
        "UPDATE evidence_submissions SET ended_at = app_now() - interval '181 days'"
    )

    for rule in RULES:
        if rule.table.startswith("evidence"):
            assert rule.delete is not None
            async with payments.worker.worker_tx() as tx:
                await tx.execute(rule.delete, timedelta(days=180), 10)

    assert await payments.db.admin.fetchval("SELECT count(*) FROM evidence") == 0
    assert await payments.db.admin.fetchval("SELECT count(*) FROM evidence_submissions") == 0
    await work(payments)
