"""Our spans as Zipkin shows them."""

import gzip
import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any, ClassVar

import pytest
from litestar.testing import AsyncTestClient
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanKind, Status, StatusCode, set_span_in_context

from deploy.local.process import free_port
from deploy.local.zipkin.app import translating
from deploy.local.zipkin.spans import zipkin_of

BEGAN = 1_800_000_000_000_000_000


def encoded() -> tuple[bytes, str]:
    """Two spans of a trace, as an exporter sends them, and the trace's id."""
    exporter = InMemorySpanExporter()
    about = {"service.name": "clinicpay-payment", "service.instance.role": "worker", "host.name": "a"}
    provider = TracerProvider(resource=Resource(about))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    first = tracer.start_span("POST /payments", kind=SpanKind.SERVER, start_time=BEGAN)
    with tracer.start_as_current_span("batch") as batch:
        pass
    exporter.clear()
    second = tracer.start_span(
        "payment.settled process",
        context=set_span_in_context(first),
        kind=SpanKind.CONSUMER,
        links=[Link(batch.get_span_context())],
        attributes={
            "clinicpay.payment.id": "p",
            "http.response.status_code": 500,
            "list": ["a", 1.5],
            "is": True,
        },
        start_time=BEGAN + 5_000_000,
    )
    second.set_status(Status(StatusCode.ERROR, "TimeoutError"))
    second.end(BEGAN + 5_000_100)
    first.end(BEGAN + 7_000_000)
    body: bytes = encode_spans(exporter.get_finished_spans()).SerializeToString()
    return body, f"{batch.get_span_context().trace_id:032x}"


def test_each_span_has_its_place_service_and_attributes() -> None:
    body, linked = encoded()

    child, parent = zipkin_of(body)

    assert parent == {
        "traceId": child["traceId"],
        "id": child["parentId"],
        "name": "POST /payments",
        "kind": "SERVER",
        "timestamp": BEGAN // 1000,
        "duration": 7000,
        "localEndpoint": {"serviceName": "clinicpay-payment"},
        "tags": {"role": "worker"},
        "annotations": [],
    }
    assert (len(child["traceId"]), len(child["id"]), child["kind"], child["duration"]) == (
        32,
        16,
        "CONSUMER",
        1,
    )
    assert child["tags"] == {
        "role": "worker",
        "clinicpay.payment.id": "p",
        "http.response.status_code": "500",
        "list": '["a", 1.5]',
        "is": "true",
        "otel.status_code": "ERROR",
        "error": "TimeoutError",
        "links": linked,
    }


class Zipkin(BaseHTTPRequestHandler):
    """Takes spans as Zipkin does."""

    taken: ClassVar[list[Any]] = []

    def do_POST(self) -> None:
        assert (self.path, self.headers["Content-Type"]) == ("/api/v2/spans", "application/json")
        self.taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(202)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.mark.parametrize("packed", [False, True])
async def test_what_is_sent_by_otlp_arrives_at_zipkin(packed: bool) -> None:
    body, _ = encoded()
    Zipkin.taken.clear()
    server = HTTPServer(("127.0.0.1", 0), Zipkin)
    Thread(target=server.serve_forever, daemon=True).start()
    headers = {"Content-Encoding": "gzip"} if packed else {}
    try:
        async with AsyncTestClient(translating(f"http://127.0.0.1:{server.server_port}")) as http:
            sent = gzip.compress(body) if packed else body
            answer = await http.post("/v1/traces", content=sent, headers=headers)
    finally:
        server.shutdown()
        server.server_close()

    assert answer.status_code == 200
    assert Zipkin.taken == [zipkin_of(body)]


async def test_what_zipkin_cannot_take_is_to_be_sent_again_and_what_is_no_otlp_is_refused() -> None:
    body, _ = encoded()
    async with AsyncTestClient(translating(f"http://127.0.0.1:{free_port()}")) as http:
        away = await http.post("/v1/traces", content=body)
        wrong = await http.post("/v1/traces", content=b"\xff\xff{}")
        unpacked = await http.post("/v1/traces", content=body, headers={"Content-Encoding": "gzip"})

    assert [each.status_code for each in (away, wrong, unpacked)] == [503, 400, 400]
