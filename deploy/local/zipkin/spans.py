"""Spans of OTLP as Zipkin's JSON, by OpenTelemetry's own rules (specification, "OpenTelemetry to Zipkin")."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

_KINDS = {
    Span.SPAN_KIND_SERVER: "SERVER",
    Span.SPAN_KIND_CLIENT: "CLIENT",
    Span.SPAN_KIND_PRODUCER: "PRODUCER",
    Span.SPAN_KIND_CONSUMER: "CONSUMER",
}


def zipkin_of(body: bytes) -> list[dict[str, Any]]:
    """The spans of a request. Raises `google.protobuf.message.DecodeError` for a body that is none."""
    request = ExportTraceServiceRequest.FromString(body)
    return list(_all(request))


def _all(request: ExportTraceServiceRequest) -> Iterator[dict[str, Any]]:
    for resource in request.resource_spans:
        about = _tags(resource.resource.attributes)
        service = about.pop("service.name", "unknown")
        role = {"role": about["service.instance.role"]} if "service.instance.role" in about else {}
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield {**_span(span, role), "localEndpoint": {"serviceName": service}}


def _span(span: Span, about: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "traceId": span.trace_id.hex(),
        "id": span.span_id.hex(),
        "name": span.name,
        "timestamp": span.start_time_unix_nano // 1000,
        # Zipkin takes 0 for a duration that is not known.
        "duration": max((span.end_time_unix_nano - span.start_time_unix_nano) // 1000, 1),
        "tags": {**about, **_tags(span.attributes), **_failure(span), **_links(span)},
        "annotations": [
            {"timestamp": event.time_unix_nano // 1000, "value": event.name} for event in span.events
        ],
    }
    if span.parent_span_id:
        found["parentId"] = span.parent_span_id.hex()
    if span.kind in _KINDS:
        found["kind"] = _KINDS[span.kind]
    return found


def _failure(span: Span) -> dict[str, str]:
    if span.status.code != Status.STATUS_CODE_ERROR:
        return {}
    return {"otel.status_code": "ERROR", "error": span.status.message or "true"}


def _links(span: Span) -> dict[str, str]:
    """Zipkin has no links: a tag names the traces, to be copied into its search."""
    traces = dict.fromkeys(link.trace_id.hex() for link in span.links)
    return {"links": " ".join(traces)} if traces else {}


def _tags(attributes: Iterable[KeyValue]) -> dict[str, str]:
    return {each.key: _text(each.value) for each in attributes}


def _text(value: AnyValue) -> str:
    found = _plain(value)
    return found if isinstance(found, str) else json.dumps(found)


def _plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(each) for each in value.array_value.values]
    return None if kind is None else getattr(value, kind)
