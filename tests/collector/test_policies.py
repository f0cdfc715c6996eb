"""The collector that compose runs keeps the traces of real payments that people ask about, by its own configuration."""

import asyncio
import hashlib
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import StatusCode

from contracts.events import topics
from deploy.local.process import free_port
from services.chassis.telemetry import attributes
from services.chassis.telemetry.spans import sent_spans
from services.payment.payments import sweep
from tests.builders.values import eur
from tests.running.databases import ServiceDb
from tests.running.payment import PaymentService, a_payment_service
from tests.running.system import Spans, otlp_receiver, until
from tests.tools import collector

CONFIGURATION = Path(__file__).resolve().parents[2] / "deploy/observability/collector.yaml"


def configured() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(CONFIGURATION.read_text())
    return found


def policies(configuration: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = configuration["processors"]["tail_sampling"]["policies"]
    return found


class Collector:
    """A running one: what it is sent, and the spans that it kept."""

    def __init__(self, url: str, kept: Spans) -> None:
        self._exporter, self._kept = OTLPSpanExporter(endpoint=f"{url}/v1/traces"), kept

    async def kept(self, *sent: Sequence[ReadableSpan]) -> list[bool]:
        """Of each trace, whether it is kept, once the collector has decided about all of them."""
        # An error is always kept. It is sent last, and the collector decides in the order in which traces came.
        for spans in (*sent, an_error()):
            await asyncio.to_thread(self._exporter.export, spans)
        last = trace_of(spans)
        await until(lambda: last in self.traces())
        return [trace_of(spans) in self.traces() for spans in sent]

    def traces(self) -> set[str]:
        return {span.trace_id for span in self._kept.all}

    def spans(self, trace_id: str) -> set[str]:
        return {span.span_id for span in self._kept.all if span.trace_id == trace_id}


def trace_of(spans: Sequence[ReadableSpan]) -> str:
    [trace_id] = {span.context.trace_id for span in spans}
    return f"{trace_id:032x}"


def made(
    *names: str, ids: RandomIdGenerator | None = None, status: StatusCode = StatusCode.UNSET
) -> list[ReadableSpan]:
    """Spans of one trace that say nothing in particular."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(id_generator=ids)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span(names[0]) as first:
        first.set_status(status)
        for name in names[1:]:
            tracer.start_span(name).end()
    return list(exporter.get_finished_spans())


def an_error() -> list[ReadableSpan]:
    return made("POST /last", status=StatusCode.ERROR)


@asynccontextmanager
async def running(place: Path, percentage: float) -> AsyncIterator[Collector]:
    """The collector with its own policies; `percentage` of the traces that no other policy keeps are kept."""
    configuration, port = configured(), free_port()
    policies(configuration)[-1]["probabilistic"]["sampling_percentage"] = percentage
    configuration["processors"]["tail_sampling"]["decision_wait"] = "1s"
    with otlp_receiver() as (url, kept):
        configuration["receivers"]["otlp"]["protocols"] = {"http": {"endpoint": f"127.0.0.1:{port}"}}
        configuration["exporters"] = {
            # In the order in which traces were decided about.
            "otlp_http": {"endpoint": url, "compression": "none", "sending_queue": {"num_consumers": 1}}
        }
        pipeline = configuration["service"]["pipelines"]["traces"]
        configuration["service"]["telemetry"] = {"metrics": {"level": "none"}}
        pipeline["exporters"] = ["otlp_http"]
        (place / "collector.yaml").write_text(yaml.safe_dump(configuration))
        log = (place / "log").open("wb")
        process = await asyncio.create_subprocess_exec(
            collector.binary(), f"--config={place / 'collector.yaml'}", stdout=log, stderr=log
        )

        async def answers() -> bool:
            assert process.returncode is None, (place / "log").read_text()[-2000:]
            try:
                async with httpx2.AsyncClient() as http:
                    await http.get(f"http://127.0.0.1:{port}/")
            except httpx2.HTTPError:
                return False
            return True

        try:
            await until(answers)
            yield Collector(f"http://127.0.0.1:{port}", kept)
        finally:
            process.terminate()
            await process.wait()
            log.close()


@pytest.fixture
async def payments(db_payment: ServiceDb) -> AsyncIterator[PaymentService]:
    async with a_payment_service(db_payment) as payments:
        yield payments


async def relay(payments: PaymentService) -> None:
    """The spans of what the relay would send now."""
    rows = await payments.db.admin.fetch("DELETE FROM outbox RETURNING id, aggregatetype, payload")
    with sent_spans([dict(row) for row in rows]):
        pass


def traces_of(exported: InMemorySpanExporter) -> Iterator[list[ReadableSpan]]:
    """The spans of each payment's trace, in the order in which the payments began."""
    spans = exported.get_finished_spans()
    for began in (span for span in spans if span.name == "POST /payments"):
        yield [span for span in spans if span.context.trace_id == began.context.trace_id]


async def test_payments_that_people_ask_about_are_kept_and_an_ordinary_one_is_not(
    payments: PaymentService, exported: InMemorySpanExporter, tmp_path: Path
) -> None:
    first, *others = [await payments.open_invoice(eur(125)) for _ in range(4)]
    await payments.pay((first, eur(125)))
    await relay(payments)
    await payments.start((first, eur(125)))  # refused: it is paid
    await payments.start((others[0], eur(125)))  # left alone
    declined = await payments.start((others[1], eur(125)))
    await payments.confirm(declined, "pm_card_chargeDeclined")
    await payments.hook.until("payment_intent.payment_failed")
    await payments.consume()
    await payments.confirm(declined)  # by another card, in the same trace
    await payments.hook.until("payment_intent.succeeded", 2)
    await payments.consume()
    swept = await payments.start((others[2], eur(125)))
    await payments.confirm(swept)
    await sweep.sweep_payments(payments.worker, payments.stripe, timedelta(0))
    await relay(payments)
    paid, *asked_about = traces_of(exported)
    page = made("GET /c/{slug}", "transaction")

    async with running(tmp_path, 0) as own:
        assert await own.kept(paid, *asked_about, page) == [False, True, True, True, True, False]


async def test_a_kept_payment_is_kept_whole_when_it_is_swept_later(
    payments: PaymentService, exported: InMemorySpanExporter, tmp_path: Path
) -> None:
    started = await payments.start((await payments.open_invoice(eur(125)), eur(125)))
    [began] = traces_of(exported)
    await payments.confirm(started)
    exported.clear()
    await sweep.sweep_payments(payments.worker, payments.stripe, timedelta(0))
    await relay(payments)
    later = [
        span for span in exported.get_finished_spans() if span.context.trace_id == began[0].context.trace_id
    ]

    async with running(tmp_path, 0) as own:
        assert await own.kept(began) == [True]
        await own.kept(later)

    assert {"payment sweep", "payment.succeeded send"} <= {span.name for span in later}
    assert own.spans(trace_of(began)) == {f"{span.context.span_id:016x}" for span in (*began, *later)}


class Ids(RandomIdGenerator):
    """The same trace ids in each run, so that the same traces are chosen."""

    def __init__(self) -> None:
        self._made = 0

    def generate_trace_id(self) -> int:
        self._made += 1
        return int.from_bytes(hashlib.sha256(str(self._made).encode()).digest()[:16], "big")


async def test_one_in_ten_of_the_others_is_kept(tmp_path: Path) -> None:
    ids = Ids()
    ordinary = [made("GET /c/{slug}", ids=ids) for _ in range(200)]
    percentage = policies(configured())[-1]["probabilistic"]["sampling_percentage"]

    async with running(tmp_path, percentage) as own:
        kept = await own.kept(*ordinary)

    assert 10 <= sum(kept) <= 30


def test_the_configuration_is_valid_as_it_is() -> None:
    done = subprocess.run(
        [collector.binary(), "validate", f"--config={CONFIGURATION}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_policies_ask_for_what_spans_say() -> None:
    asked: dict[str, set[str]] = {}
    for policy in policies(configured()):
        for each in (policy, *policy.get("and", {}).get("and_sub_policy", [])):
            found = each.get("not", {}).get("not_sub_policy", each).get("string_attribute")
            if found:
                asked.setdefault(found["key"], set()).update(found["values"])

    assert asked.pop(attributes.KEEP) == set(attributes.REASONS)
    assert asked.pop(attributes.NAMES["payment_step"]) == {attributes.BEGUN}
    assert asked.pop("messaging.destination.name") <= {topic.name for topic in topics.ALL}
    assert asked == {}
