"""The log has one line for each new status of a payment and for each refused change, with ids and the trace."""

from typing import Any

from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from structlog.testing import capture_logs

from services.chassis.ids import new_id
from services.chassis.telemetry import logs
from tests.builders.callers import a_caller
from tests.builders.events import waiting_parked
from tests.builders.values import eur
from tests.running.payment import PaymentService

STRUCTLOGS = {"event", "log_level"}


def named(lines: list[Any], event: str) -> list[dict[str, Any]]:
    """Lines of this name, all of whose fields are logged."""
    found = [line for line in lines if line["event"] == event]
    for line in found:
        assert set(line) - STRUCTLOGS <= logs.FIELDS, line
    return [{name: value for name, value in line.items() if name not in STRUCTLOGS} for line in found]


async def test_each_status_of_a_payment_has_a_line_in_the_trace_in_which_it_began(
    payments: PaymentService, exported: InMemorySpanExporter
) -> None:
    invoice = await payments.open_invoice(eur(125))
    with capture_logs() as lines:
        started = await payments.start((invoice, eur(125)))
        await payments.start((invoice, eur(125)))
        await payments.confirm(started, "pm_card_chargeDeclined")
        await payments.hook.until("payment_intent.payment_failed")
        await payments.consume()
        await payments.confirm(started)
        await payments.hook.until("payment_intent.succeeded")
        await payments.consume()
        await payments.consume()

    began = next(span for span in exported.get_finished_spans() if span.name == "POST /payments")
    [intent] = await payments.intents()
    same = {
        "payment_id": started.json()["payment_id"],
        "clinic_id": str(payments.clinic_id),
        "trace_id": f"{began.context.trace_id:032x}",
    }
    assert named(lines, "payment_status") == [
        {**same, "status": "created"},
        {**same, "status": "failed", "code": "generic_decline", "object_id": intent["id"]},
        {**same, "status": "succeeded", "object_id": intent["id"]},
    ]


async def test_money_outside_stripe_has_a_line_when_it_is_recorded_and_when_it_is_taken_back(
    payments: PaymentService,
) -> None:
    await payments.open_invoice(eur(125))
    staff = a_caller("staff", payments.clinic_id)
    taken = {"client_id": str(payments.client_id), "kind": "cash", "amount": 12500, "currency": "EUR"}

    async def ask(path: str, body: dict[str, Any]) -> Any:
        headers = {"Idempotency-Key": str(new_id())}
        answer = await payments.api.call("POST", path, staff, json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    with capture_logs() as lines:
        payment_id = await ask("/payments/recorded", taken)
        await ask(f"/payments/{payment_id}/reverse", {"reason": "The wrong client"})

    assert [(line["payment_id"], line["status"]) for line in named(lines, "payment_status")] == [
        (payment_id, "succeeded"),
        (payment_id, "reversed"),
    ]
    assert "wrong client" not in str(lines)


async def test_a_refused_payment_has_a_line_and_its_trace_is_kept(
    payments: PaymentService, exported: InMemorySpanExporter
) -> None:
    invoice = await payments.open_invoice(eur(125))
    await payments.pay((invoice, eur(125)))
    exported.clear()

    with capture_logs() as lines:
        refused = await payments.start((invoice, eur(125)))

    assert refused.json()["code"] == "already_paid"
    assert named(lines, "change_refused") == [
        {
            "code": "already_paid",
            "status": 409,
            "method": "POST",
            "path": "/payments",
            "clinic_id": str(payments.clinic_id),
            "client_id": str(payments.client_id),
            "invoice_id": str(invoice),
            "invoice_ids": [str(invoice)],
        }
    ]
    [span] = [each for each in exported.get_finished_spans() if each.name == "POST /payments"]
    assert (span.attributes or {})["clinicpay.keep"] == "refused"


async def test_a_refusal_of_a_paths_object_names_it_and_a_question_has_no_line(
    payments: PaymentService, exported: InMemorySpanExporter
) -> None:
    staff, missing = a_caller("staff", payments.clinic_id), new_id()

    with capture_logs() as lines:
        await payments.api.call("GET", f"/payments/{missing}", payments.client)
        asked = await payments.api.call(
            "POST",
            f"/payments/{missing}/reverse",
            staff,
            json={"reason": "None"},
            headers={"Idempotency-Key": "a"},
        )

    assert asked.status_code == 404
    [line] = named(lines, "change_refused")
    assert (line["payment_id"], line["path"]) == (str(missing), "/payments/{payment_id}/reverse")
    assert "client_id" not in line
    kept = [
        each.name for each in exported.get_finished_spans() if (each.attributes or {}).get("clinicpay.keep")
    ]
    assert kept == ["POST /payments/{payment_id}/reverse"]


async def test_a_parked_event_has_a_line_in_its_own_trace(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(125))
    started = await payments.start((invoice, eur(125)))
    await payments.confirm(started)
    await payments.hook.until("payment_intent.succeeded")
    seen = next(each for each in payments.hook.events() if each.event_type == "payment_intent.succeeded")
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    wrong = {"amount_received": None, "traceparent": f"00-{trace}-00f067aa0ba902b7-00"}

    with capture_logs() as lines:
        await payments.consume(seen.model_copy(update=wrong))

    assert await waiting_parked(payments.db) == [("stripe.event", "stripe_wrong_charge")]
    [line] = [line for line in lines if line["event"] == "event_parked"]
    assert (line["payment_id"], line["trace_id"]) == (started.json()["payment_id"], trace)
