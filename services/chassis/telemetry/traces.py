"""One OpenTelemetry trace from a browser's click to the receipt: through HTTP, outbox, Kafka and Stripe."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagate import inject
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import Span, SpanContext, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

tracer = trace.get_tracer("clinicpay")

_propagator = TraceContextTextMapPropagator()


def configure(service: str, role: str, otlp_endpoint: str | None) -> None:
    """Trace this process. Without an OTLP endpoint no span is recorded; trace ids always go on.

    With one, `OTEL_TRACES_SAMPLER` and its `_ARG` say which traces are recorded from their start: all, by default.
    """
    provider = TracerProvider(
        resource=resource_of(service, role),
        sampler=None if otlp_endpoint else ALWAYS_OFF,
    )
    if otlp_endpoint:
        # Costly to import, and most machines of a developer have no collector.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        endpoint = f"{otlp_endpoint.rstrip('/')}/v1/traces"
        provider.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint), schedule_delay_millis=500)
        )
    trace.set_tracer_provider(provider)


def resource_of(service: str, role: str) -> Resource:
    """This process, to who reads its spans and metrics."""
    return Resource.create({"service.name": f"clinicpay-{service}", "service.instance.role": role})


def current_traceparent() -> str | None:
    """The W3C `traceparent` of the current span, or None outside any."""
    carrier: dict[str, str] = {}
    inject(carrier)
    return carrier.get("traceparent")


def traceparent_of(span: Span) -> str | None:
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, trace.set_span_in_context(span))
    return carrier.get("traceparent")


def context_of(traceparent: str | None) -> Context:
    """The context that a `traceparent` names; an empty one when it is absent or malformed."""
    return _propagator.extract({"traceparent": traceparent} if traceparent else {}, context=Context())


def span_context_of(traceparent: str | None) -> SpanContext | None:
    """The span that a `traceparent` names, or None."""
    context = trace.get_current_span(context_of(traceparent)).get_span_context()
    return context if context.is_valid else None


@contextmanager
def span_from(name: str, traceparent: str | None, *, kind: SpanKind = SpanKind.INTERNAL) -> Iterator[Span]:
    """A span that goes on from a stored `traceparent`, current inside the block."""
    with tracer.start_as_current_span(name, context=context_of(traceparent), kind=kind) as span:
        yield span
