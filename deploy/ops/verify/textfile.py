"""The outcome of a verification as a file for node_exporter's textfile collector, since verify is no server."""

from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from deploy.ops.verify.report import Report

BREACHES = "clinicpay_verify_breaches"
UNREAD = "clinicpay_verify_not_checked"
ENDED = "clinicpay_verify_ended_time_seconds"


def write(report: Report, path: Path) -> None:
    """Replace the file in one step. Raises OSError."""
    registry = CollectorRegistry()
    breaches = Gauge(BREACHES, "Rows that broke a check in the last verify", ["check"], registry=registry)
    for result in report.results:
        breaches.labels(result.check).set(len(result.breaches))
    unread = Gauge(UNREAD, "What the last verify could not ask", registry=registry)
    unread.set(len(report.unread))
    Gauge(ENDED, "When the last verify ended", registry=registry).set_to_current_time()
    write_to_textfile(str(path), registry)
