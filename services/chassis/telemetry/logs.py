"""Structured logs: one JSON object a line, with trace ids, and only fields from an allow-list.

The text of a clinic or a client never gets into a log by accident: of an unknown field the name is kept, in `dropped`,
and of an exception its type and place, not its text, which may quote a row.
"""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import structlog
from opentelemetry import trace

from services.chassis.telemetry.libraries import Repeats

FIELDS = {
    *("event", "level", "timestamp", "service", "role", "logger", "trace_id", "span_id", "exception"),
    *(
        "group",
        "topic",
        "partition",
        "offset",
        "events",
        "event_id",
        "parked_id",
        "reason",
        "database",
        "shard",
        "sent",
    ),
    *(
        "clinic_id",
        "client_id",
        "invoice_id",
        "invoice_ids",
        "payment_id",
        "refund_id",
        "dispute_id",
        "stripe_dispute_id",
        "cause",
        "account",
        "delivery_id",
        "job",
        "attempt",
        "attempts",
        "pause_s",
    ),
    *(
        "method",
        "path",
        "status",
        "code",
        "event_type",
        "error",
        "method_id",
        "stripe_event_id",
        "stripe_code",
        "request_id",
        "object_id",
        "count",
        "own",
        "other",
        "template",
        "part",
        "seconds",
        "tasks",
        "overdue_s",
        "version",
        "settings",
    ),
}

IDS = ("clinic_id", "client_id", "invoice_id", "payment_id", "refund_id", "dispute_id", "method_id")
"""Fields of requests and events that lines about refusals have."""

Entry = MutableMapping[str, Any]


def configure(service: str, role: str, level: str) -> None:
    """Log to standard error. Libraries' own logs take the same way, warnings and errors only."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
        _exception_without_text,
    ]
    structlog.configure(
        processors=[*shared, allowed, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service, role=role)
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(Repeats())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, _count_of_library, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                allowed,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def _add_trace(_: Any, __: str, entry: Entry) -> Entry:
    """The current trace, unless the line is about something of another one."""
    if "trace_id" in entry:
        return entry
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        entry["trace_id"] = f"{context.trace_id:032x}"
        entry["span_id"] = f"{context.span_id:016x}"
    return entry


def _exception_without_text(_: Any, __: str, entry: Entry) -> Entry:
    raised = entry.pop("exc_info", None)
    if raised is True:
        raised = sys.exc_info()[1]
    if isinstance(raised, tuple):
        raised = raised[1]
    if isinstance(raised, BaseException):
        frames = traceback.extract_tb(raised.__traceback__)[-8:]
        places = [f"{frame.filename.rsplit('/', 2)[-1]}:{frame.lineno} {frame.name}" for frame in frames]
        entry["exception"] = {"type": type(raised).__qualname__, "at": places}
    return entry


def _count_of_library(_: Any, __: str, entry: Entry) -> Entry:
    """How often a library wrote this since its last line, if more than once."""
    count = getattr(entry.get("_record"), "count", 1)
    return {**entry, "count": count} if count > 1 else entry


def allowed(_: Any, __: str, entry: Entry) -> Entry:
    kept = {name: value for name, value in entry.items() if name in FIELDS}
    if dropped := sorted(entry.keys() - kept.keys()):
        kept["dropped"] = dropped
    return kept
