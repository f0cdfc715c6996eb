"""The metrics of this process, as an exporter of OpenTelemetry reads them."""

from functools import cache
from typing import Any

from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader


@cache
def _reader() -> InMemoryMetricReader:
    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider([reader]))
    return reader


def value(name: str, **labels: str) -> float | None:
    """The metric's number for these labels, dots written as `_`: of a histogram how much was recorded. None: not shown.

    Call it once before the work whose effect it is to show: measuring begins with the first call.
    """
    wanted = {label.replace(".", "_"): text for label, text in labels.items()}
    found = [
        point
        for point in _points(name)
        if {label.replace(".", "_"): text for label, text in point.attributes.items()} == wanted
    ]
    if not found:
        return None
    [point] = found
    return float(point.count if isinstance(point, HistogramDataPoint) else point.value)


def _points(name: str) -> list[Any]:
    data = _reader().get_metrics_data()
    if data is None:
        return []
    return [
        point
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == name
        for point in metric.data.data_points
    ]
