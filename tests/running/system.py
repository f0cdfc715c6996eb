"""The whole system as `./clinicpay up` runs it, for tests that walk through it from outside."""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from deploy.local.demo.data import CLIENT_EMAIL, PASSWORD
from deploy.local.demo.visitor import Visitor, confirm
from deploy.local.process import free_port

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 180
PAID_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Span:
    trace_id: str
    span_id: str
    parent_id: str
    service: str
    name: str


class Spans:
    """The spans that the processes' OTLP exporters sent. `raw` are the requests, with all attributes and events."""

    def __init__(self) -> None:
        self.all: list[Span] = []
        self.raw: list[bytes] = []
        self.metrics: list[bytes] = []
        """Requests with metrics, as they came."""

    def take(self, body: bytes) -> None:
        self.raw.append(body)
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            names = {each.key: each.value.string_value for each in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.all += [
                    Span(
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                        names["service.name"],
                        span.name,
                    )
                    for span in scope.spans
                ]


@contextmanager
def otlp_receiver() -> Iterator[tuple[str, Spans]]:
    """A receiver of OTLP traces over HTTP on a free port: its address and the received spans."""
    spans = Spans()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/traces":
                spans.take(body)
            else:
                spans.metrics.append(body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", spans
    finally:
        server.shutdown()


@dataclass
class Running:
    """The running system: its addresses, and the actions of a test on it."""

    url: str
    sandbox_url: str
    mailbox_url: str
    process: asyncio.subprocess.Process
    secrets: dict[str, Any]
    spans: Spans
    output: list[str]

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Visitor]:
        """The demo client, logged in."""
        async with Visitor(self.url) as visitor:
            await visitor.log_in(CLIENT_EMAIL, PASSWORD)
            yield visitor

    async def confirm(self, start: dict[str, Any], payment_method: str = "pm_card_visa") -> dict[str, Any]:
        key = self.secrets["sandbox_publishable_key"]
        return await confirm(self.sandbox_url, key, start, payment_method, f"{self.url}/")

    async def api(self, method: str, path: str, body: Any = None, key: str = "") -> Any:
        headers = {"Authorization": "Bearer demo-operator-key", **({"Idempotency-Key": key} if key else {})}
        async with httpx2.AsyncClient(base_url=f"{self.url}/api/v1", headers=headers, timeout=20) as http:
            answer = await http.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json()

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        """The sandbox's control API."""
        headers = {"Authorization": f"Bearer {self.secrets['sandbox_secret_key']}"}
        async with httpx2.AsyncClient(base_url=self.sandbox_url, headers=headers, timeout=20) as http:
            answer = await http.request(method, f"/_sandbox{path}", json=body)
        answer.raise_for_status()
        return answer.json()

    async def mails(self, subject: str) -> list[dict[str, Any]]:
        async with httpx2.AsyncClient(base_url=self.mailbox_url) as http:
            listed = (await http.get("/api/messages")).json()
        messages = listed["items"] if isinstance(listed, dict) else listed
        return [message for message in messages if subject in message["subject"]]

    def pid(self, command: str) -> int:
        """The process of the system whose command line ends so, such as `services.invoice worker`."""
        for pid in _descendants(self.process.pid):
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
                if " ".join(word.decode() for word in words).endswith(command):
                    return pid
        raise LookupError(command)

    def postgres_pid(self) -> int:
        for pid in _descendants(self.process.pid):
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if command[0].endswith(b"bin/postgres"):
                    return pid
        raise LookupError("postgres")


async def until(true: Callable[[], Any], seconds: float = PAID_SECONDS) -> Any:
    """The condition's result once it is true; an awaitable result is awaited."""
    async with asyncio.timeout(seconds):
        while True:
            answer = true()
            if asyncio.iscoroutine(answer):
                answer = await answer
            if answer:
                return answer
            await asyncio.sleep(0.05)


@asynccontextmanager
async def running(data: Path, program: Sequence[str] = ("deploy.cli", "up")) -> AsyncIterator[Running]:
    """`clinicpay up` on a data directory of its own, with the demo loaded; stopped by SIGTERM at the end.

    program     a module that runs the system, with its arguments, instead of that command
    """
    with otlp_receiver() as (otlp, spans):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *program, "--port", str(free_port()), "--data", str(data)),
            cwd=ROOT,
            env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": otlp, "COLUMNS": "200"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output: list[str] = []
        reading = asyncio.create_task(_read(process, output))
        try:
            await until(
                lambda: any("Operator API key" in line for line in output) or reading.done(), START_SECONDS
            )
            where = {name: _address(output, name) for name in ("Portal", "Stripe sandbox", "Mailbox")}
            secrets = json.loads((data / "secrets.json").read_text())
            yield Running(
                where["Portal"], where["Stripe sandbox"], where["Mailbox"], process, secrets, spans, output
            )
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), 60)
            await reading


async def _read(process: asyncio.subprocess.Process, output: list[str]) -> None:
    assert process.stdout is not None
    while line := await process.stdout.readline():
        output.append(line.decode().rstrip())


def _address(output: list[str], name: str) -> str:
    for line in output:
        found = re.match(rf"\s*{name}\s+(http://\S+)", line)
        if found:
            return found.group(1)
    raise AssertionError("the system did not start:\n" + "\n".join(output))


def _descendants(parent: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, waiting = [], [parent]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found
