"""Metrics of this process, by OpenTelemetry: shown at `/metrics` for Prometheus, and sent by OTLP where that is set.

An instrument is made once, in the module that moves it, and stands in `CATALOGUE`, which docs/metrics.md lists. Its
labels have few values: nothing personal, and no id.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader

from services.chassis.telemetry.traces import SAMPLED_DIGITS, context_of, resource_of

MOST_SETS = 2000
"""The most sets of values that the labels of one instrument have. Whatever comes beyond them counts as `OTHER`."""
OTHER = "other"
SECONDS = tuple(
    float(bound)
    for bound in (
        0.005,
        0.01,
        0.025,
        0.05,
        0.1,
        0.2,
        0.3,
        0.5,
        1,
        2.5,
        5,
        10,
        30,
        60,
        120,
        300,
        900,
        3600,
        86400,
    )
)
"""Upper bounds of every histogram's buckets, the objectives' 0.3, 60 and 300 among them. As `float` they are written as
Prometheus 3 writes them, `le="60.0"`, so that one rule works in versions 2 and 3."""
_EXPORT_MILLIS = 15_000

Values = tuple[str, ...]
Numbers = Mapping[Any, float]
"""Numbers by the labels' values, a tuple."""
Read = Callable[[], Numbers]


@dataclass(frozen=True, slots=True)
class Described:
    """An instrument: `kind` is counter, gauge or histogram, `unit` as UCUM writes it."""

    kind: str
    unit: str
    description: str
    labels: Values


CATALOGUE: dict[str, Described] = {}
"""Every instrument by its name, once the modules that make them are imported."""

_meter = metrics.get_meter("clinicpay")


class _Labelled:
    """The labels of an instrument, and the sets of values that they had."""

    def __init__(self, name: str, kind: str, unit: str, description: str, labels: Values) -> None:
        if name in CATALOGUE:
            raise ValueError(f"two instruments are called {name}")
        CATALOGUE[name] = Described(kind, unit, description, labels)
        self._labels = labels

    def attributes(self, values: Values) -> dict[str, str]:
        return dict(zip(self._labels, values, strict=True))

    def bounded(self, values: Values, known: Mapping[Values, object]) -> Values:
        return values if values in known or len(known) < MOST_SETS else (OTHER,) * len(values)


class Counter(_Labelled):
    """A sum that grows. OpenTelemetry's own takes 4 µs an addition; this one is read when somebody asks.

    known   sets of values that are shown as 0 from the start, so that the first rise is seen as one
    """

    def __init__(
        self, name: str, unit: str, description: str, *labels: str, known: Iterable[Values] = ()
    ) -> None:
        super().__init__(name, "counter", unit, description, labels)
        self._sums: dict[Values, float] = dict.fromkeys(known if labels else [()], 0)
        _meter.create_observable_counter(name, [self.observe], unit, description)

    def add(self, number: float, *values: str) -> None:
        if values in self._sums:  # as a rule: each call costs
            self._sums[values] += number
        else:
            key = self.bounded(values, self._sums)
            self._sums[key] = self._sums.get(key, 0) + number

    def observe(self, _: CallbackOptions) -> list[Observation]:
        # The exporter reads in a thread of its own: a list is made in one step.
        return [Observation(number, self.attributes(values)) for values, number in list(self._sums.items())]


class Gauge(_Labelled):
    """Numbers as they are now: the ones last `show`n, or the ones that a function reads when somebody asks."""

    def __init__(
        self, name: str, unit: str, description: str, *labels: str, read: Read | None = None
    ) -> None:
        super().__init__(name, "gauge", unit, description, labels)
        self._read = read
        self._shown: Numbers = {}
        _meter.create_observable_gauge(name, [self.observe], unit, description)

    def read_by(self, read: Read) -> None:
        self._read = read

    def show(self, numbers: Numbers) -> None:
        """Replace all numbers: a set of values that is not among these is shown no more."""
        self._shown = dict(list(numbers.items())[:MOST_SETS])

    def observe(self, _: CallbackOptions) -> list[Observation]:
        numbers = self._shown if self._read is None else self._read()
        return [
            Observation(number, self.attributes(values))
            for values, number in list(numbers.items())[:MOST_SETS]
        ]


class Seconds(_Labelled):
    """A histogram of durations. One that would be below zero, since two clocks differ, is 0."""

    def __init__(self, name: str, description: str, *labels: str) -> None:
        super().__init__(name, "histogram", "s", description, labels)
        self._known: dict[Values, dict[str, str]] = {}
        self._histogram = _meter.create_histogram(
            name, "s", description, explicit_bucket_boundaries_advisory=SECONDS
        )

    def record(self, seconds: float, *values: str, traceparent: str | None = None) -> None:
        """`traceparent`: of the trace that an exemplar names; without one, the current span's."""
        known = self._known.get(values)
        if known is None:
            key = self.bounded(values, self._known)
            known = self._known.setdefault(key, self.attributes(key))
        named = traceparent is not None and traceparent[-1:] in SAMPLED_DIGITS
        context = context_of(traceparent) if named else None
        self._histogram.record(max(seconds, 0.0), known, context)


def configure(service: str, role: str, otlp_endpoint: str | None, *, shown: bool) -> None:
    """Keep this process's metrics, if somebody asks for them: `shown` at `/metrics`, or an OTLP endpoint."""
    readers: list[MetricReader] = []
    if shown:
        from opentelemetry.exporter.prometheus import PrometheusMetricReader

        readers.append(PrometheusMetricReader(disable_target_info=True, scope_info_enabled=False))
    if otlp_endpoint:
        # Costly to import, and most machines of a developer have no collector.
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

        endpoint = f"{otlp_endpoint.rstrip('/')}/v1/metrics"
        readers.append(PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=endpoint), _EXPORT_MILLIS))
    if readers:
        metrics.set_meter_provider(MeterProvider(readers, resource_of(service, role)))
