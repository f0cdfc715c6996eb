"""Every alert fires when what it is about goes on, and ends when it has ended: asked of Prometheus's own promtool."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.signals.rules import RULES, alerts

PAID = "clinicpay_settlement_paid_seconds"
RECEIPTED = "clinicpay_settlement_receipted_seconds"
PAGES = "http_server_request_duration_seconds"
RUN = 'clinicpay_job_run_total{service="payment",timed_job="sweep_payments",outcome="%s"}'
EMAIL = 'clinicpay_email_total{service="notification",kind="receipt",outcome="%s"}'
STATE = 'clinicpay_payment_state_total{service="payment",status="%s",decline=""}'


@dataclass(frozen=True)
class Case:
    """Series by name, a value a minute; the minutes at which the alert fires and at which it has ended."""

    series: dict[str, str]
    fires: int
    ends: int
    quiet: int | None = None
    """A minute before, at which it must not fire yet."""


def late(name: str, limit: str, labels: str = "") -> dict[str, str]:
    """A hundred an hour in time, then as many late for half an hour, then in time again."""
    shown = f"{{{labels}}}" if labels else ""
    bucket = f'{{{labels + "," if labels else ""}le="{limit}"}}'
    return {
        f"{name}_count{shown}": "0+100x60 6100+100x30 9100+100x600",
        f"{name}_bucket{bucket}": "0+100x60 6000+0x30 6100+100x600",
    }


def for_a_while(value: str = "1") -> str:
    return f"0x10 {value}x20 0x60"


CASES = {
    "PaidLate": Case(late(PAID, "60.0"), fires=85, ends=200, quiet=59),
    "ReceiptsLate": Case(late(RECEIPTED, "300.0"), fires=85, ends=200, quiet=59),
    "PagesSlowOrFailing": Case(
        late(PAGES, "0.3", 'service="gateway",http_response_status_code="200"'), fires=85, ends=400, quiet=59
    ),
    "EventsParked": Case({'clinicpay_parked_age_seconds{service="invoice"}': "0x5 0+60x20 0x20"}, 25, 45, 15),
    "ProcessDown": Case({'up{job="clinicpay",service="relay",role="relay"}': "1x10 0x20 1x60"}, 15, 45, 9),
    "OutboxNotSent": Case({'clinicpay_outbox_age_seconds{service="payment"}': for_a_while("90")}, 15, 45, 9),
    "ConsumerBehind": Case(
        {'clinicpay_consumer_lag_age_seconds{group="invoice",topic="payment.settled"}': for_a_while("90")},
        15,
        45,
        9,
    ),
    "QueueBehind": Case(
        {'clinicpay_queue_overdue_seconds{service="payment",kind="send_refund"}': for_a_while("400")},
        15,
        45,
        9,
    ),
    "SweepNotRunning": Case({RUN % "done": "0+1x30 30x40 30+1x60"}, fires=60, ends=90, quiet=30),
    "ExceptionsWait": Case(
        {'clinicpay_exceptions_age_seconds{service="payment",kind="paid_twice"}': for_a_while("300000")},
        15,
        45,
        9,
    ),
    "BooksDisagree": Case(
        {'clinicpay_verify_breaches{check="entries_balance"}': for_a_while("2")}, 15, 45, 9
    ),
    "BooksNotVerified": Case(
        {"clinicpay_verify_not_checked": "0x10 1x100 0x60"}, fires=80, ends=120, quiet=60
    ),
    "StripeUnreachable": Case(
        {'clinicpay_incident_open{service="payment",incident="stripe_unreachable"}': for_a_while()},
        15,
        45,
        11,
    ),
    "WebhooksNotSigned": Case(
        {'clinicpay_incident_open{service="payment",incident="webhook_signature_wrong"}': for_a_while()},
        15,
        45,
        11,
    ),
    "StripeBudgetSpent": Case(
        {'clinicpay_stripe_request_held_back_total{starting="true"}': "0x10 0+5x20 100x60"}, 20, 50, 9
    ),
    "IncidentGoesOn": Case(
        {'clinicpay_incident_open{service="relay",incident="kafka_unreachable"}': for_a_while()}, 20, 45, 12
    ),
    "JobFails": Case(
        {'clinicpay_job_failures{service="invoice",timed_job="erase_identities"}': for_a_while("3")},
        15,
        45,
        9,
    ),
    "EmailsNotSent": Case({"clinicpay_email_unsent_age_seconds": for_a_while("2000")}, 15, 45, 9),
    "EmailsFail": Case({EMAIL % "sent": "0+5x200", EMAIL % "failed": "0x60 0+1x20 20x200"}, 80, 170, 59),
    "DeclinesRise": Case(
        {STATE % "succeeded": "0+1x30 30x30 30+2x200", STATE % "failed": "0x30 0+3x30 90x200"}, 62, 170, 29
    ),
    "ClockOff": Case(
        {'clinicpay_clock_offset_seconds{service="gateway",peer_service="payment"}': for_a_while("-8")},
        15,
        45,
        9,
    ),
    "ConnectionsUsedUp": Case(
        {
            'db_client_connection_count{service="payment",role="api",state="used"}': "1x10 9x20 1x60",
            'db_client_connection_max{service="payment",role="api"}': "10x90",
        },
        20,
        45,
        12,
    ),
}


@pytest.mark.parametrize("alert", sorted(alerts()))
def test_it_fires_and_ends(alert: str, tmp_path: Path) -> None:
    case = CASES[alert]
    firing = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})'
    asked = [(case.fires, [{"labels": "{}", "value": 1}]), (case.ends, [])]
    if case.quiet is not None:
        asked.insert(0, (case.quiet, []))
    _ask_promtool(case.series, [(firing, minute, samples) for minute, samples in asked], tmp_path)


@pytest.mark.parametrize(("late_ones", "wakes"), [(1, False), (2, True)])
def test_one_late_payment_of_a_quiet_night_wakes_nobody(late_ones: int, wakes: bool, tmp_path: Path) -> None:
    """Three payments an hour, in time, and then these."""
    series = {
        f"{PAID}_count": f"1x10 {1 + late_ones}x60",
        f'{PAID}_bucket{{le="60.0"}}': "1x70",
    }
    firing = 'count(ALERTS{alertname="PaidLate",alertstate="firing"})'
    expected = [{"labels": "{}", "value": 1}] if wakes else []
    _ask_promtool(series, [(firing, minute, expected) for minute in (15, 20)], tmp_path)


def test_a_sweep_whose_worker_is_gone_wakes_somebody(tmp_path: Path) -> None:
    """It shows no runs at all."""
    firing = 'count(ALERTS{alertname="SweepNotRunning",alertstate="firing"})'
    series = {RUN % "done": "0+1x30 stale"}
    _ask_promtool(series, [(firing, 30, []), (firing, 55, [{"labels": "{}", "value": 1}])], tmp_path)


def test_every_alert_has_a_case_and_every_case_an_alert() -> None:
    assert set(CASES) == set(alerts())


def _ask_promtool(
    series: dict[str, str], asked: list[tuple[str, int, list[dict[str, Any]]]], tmp_path: Path
) -> None:
    """Ask expressions at minutes, each with the samples that it must have."""
    file = tmp_path / "case.yml"
    file.write_text(
        yaml.safe_dump(
            {
                "rule_files": [str(RULES)],
                "evaluation_interval": "1m",
                "tests": [
                    {
                        "interval": "1m",
                        "input_series": [
                            {"series": name, "values": values} for name, values in series.items()
                        ],
                        "promql_expr_test": [
                            {"expr": expression, "eval_time": f"{minute}m", "exp_samples": samples}
                            for expression, minute, samples in asked
                        ],
                    }
                ],
            }
        )
    )
    done = subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
