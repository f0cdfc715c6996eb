"""Prometheus's configuration for `clinicpay up`. deploy/observability/prometheus.yml is that of compose."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

RULES = Path(__file__).parent.parent / "observability" / "rules.yml"
JOB = "clinicpay"
EVERY = "15s"


def scraping(processes: Mapping[str, str], token: str) -> dict[str, Any]:
    """The configuration, as JSON, which is YAML too. `processes`: `service.role` and `host:port` of each."""
    return {
        "global": {"scrape_interval": EVERY, "evaluation_interval": EVERY},
        "rule_files": [str(RULES)],
        "scrape_configs": [
            {
                "job_name": JOB,
                "authorization": {"credentials": token},
                "static_configs": [
                    {"targets": [address], "labels": _labels(name)} for name, address in processes.items()
                ],
            }
        ],
    }


def _labels(name: str) -> dict[str, str]:
    service, _, role = name.partition(".")
    return {"service": service, "role": role or service}
