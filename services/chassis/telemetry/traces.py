"""One OpenTelemetry trace from a browser's click to the receipt: through HTTP, outbox, Kafka and Stripe."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagate import inject
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import Span, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from services.chassis.errors import DomainError

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
def span(
    name: str,
    *,
    context: Context | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, str | int | bool] | None = None,
    start_time: int | None = None,
) -> Iterator[Span]:
    """A span, current inside the block. An error that leaves the block is on it by its type alone.

    The text of an error may quote a row, an address or a request.
    """
    with tracer.start_as_current_span(
        name,
        context=context,
        kind=kind,
        attributes=attributes,
        start_time=start_time,
        record_exception=False,
        set_status_on_exception=False,
    ) as made:
        try:
            yield made
        except Exception as error:
            made.set_status(failed_with(error))
            raise


def failed_with(error: BaseException) -> Status:
    """The status of a span in which this error was raised."""
    return Status(StatusCode.ERROR, type(error).__name__)


def span_from(
    name: str,
    traceparent: str | None,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, str | int | bool] | None = None,
    start_time: int | None = None,
) -> AbstractContextManager[Span]:
    """A span that goes on from a stored `traceparent`, current inside the block."""
    context = context_of(traceparent)
    return span(name, context=context, kind=kind, attributes=attributes, start_time=start_time)


def span_below(
    name: str, *, kind: SpanKind, attributes: Mapping[str, str]
) -> AbstractContextManager[Span | None]:
    """A span under the current one, if that is recorded. It is not current: its block may end in another task.

    A refusal that leaves the block is no error of the span's.
    """
    if not trace.get_current_span().is_recording():
        return _NO_SPAN
    return _below(tracer.start_span(name, kind=kind, attributes=attributes))


_NO_SPAN: AbstractContextManager[None] = nullcontext()


@contextmanager
def _below(made: Span) -> Iterator[Span]:
    try:
        yield made
    except DomainError:
        raise
    except Exception as error:
        made.set_status(failed_with(error))
        raise
    finally:
        made.end()


def sampled(traceparent: str | None) -> SpanContext | None:
    """The span that a `traceparent` names, if its trace is sampled."""
    # Reading one takes 3 µs, as much as half of decoding an event, and its last digit usually suffices.
    if traceparent is None or traceparent[-1:] not in SAMPLED_DIGITS:
        return None
    context = span_context_of(traceparent)
    return context if context is not None and context.trace_flags.sampled else None


SAMPLED_DIGITS = frozenset("13579bdf")
"""Last digits of a `traceparent` whose flags have the lowest bit, `sampled`. Others may be set: `02` is `random`."""
