"""A fault that goes on is a few lines of the log, and no field that code logs is dropped."""

import ast
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from services.chassis import incidents as module
from services.chassis.incidents import AGAIN_SECONDS, QUIET_SECONDS, Incidents
from services.chassis.telemetry import libraries, logs
from services.chassis.telemetry.libraries import EVERY_SECONDS, Repeats

ROOT = Path(__file__).resolve().parents[2]
FIRST = {"event", "log_level", "exc_info"}


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    monkeypatch.setattr(libraries, "time", made)
    return made


def test_an_incident_is_told_when_it_begins_goes_on_and_ends(clock: Clock) -> None:
    incidents = Incidents()
    with capture_logs() as told:
        for second in range(150):
            clock.now = 1000.0 + second
            for _ in range(20):
                incidents.failed("kafka_unreachable", "relay", event_id=str(second))
        incidents.worked("kafka_unreachable", "relay")
        clock.now += QUIET_SECONDS
        incidents.worked("kafka_unreachable", "relay")
        incidents.worked("kafka_unreachable", "relay")

    assert [(each["event"], each.get("count")) for each in told] == [
        ("kafka_unreachable_begins", None),
        ("kafka_unreachable_goes_on", 1201),
        ("kafka_unreachable_goes_on", 2401),
        ("kafka_unreachable_ends", 3000),
    ]
    assert (told[0]["event_id"], told[0]["part"], told[1]["seconds"]) == ("0", "relay", AGAIN_SECONDS)


def test_a_fault_that_comes_and_goes_is_one_incident(clock: Clock) -> None:
    incidents = Incidents()
    with capture_logs() as told:
        for _ in range(100):
            clock.now += 0.1
            incidents.failed("webhook_signature_wrong")
            incidents.worked("webhook_signature_wrong")
    assert [each["event"] for each in told] == ["webhook_signature_wrong_begins"]


def test_parts_are_told_apart_and_their_number_is_bounded(clock: Clock) -> None:
    incidents = Incidents()
    with capture_logs() as told:
        for part in range(1000):
            incidents.failed("outbox_unreachable", str(part))
    assert len(told) == 100


def test_a_librarys_line_comes_once_a_minute_with_its_number(clock: Clock) -> None:
    repeats, passed = Repeats(), list[logging.LogRecord]()
    for second in range(130):
        clock.now = 1000.0 + second
        for where in (10, 20):
            record = logging.LogRecord(
                "aiokafka", logging.ERROR, "client.py", where, "no %s", (second,), None
            )
            passed += [record] if repeats.filter(record) else []
    assert [(each.lineno, vars(each)["count"]) for each in passed] == [
        (line, count) for count in (1, EVERY_SECONDS, EVERY_SECONDS) for line in (10, 20)
    ]


def test_a_field_that_is_dropped_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    told = logs.allowed(None, "info", {"event": "x", "client_name": "Ann Byrne", "count": 1})
    assert told == {"event": "x", "count": 1, "dropped": ["client_name"]}
    assert "Ann" not in json.dumps(told)


def logged_fields(source: str) -> Iterator[tuple[int, str | None]]:
    """The names of the fields in each call of a logger, of `incidents`, and of what hands fields on to them."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and _logs(node.func):
            yield from ((node.lineno, keyword.arg) for keyword in node.keywords)


def _logs(called: ast.expr) -> bool:
    if isinstance(called, ast.Name):
        return called.id in ("level", "tolerate")  # chosen between two levels; a row that is asked about
    if not isinstance(called, ast.Attribute) or not isinstance(called.value, ast.Name):
        return False
    return (called.value.id, called.attr) == ("incidents", "failed") or (
        called.value.id == "log" and called.attr in dir(structlog.stdlib.BoundLogger)
    )


HANDED_ON = {
    *("services/payment/stripe/sweeps.py", "services/chassis/outbox/sources.py"),
    *(
        "services/chassis/http/app.py",
        "services/chassis/kafka/consume.py",
        "services/payment/payments/lines.py",
    ),
}
"""Files that log fields by `**`: those of `tolerate` are read above, an outbox's is its shard,
a refusal's are `logs.IDS`,
a payment's are looked at by tests/service/test_payment_lines.py."""


def test_every_field_that_code_logs_is_allowed() -> None:
    found = [
        (str(file.relative_to(ROOT)), line, name)
        for folder in ("services", "deploy")
        for file in sorted((ROOT / folder).rglob("*.py"))
        for line, name in logged_fields(file.read_text())
    ]
    assert len(found) > 60, "the walk finds the calls"
    assert {file for file, _, name in found if name is None} - {"services/chassis/incidents.py"} <= HANDED_ON
    refused = [each for each in found if each[2] not in logs.FIELDS | FIRST | {None}]
    assert not refused
    assert {"shard", "invoice_ids", *logs.IDS} <= logs.FIELDS
