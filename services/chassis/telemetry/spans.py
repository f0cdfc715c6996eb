"""Spans of what comes to a process: of a request, and of a consumed batch with each sampled event in it."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from uuid import uuid4

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode

from contracts.events.envelope import CloudEvent
from services.chassis.telemetry.metrics import Seconds
from services.chassis.telemetry.traces import context_of, span_context_of, traceparent_of, tracer

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REQUEST_ID = "clinicpay_request_id"
_took = Seconds(
    "http.server.request.duration",
    "From a request's head to the first byte of its answer, webhooks aside",
    "http.request.method",
    "http.route",
    "http.response.status_code",
)
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
            attributes={"http.request.method": method, "http.route": route},
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
                    _took.record(time.perf_counter() - began, known_method, route, str(message["status"]))
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
    contexts = [_sampled(event.traceparent) for event in events]
    links = [Link(context) for context in contexts if context is not None]
    with ExitStack() as ending:
        batch = ending.enter_context(
            tracer.start_as_current_span(
                f"{group} batch",
                context=context_of(None),
                kind=SpanKind.CONSUMER,
                links=links[:MOST_LINKS],
                attributes={"messaging.system": "kafka", "messaging.batch.message_count": len(events)},
            )
        )
        spans = [
            _event_span(group, event, batch) if context is not None else None
            for event, context in zip(events, contexts, strict=True)
        ]
        try:
            yield [_carried(event, span) for event, span in zip(events, spans, strict=True)]
        except BaseException as error:
            for span in filter(None, spans):
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
        finally:
            for span in filter(None, spans):
                span.end()


def _sampled(traceparent: str | None) -> SpanContext | None:
    """The span that a `traceparent` names, if its trace is sampled."""
    # Reading one takes 3 µs, as much as half of decoding an event, and the last two characters usually suffice.
    if traceparent is None or (traceparent.startswith("00-") and traceparent.endswith("-00")):
        return None
    context = span_context_of(traceparent)
    return context if context is not None and context.trace_flags.sampled else None


def _event_span(group: str, event: CloudEvent, batch: Span) -> Span:
    return tracer.start_span(
        f"{event.topic.name} process",
        context=context_of(event.traceparent),
        kind=SpanKind.CONSUMER,
        links=[Link(batch.get_span_context())],
        attributes={
            "messaging.system": "kafka",
            "messaging.destination.name": event.topic.name,
            "messaging.consumer.group.name": group,
            "messaging.message.id": str(event.id),
        },
    )


def _carried(event: CloudEvent, span: Span | None) -> CloudEvent:
    return event if span is None else event.model_copy(update={"traceparent": traceparent_of(span)})
