"""A payment moves the metrics of every process that it passes, and they are shown to who has the token."""

import json
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from services.chassis.telemetry.metrics import CATALOGUE
from tests.running.system import Running, until
from tests.system.test_main_job import an_invoice, start, until_paid

MOVED = {
    "gateway": [
        "http_server_request_duration_seconds_count",
        "db_client_connection_max",
        "clinicpay_clock_offset_seconds",
    ],
    "invoice": [
        "clinicpay_settlement_paid_seconds_count",
        "messaging_client_consumed_messages_total",
    ],
    "payment": [
        "clinicpay_settlement_booked_seconds_count",
        "clinicpay_payment_state_total",
        "clinicpay_job_run_total",
        "clinicpay_stripe_webhook_total",
        "clinicpay_stripe_call_duration_seconds_count",
        "clinicpay_stripe_budget_left",
        "clinicpay_payments",
    ],
    "notification": [
        "clinicpay_settlement_receipted_seconds_count",
        "clinicpay_email_total",
        "clinicpay_email_unsent_age_seconds",
    ],
    "relay": ["messaging_client_sent_messages_total"],
}
SHOWN = {
    "db_client_connection_max",
    "clinicpay_clock_offset_seconds",
    "clinicpay_stripe_budget_left",
    "clinicpay_payments",
    "clinicpay_job_run_total",
    "clinicpay_email_unsent_age_seconds",
}
"""Of these the payment moves none for certain: another test may have restarted a process, or left a payment."""
WORKED = ("invoice", "payment", "notification")
SHOWN_AT_ONCE = ["clinicpay_outbox_events", "clinicpay_parked_age_seconds", "clinicpay_consumer_lag"]


async def numbers(data: Path) -> dict[str, dict[str, float]]:
    """The sum over labels of each metric by service, from what the file for Prometheus names."""
    [job] = json.loads((data / "prometheus.json").read_text())["scrape_configs"]
    found: dict[str, dict[str, float]] = {}
    async with httpx2.AsyncClient() as http:
        for target in job["static_configs"]:
            answer = await http.get(
                f"http://{target['targets'][0]}/metrics",
                headers={"Authorization": f"Bearer {job['authorization']['credentials']}"},
            )
            of_service = found.setdefault(target["labels"]["service"], {})
            for name, value in re.findall(r"^(\w+)(?:\{.*\})? (\S+)$", answer.text, re.MULTILINE):
                of_service[name] = of_service.get(name, 0.0) + float(value)
    return found


@pytest.mark.parametrize("service", MOVED)
async def test_a_payment_moves_the_metrics_of_each_service(service: str, paid: dict[str, Any]) -> None:
    before, after = paid["before"].get(service, {}), paid["after"][service]

    for name in MOVED[service]:
        if name in SHOWN:
            assert name in after
        else:
            assert after[name] > before.get(name, 0.0), name


async def test_what_waits_is_shown(paid: dict[str, Any]) -> None:
    for service in WORKED:
        for name in SHOWN_AT_ONCE:
            assert name in paid["after"][service], (service, name)


async def test_nobody_reads_them_through_the_portal(system: Running) -> None:
    async with httpx2.AsyncClient() as http:
        answer = await http.get(f"{system.url}/metrics")
    assert answer.status_code == 401
    assert not [name for name in CATALOGUE if name.replace(".", "_") in answer.text]


async def test_they_go_by_otlp_with_an_exemplar_that_names_a_payments_trace(
    system: Running, paid: dict[str, Any]
) -> None:
    assert paid

    async def exemplars() -> set[str] | None:
        found = {
            exemplar.trace_id.hex()
            for body in list(system.spans.metrics)
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == "clinicpay.settlement.paid"
            for point in metric.histogram.data_points
            for exemplar in point.exemplars
        }
        begun = {span.trace_id for span in system.spans.all if span.name == "POST /payments"}
        return found & begun

    assert await until(exemplars, 60)


@pytest.fixture(scope="module")
async def paid(system: Running, data: Path) -> dict[str, Any]:
    """The numbers before and after a client paid an invoice and got the receipt."""
    before = await numbers(data)
    invoice = await an_invoice(system)
    await start(system, await an_invoice(system))  # left alone: it has not ended
    await system.confirm(await start(system, invoice))
    await until_paid(system, invoice)

    async def receipted() -> dict[str, dict[str, float]] | None:
        now = await numbers(data)
        name = "clinicpay_settlement_receipted_seconds_count"
        has = now["notification"].get(name, 0) > before["notification"].get(name, 0)
        sampled = all(each in now[service] for service in WORKED for each in SHOWN_AT_ONCE)
        return now if has and sampled and now["payment"].get("clinicpay_payments") else None

    return {"before": before, "after": await until(receipted, 60)}
