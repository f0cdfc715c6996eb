"""The chassis's parts that need nothing but Python: settings, logs, traces."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import pytest
import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services.chassis.ids import new_id
from services.chassis.outbox.sources import Settings as RelaySettings
from services.chassis.settings import ServiceSettings, load
from services.chassis.telemetry import logs
from services.chassis.telemetry import spans as tracing
from services.chassis.telemetry import traces as telemetry
from tests.builders.payments import a_settlement
from tests.builders.values import eur

GIVEN = {
    "HTTP_PORT": "8000",
    "KAFKA_BOOTSTRAP_SERVERS": "localhost:9092",
    "DATABASE_URL": "postgresql://invoice_api@localhost/clinicpay_invoice",
    "INTERNAL_TOKEN_PUBLIC_KEY": "{}",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in (*GIVEN, "DATABASE_URL_FILE"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_settings_come_from_the_environment(environment: pytest.MonkeyPatch) -> None:
    for name, value in GIVEN.items():
        environment.setenv(name, value)

    assert load(ServiceSettings).http_port == 8000


def test_all_that_is_wrong_with_the_settings_is_said_at_once_and_no_value_with_it(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("HTTP_PORT", "secret-canary")
    environment.setenv("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")

    with pytest.raises(SystemExit) as ended:
        load(ServiceSettings)

    output = capsys.readouterr().err
    assert ended.value.code == 2
    assert [name in output for name in ("HTTP_PORT", "DATABASE_URL", "INTERNAL_TOKEN_PUBLIC_KEY")] == [
        True
    ] * 3
    assert "KAFKA" not in output
    assert "canary" not in output


def test_a_secret_may_stand_in_a_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in GIVEN.items():
        environment.setenv(name, value)
    environment.delenv("DATABASE_URL")
    (tmp_path / "dsn").write_text("postgresql://from-a-file/x\n")
    environment.setenv("DATABASE_URL_FILE", str(tmp_path / "dsn"))

    assert load(ServiceSettings).database_url == "postgresql://from-a-file/x"


def test_the_relay_knows_its_outboxes_by_name(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTP_PORT", "1")
    environment.setenv("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
    environment.setenv("RELAY_DATABASE_URLS", "invoice=postgresql://a/b?x=1, payment=postgresql://c/d")

    assert load(RelaySettings).outboxes == {"invoice": "postgresql://a/b?x=1", "payment": "postgresql://c/d"}


def _logged(event: str, level: str = "info", **fields: Any) -> dict[str, Any]:
    output = io.StringIO()
    with redirect_stderr(output):
        logs.configure("invoice", "api", "INFO")
        getattr(structlog.get_logger(), level)(event, **fields)
    structlog.contextvars.clear_contextvars()
    entry: dict[str, Any] = json.loads(output.getvalue())
    return entry


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:], logging.root.level = handlers, level
    structlog.reset_defaults()


def test_a_log_line_holds_allowed_fields_only() -> None:
    entry = _logged("event_parked", reason="wrong_currency", practitioner="PHI-CANARY", email="a@b.example")

    assert entry["reason"] == "wrong_currency"
    assert (entry["service"], entry["role"]) == ("invoice", "api")
    assert "CANARY" not in json.dumps(entry)
    assert "email" not in entry


def test_an_exception_is_logged_by_type_and_place_and_never_by_its_text() -> None:
    try:
        raise ValueError("Failing row contains (PHI-CANARY)")
    except ValueError as error:
        entry = _logged("request_failed", "error", exc_info=error)

    assert entry["exception"]["type"] == "ValueError"
    assert "test_chassis.py" in entry["exception"]["at"][-1]
    assert "CANARY" not in json.dumps(entry)


def test_a_line_about_something_of_another_trace_names_that_one(exported: InMemorySpanExporter) -> None:
    with telemetry.span_from("batch", PARENT):
        own, others = _logged("batch_refused"), _logged("payment_status", trace_id="ab" * 16)

    assert own["trace_id"] == PARENT[3:35]
    assert others["trace_id"] == "ab" * 16
    assert "span_id" not in others


PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
UNSAMPLED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"


def test_each_event_of_a_batch_has_a_span_in_its_own_trace_and_hands_that_on(
    exported: InMemorySpanExporter,
) -> None:
    events = [
        a_settlement(new_id(), new_id(), eur(1)).model_copy(update={"traceparent": PARENT}),
        a_settlement(new_id(), new_id(), eur(2)).model_copy(update={"traceparent": UNSAMPLED}),
        a_settlement(new_id(), new_id(), eur(3)),
    ]

    with tracing.batch_spans("invoice", events) as carried:
        handed_on = [event.traceparent for event in carried]

    batch, span = sorted(exported.get_finished_spans(), key=lambda each: each.name)
    assert (batch.name, span.name) == ("invoice batch", "payment.settled process")
    assert span.parent is not None
    assert span.parent.span_id == int("00f067aa0ba902b7", 16)
    assert handed_on[0] == f"00-4bf92f3577b34da6a3ce929d0e0e4736-{span.context.span_id:016x}-01"
    assert handed_on[1:] == [UNSAMPLED, None]
    assert [link.context.span_id for link in batch.links] == [int("00f067aa0ba902b7", 16)]


def test_a_failed_batch_marks_its_spans_as_errors(exported: InMemorySpanExporter) -> None:
    event = a_settlement(new_id(), new_id(), eur(1)).model_copy(update={"traceparent": PARENT})

    with pytest.raises(ConnectionResetError), tracing.batch_spans("invoice", [event]):
        raise ConnectionResetError("Failing row contains (PHI-CANARY)")

    assert {span.status.status_code for span in exported.get_finished_spans()} == {trace.StatusCode.ERROR}
    assert not [span.name for span in exported.get_finished_spans() if "CANARY" in span.to_json()]


@pytest.mark.parametrize(
    "nonsense", [None, "", "x", "00-0-0-0", PARENT.replace("4bf92f", "ZZZZZZ"), "a" * 100_000]
)
def test_a_malformed_traceparent_is_no_trace_and_no_error(nonsense: str | None) -> None:
    assert telemetry.span_context_of(nonsense) is None


def test_a_stored_traceparent_goes_on(exported: InMemorySpanExporter) -> None:
    with telemetry.span_from("send", PARENT):
        assert (telemetry.current_traceparent() or "").startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-")

    (span,) = exported.get_finished_spans()
    assert span.parent is not None
    assert span.parent.span_id == int("00f067aa0ba902b7", 16)
