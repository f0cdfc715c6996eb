"""Every metric that a process may show, and the table of them in docs/metrics.md."""

import services.chassis.outbox.relay
import services.gateway.app
import services.invoice.app
import services.notification.app
import services.payment.app  # noqa: F401  each makes its instruments
from services.chassis.telemetry.metrics import CATALOGUE

BEGIN, END = "<!-- metrics -->", "<!-- /metrics -->"
_UNITS = {"s": "_seconds"}
_SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


def shown_as(name: str) -> list[str]:
    """The names that Prometheus has for a metric of the catalogue."""
    each = CATALOGUE[name]
    base = name.replace(".", "_") + _UNITS.get(each.unit, "")
    return [base + suffix for suffix in _SUFFIXES[each.kind]]


def filled(text: str) -> str:
    """The document with the table between its two marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin and end, "the document has no place for the metrics"
    rows = []
    for name, each in sorted(CATALOGUE.items()):
        labels = ", ".join(f"`{label}`" for label in each.labels) or "–"
        rows.append(f"| `{name}` | `{shown_as(name)[0]}` | {labels} | {each.description} |")
    head = ["| OpenTelemetry | Prometheus | labels | |", "|---|---|---|---|"]
    return "\n".join([before + begin, *head, *rows, end + after])
