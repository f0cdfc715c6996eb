"""Spans of what comes to a process and leaves it: a request, a consumed batch, each sampled event in it or sent."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from opentelemetry.trace import Link, Span, SpanKind, StatusCode

from contracts.events.envelope import CloudEvent
from services.chassis import clock
from services.chassis.telemetry import attributes
from services.chassis.telemetry.metrics import Seconds
from services.chassis.telemetry.traces import context_of, failed_with, sampled, traceparent_of, tracer

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REQUEST_ID = "clinicpay_request_id"
_took = Seconds(
    "http.server.request.duration",
    "From a request's head to the first byte of its answer, webhooks aside",
    "http.request.method",
    "http.route",
    "http.response.status_code",
)
SLOW_ANSWER = 2.0
"""Seconds to the first byte of an answer, from which the collector keeps the trace."""
LATE_EVENT = timedelta(seconds=60)
"""An event that is handled so long after it happened was late, by a webhook, a relay or a worker."""
MOST_LINKS = 128
"""OpenTelemetry's own limit; more would be dropped without a word."""


def request_id_of(scope: Scope) -> str:
    """The id of a request: that of its trace, which logs have as `trace_id`; a new one where no route was found."""
    state = scope["state"]
    if _REQUEST_ID not in state:
        state[_REQUEST_ID] = uuid4().hex
    return str(state[_REQUEST_ID])


async def tell_request_id(message: Message, scope: Scope) -> None:
    """A `before_send` hook: every answer says the request's id."""
    if message["type"] == "http.response.start":
        message["headers"] = [*message["headers"], (b"x-request-id", request_id_of(scope).encode())]


class RequestSpans(ASGIMiddleware):
    """Gives each request a server span, named by its route, and the id of its trace, and measures it.

    What was asked for is not in it, since a query or a path may hold anything. OpenTelemetry's own middleware takes
    100 to 140 µs of CPU a request, recorded or not; issuing an invoice takes a service 900.
    """

    scopes = (ScopeType.HTTP,)
    exclude_path_pattern = "^/healthz/"

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        method, route, began = str(scope.get("method")), scope["path_template"], time.perf_counter()
        known_method = method if method in _METHODS else "_OTHER"
        with tracer.start_as_current_span(
            f"{method} {route}",
            context=context_of(_traceparent(scope)),
            kind=SpanKind.SERVER,
            attributes={
                "http.request.method": method,
                "http.route": route,
                **attributes.of_path(scope["path_params"]),
            },
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            trace_id = span.get_span_context().trace_id
            if trace_id:
                scope["state"][_REQUEST_ID] = f"{trace_id:032x}"

            async def answering(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    # Until the answer begins: a stream of news may go on for hours.
                    took = time.perf_counter() - began
                    _took.record(took, known_method, route, str(message["status"]))
                    if took > SLOW_ANSWER:
                        attributes.keep(attributes.SLOW, span)
                    if message["status"] >= 500:
                        span.set_status(StatusCode.ERROR)
                await send(message)

            await next_app(scope, receive, answering)


def _traceparent(scope: Scope) -> str | None:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"), None)


@contextmanager
def batch_spans(group: str, events: Sequence[CloudEvent]) -> Iterator[list[CloudEvent]]:
    """Yields the events, each with the traceparent of its own processing span, which its effects go on from.

    An event whose trace is not sampled keeps its traceparent and costs no span.
    """
    contexts = [sampled(event.traceparent) for event in events]
    links = [Link(context) for context in contexts if context is not None]
    with ExitStack() as ending:
        batch = ending.enter_context(
            tracer.start_as_current_span(
                f"{group} batch",
                context=context_of(None),
                kind=SpanKind.CONSUMER,
                links=links[:MOST_LINKS],
                attributes={"messaging.system": "kafka", "messaging.batch.message_count": len(events)},
                # An error's text may quote a row.
                record_exception=False,
                set_status_on_exception=False,
            )
        )
        spans = [
            _event_span(group, event, batch) if context is not None else None
            for event, context in zip(events, contexts, strict=True)
        ]
        try:
            yield [_carried(event, span) for event, span in zip(events, spans, strict=True)]
        except BaseException as error:
            for span in (batch, *filter(None, spans)):
                span.set_status(failed_with(error))
            raise
        finally:
            for span in filter(None, spans):
                span.end()


def _event_span(group: str, event: CloudEvent, batch: Span) -> Span:
    span = tracer.start_span(
        f"{event.topic.name} process",
        context=context_of(event.traceparent),
        kind=SpanKind.CONSUMER,
        links=[Link(batch.get_span_context())],
        attributes={
            "messaging.system": "kafka",
            "messaging.destination.name": event.topic.name,
            "messaging.consumer.group.name": group,
            "messaging.message.id": str(event.id),
            **attributes.of_fields(event),
        },
    )
    if is_late(event):
        attributes.keep(attributes.SLOW, span)
    return span


def is_late(event: CloudEvent) -> bool:
    """Whether it happened longer ago than events take to get here."""
    return clock.now() - event.time > LATE_EVENT


def _carried(event: CloudEvent, span: Span | None) -> CloudEvent:
    return event if span is None else event.model_copy(update={"traceparent": traceparent_of(span)})


@contextmanager
def sent_spans(rows: Sequence[Mapping[str, Any]]) -> Iterator[None]:
    """A span for each sampled event of an outbox's rows, in the event's own trace, until Kafka has confirmed all.

    An event whose trace is not sampled costs a look at its body. The relay reads no body otherwise.
    """
    spans = [span for row in rows if (span := _sent_span(row, len(rows))) is not None]
    try:
        yield
    except BaseException as error:
        for span in spans:
            span.set_status(failed_with(error))
        raise
    finally:
        for span in spans:
            span.end()


def _sent_span(row: Mapping[str, Any], together: int) -> Span | None:
    traceparent = _traceparent_in(row["payload"])
    if sampled(traceparent) is None:
        return None
    return tracer.start_span(
        f"{row['aggregatetype']} send",
        context=context_of(traceparent),
        kind=SpanKind.PRODUCER,
        attributes={
            "messaging.system": "kafka",
            "messaging.destination.name": row["aggregatetype"],
            "messaging.message.id": str(row["id"]),
            "messaging.batch.message_count": together,
        },
    )


def _traceparent_in(body: bytes) -> str | None:
    """The `traceparent` of an encoded event: the relay decodes none."""
    # The envelope comes before the data, and a text in the data cannot hold an unescaped quote.
    at = body.find(_FIELD, 0, _ENVELOPE)
    begin = at + len(_FIELD)
    return None if at < 0 else body[begin : begin + _LENGTH].decode("latin-1")


_FIELD, _LENGTH = b'"traceparent":"', 55
_ENVELOPE = 600
"""More than the fields before the data have: ids, the topic's name, a time and the trace."""
