"""Structured logs: one JSON object a line, with trace ids, and only fields from an allow-list.

The text of a clinic or a client never gets into a log by accident: an unknown field is dropped, and of an exception
its type and place are kept, not its text, which may quote a row.
"""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import structlog
from opentelemetry import trace

FIELDS = {
    *("event", "level", "timestamp", "service", "role", "logger", "trace_id", "span_id", "exception"),
    *("group", "topic", "partition", "offset", "events", "event_id", "reason", "database", "shard", "sent"),
    *(
        "clinic_id",
        "client_id",
        "invoice_id",
        "payment_id",
        "refund_id",
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
        "account",
        "request_id",
        "template",
        "part",
        "seconds",
    ),
}

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
        processors=[*shared, _allowed, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service, role=role)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _allowed,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def _add_trace(_: Any, __: str, entry: Entry) -> Entry:
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


def _allowed(_: Any, __: str, entry: Entry) -> Entry:
    return {name: value for name, value in entry.items() if name in FIELDS}
