"""Grafana's dashboards, written by `python -m tests.tools.generate` to deploy/observability/grafana/dashboards."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PLACE = Path(__file__).parents[2] / "deploy" / "observability" / "grafana" / "dashboards"
SOURCE = {"type": "prometheus", "uid": "prometheus"}
WIDE, HIGH = 24, 8
_IN_A_ROW = 3


@dataclass(frozen=True)
class Panel:
    """A graph, or with `now` one number. `asks`: legend and PromQL, in which `$__rate_interval` is Grafana's."""

    title: str
    asks: Sequence[tuple[str, str]]
    unit: str = "short"
    now: bool = False


def quantile(share: str, metric: str, by: str = "", labels: str = "") -> str:
    within = f"{{{labels}}}" if labels else ""
    group = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({group}) (rate({metric}_bucket{within}[$__rate_interval])))"


def rate(metric: str, by: str, labels: str = "") -> str:
    within = f"{{{labels}}}" if labels else ""
    return f"sum by ({by}) (rate({metric}{within}[$__rate_interval]))"


SLOWEST = quantile("0.99", "http_server_request_duration_seconds", "http_route", 'service="gateway"')

ON_CALL = [
    Panel(
        "Breaches that verify found",
        [("{{check}}", "sum by (check) (clinicpay_verify_breaches) > 0")],
        now=True,
    ),
    Panel("Since verify ran", [("", "time() - max(clinicpay_verify_ended_time_seconds)")], "s", now=True),
    Panel("Processes that do not answer", [("{{service}} {{role}}", 'up{job="clinicpay"} == 0')], now=True),
    Panel("Incidents", [("{{service}} {{role}} {{incident}} {{part}}", "clinicpay_incident_open")]),
    Panel(
        "Parked events",
        [("{{service}} {{reason}}", "sum by (service, reason) (clinicpay_parked_events)")],
        now=True,
    ),
    Panel(
        "Paid too late, as a share of 250 payments or more",
        [("last hour", "objective:paid:bad1h"), ("last 6 hours", "objective:paid:bad6h")],
        "percentunit",
    ),
    Panel(
        "Receipts too late",
        [("last hour", "objective:receipts:bad1h"), ("last 6 hours", "objective:receipts:bad6h")],
        "percentunit",
    ),
    Panel(
        "Pages slow or failing",
        [("last hour", "objective:pages:bad1h"), ("last 6 hours", "objective:pages:bad6h")],
        "percentunit",
    ),
    Panel(
        "From Stripe's success to Paid",
        [
            ("half", quantile("0.5", "clinicpay_settlement_paid_seconds")),
            ("99 of 100", quantile("0.99", "clinicpay_settlement_paid_seconds")),
        ],
        "s",
    ),
    Panel(
        "What waits longest",
        [
            ("outbox {{service}}", "max by (service) (clinicpay_outbox_age_seconds)"),
            ("{{group}} {{topic}}", "max by (group, topic) (clinicpay_consumer_lag_age_seconds) > 0"),
            ("{{kind}}", "max by (kind) (clinicpay_queue_overdue_seconds)"),
            ("e-mail tried in vain", "max(clinicpay_email_unsent_age_seconds) > 0"),
            ("parked {{service}}", "max by (service) (clinicpay_parked_age_seconds) > 0"),
        ],
        "s",
    ),
    Panel(
        "Exceptions that wait for a person",
        [
            ("{{kind}}", "max by (service, kind) (clinicpay_exceptions)"),
            ("oldest {{kind}}, days", "max by (kind) (clinicpay_exceptions_age_seconds) / 86400"),
        ],
    ),
    Panel(
        "Requests",
        [
            (
                "{{http_response_status_code}}",
                rate(
                    "http_server_request_duration_seconds_count",
                    "http_response_status_code",
                    'service="gateway"',
                ),
            )
        ],
        "reqps",
    ),
    Panel("Slowest routes, 99 of 100", [("{{http_route}}", f"topk(8, {SLOWEST})")], "s"),
    Panel("Clocks ahead of the gateway's", [("{{peer_service}}", "clinicpay_clock_offset_seconds")], "s"),
]
PAYMENTS = [
    Panel("Payments by outcome", [("{{status}}", rate("clinicpay_payment_state_total", "status"))], "cps"),
    Panel(
        "Declines by the bank's code",
        [("{{decline}}", rate("clinicpay_payment_state_total", "decline", 'status="failed"'))],
        "cps",
    ),
    Panel("Payments that have not ended", [("{{status}}", "max by (status) (clinicpay_payments)")]),
    Panel(
        "From success to booked, by the webhook",
        [
            ("half", quantile("0.5", "clinicpay_settlement_booked_seconds")),
            ("99 of 100", quantile("0.99", "clinicpay_settlement_booked_seconds")),
        ],
        "s",
    ),
    Panel(
        "From success to the receipt",
        [
            ("half", quantile("0.5", "clinicpay_settlement_receipted_seconds")),
            ("99 of 100", quantile("0.99", "clinicpay_settlement_receipted_seconds")),
        ],
        "s",
    ),
    Panel("Webhooks", [("{{outcome}}", rate("clinicpay_stripe_webhook_total", "outcome"))], "cps"),
    Panel(
        "Refunds and disputes",
        [
            (
                "{{messaging_destination_name}}",
                rate(
                    "messaging_client_sent_messages_total",
                    "messaging_destination_name",
                    'messaging_destination_name=~"payment.refunded|payment.disputed"',
                ),
            )
        ],
        "cps",
    ),
    Panel("E-mails by outcome", [("{{outcome}}", rate("clinicpay_email_total", "outcome"))], "cps"),
    Panel("E-mails by kind", [("{{kind}}", rate("clinicpay_email_total", "kind", 'outcome="sent"'))], "cps"),
    Panel(
        "Calls to Stripe by answer",
        [("{{call}} {{meaning}}", rate("clinicpay_stripe_call_duration_seconds_count", "call, meaning"))],
        "cps",
    ),
    Panel(
        "Calls to Stripe, 99 of 100",
        [("{{call}}", quantile("0.99", "clinicpay_stripe_call_duration_seconds", "call"))],
        "s",
    ),
    Panel(
        "Stripe's budget",
        [
            ("left in the second, {{instance}}", "clinicpay_stripe_budget_left"),
            (
                "held back, starting: {{starting}}",
                rate("clinicpay_stripe_request_held_back_total", "starting"),
            ),
        ],
    ),
    Panel(
        "Stripe's events that are not for us",
        [
            ("{{reason}}", rate("clinicpay_stripe_event_not_ours_total", "reason")),
            ("no room", "sum(rate(clinicpay_stripe_event_without_room_total[$__rate_interval]))"),
        ],
        "cps",
    ),
]
PARTS = [
    Panel(
        "Events sent",
        [
            (
                "{{messaging_destination_name}}",
                rate("messaging_client_sent_messages_total", "messaging_destination_name"),
            )
        ],
        "cps",
    ),
    Panel(
        "Events applied",
        [
            (
                "{{messaging_consumer_group_name}} {{messaging_destination_name}}",
                rate(
                    "messaging_client_consumed_messages_total",
                    "messaging_consumer_group_name, messaging_destination_name",
                ),
            )
        ],
        "cps",
    ),
    Panel(
        "Events parked",
        [("{{group}} {{reason}}", rate("clinicpay_event_parked_total", "group, reason"))],
        "cps",
    ),
    Panel("Lag", [("{{group}} {{topic}}", "max by (group, topic) (clinicpay_consumer_lag)")]),
    Panel("Outboxes", [("{{service}}", "max by (service) (clinicpay_outbox_events)")]),
    Panel("Tasks that are due", [("{{service}} {{kind}}", "max by (service, kind) (clinicpay_queue_tasks)")]),
    Panel(
        "Connections to PostgreSQL",
        [
            ("{{service}} {{role}} {{state}}", "sum by (service, role, state) (db_client_connection_count)"),
            ("at most, a process", "max(db_client_connection_max)"),
        ],
    ),
    Panel(
        "Timed jobs",
        [
            (
                "{{service}} {{timed_job}} {{outcome}}",
                rate("clinicpay_job_run_total", "service, timed_job, outcome"),
            )
        ],
        "cps",
    ),
    Panel(
        "Timed jobs, failed runs in a row",
        [("{{service}} {{timed_job}}", "max by (service, timed_job) (clinicpay_job_failures)")],
    ),
    Panel(
        "CPU",
        [("{{service}} {{role}}", rate("process_cpu_seconds_total", "service, role", 'job="clinicpay"'))],
        "percentunit",
    ),
    Panel(
        "Memory",
        [("{{service}} {{role}}", 'max by (service, role) (process_resident_memory_bytes{job="clinicpay"})')],
        "bytes",
    ),
]
DASHBOARDS = {
    "on-call": ("On call: is money stuck?", ON_CALL),
    "payments": ("Payments, Stripe and e-mails", PAYMENTS),
    "parts": ("Kafka, PostgreSQL and processes", PARTS),
}


def files() -> Iterator[tuple[Path, str]]:
    for name, (title, panels) in DASHBOARDS.items():
        yield PLACE / f"{name}.json", json.dumps(_dashboard(name, title, panels), indent=1) + "\n"


def _dashboard(name: str, title: str, panels: Sequence[Panel]) -> dict[str, Any]:
    return {
        "uid": f"clinicpay-{name}",
        "title": f"ClinicPay: {title}",
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "panels": [_panel(number, panel) for number, panel in enumerate(panels)],
    }


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    row, column = divmod(number, _IN_A_ROW)
    width = WIDE // _IN_A_ROW
    return {
        "id": number + 1,
        "type": "stat" if panel.now else "timeseries",
        "title": panel.title,
        "datasource": SOURCE,
        "gridPos": {"x": column * width, "y": row * HIGH, "w": width, "h": HIGH},
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + at), "expr": expr, "legendFormat": legend, "datasource": SOURCE}
            for at, (legend, expr) in enumerate(panel.asks)
        ],
    }
