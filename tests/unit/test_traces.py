"""Spans: their attributes, the mark that keeps a trace, and the cost of one that is not sampled."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services.chassis import clock
from services.chassis.ids import new_id
from services.chassis.telemetry import spans as tracing
from services.chassis.telemetry import traces as telemetry
from tests.builders.payments import a_settlement
from tests.builders.values import eur

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
UNSAMPLED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
RANDOM = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02"
"""Not sampled; what OpenTelemetry's SDK writes of a trace whose id it made itself."""
SETTLED = "payment.settled"


def test_an_event_that_is_handled_is_found_by_its_ids(exported: InMemorySpanExporter) -> None:
    event = a_settlement(new_id(), new_id(), eur(1)).model_copy(update={"traceparent": PARENT})

    with tracing.batch_spans("invoice", [event]):
        pass

    [span] = [each for each in exported.get_finished_spans() if each.name == "payment.settled process"]
    assert {
        name: value for name, value in (span.attributes or {}).items() if name.startswith("clinicpay")
    } == {
        "clinicpay.clinic.id": str(event.clinic_id),
        "clinicpay.invoice.id": str(event.invoice_id),
        "clinicpay.payment.id": str(event.payment_id),
    }
    assert (span.attributes or {})["messaging.message.id"] == str(event.id)


@pytest.mark.parametrize(("seconds", "kept"), [(0, None), (59, None), (61, "slow")])
def test_the_trace_of_a_late_event_is_kept(
    exported: InMemorySpanExporter, seconds: int, kept: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    monkeypatch.setattr(clock, "now", lambda: at + timedelta(seconds=seconds))
    event = a_settlement(new_id(), new_id(), eur(1)).model_copy(update={"traceparent": PARENT, "time": at})

    with tracing.batch_spans("invoice", [event]):
        pass

    [span] = [each for each in exported.get_finished_spans() if each.name == "payment.settled process"]
    assert (span.attributes or {}).get("clinicpay.keep") == kept


def an_outbox_row(traceparent: str | None) -> dict[str, object]:
    event = a_settlement(new_id(), new_id(), eur(1))
    return {"id": event.id, "aggregatetype": event.topic.name, "payload": event.encode(traceparent)}


def test_each_sampled_event_that_is_sent_has_a_span_in_its_own_trace(exported: InMemorySpanExporter) -> None:
    rows = [an_outbox_row(each) for each in (PARENT, UNSAMPLED, RANDOM, None)]

    with tracing.sent_spans(rows):
        assert exported.get_finished_spans() == ()

    [span] = exported.get_finished_spans()
    assert (span.name, span.kind) == ("payment.settled send", trace.SpanKind.PRODUCER)
    assert span.parent is not None
    assert (span.parent.trace_id, span.parent.span_id) == (
        int("4bf92f3577b34da6a3ce929d0e0e4736", 16),
        int("00f067aa0ba902b7", 16),
    )
    attributes = dict(span.attributes or {})
    assert attributes["messaging.message.id"] == str(rows[0]["id"])
    assert (attributes["messaging.destination.name"], attributes["messaging.batch.message_count"]) == (
        SETTLED,
        4,
    )


def test_an_event_that_kafka_did_not_confirm_is_marked(exported: InMemorySpanExporter) -> None:
    with pytest.raises(TimeoutError), tracing.sent_spans([an_outbox_row(PARENT)]):
        raise TimeoutError

    [span] = exported.get_finished_spans()
    assert (span.status.status_code, span.status.description) == (trace.StatusCode.ERROR, "TimeoutError")


def test_a_traceparent_inside_an_events_data_begins_no_span(exported: InMemorySpanExporter) -> None:
    row = an_outbox_row(None)
    assert isinstance(row["payload"], bytes)
    text = f'"traceparent":"{PARENT}"'.replace('"', '\\"').encode()
    row["payload"] = row["payload"].replace(b'"data":{', b'"data":{"note":"' + text + b'",', 1)

    with tracing.sent_spans([row]):
        pass

    assert json.loads(row["payload"])["data"]["note"] == f'"traceparent":"{PARENT}"'
    assert exported.get_finished_spans() == ()


def test_the_text_of_an_error_is_on_no_span(exported: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError), telemetry.span_from("work", PARENT):
        raise ValueError("Failing row contains (PHI-CANARY)")

    [span] = exported.get_finished_spans()
    assert (span.status.status_code, span.status.description) == (trace.StatusCode.ERROR, "ValueError")
    assert "CANARY" not in span.to_json()


@pytest.mark.parametrize(
    ("traceparent", "sampled"),
    [
        (PARENT, True),
        (PARENT[:-1] + "3", True),
        (UNSAMPLED, False),
        (RANDOM, False),
        (None, False),
        ("", False),
    ],
)
def test_a_traceparent_says_by_one_bit_whether_it_is_sampled(traceparent: str | None, sampled: bool) -> None:
    assert (telemetry.sampled(traceparent) is not None) is sampled
