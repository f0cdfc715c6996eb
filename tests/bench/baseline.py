"""The committed run, `docs/bench.json`: later runs are compared with it, and the documents show its figures."""

import json
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.figures import SPECS, Result
from tests.bench.report import short, significant

FILE = Path(__file__).resolve().parents[2] / "docs" / "bench.json"
HEADLINES = {
    "settle_per_s": "Invoices paid in a second, from Stripe's webhooks to queued receipts",
    "settle_ms_p50": "Median time from a webhook to its paid invoice, at 50 webhooks a second",
    "webhook_per_s": "Webhooks that one process acknowledges in a second",
    "start_s": "Time until all processes are ready, on existing data",
    "idle_gib": "Memory of all processes without traffic, PostgreSQL and Kafka included",
}
"""The README's figures, with a word on what each is."""
WORST_FALL = 0.20
"""How far a ratio may fall from run to run on a machine that others use too."""

Baseline = Mapping[str, Any]


def save(results: Iterable[Result], file: Path = FILE) -> None:
    """Keep a run. Figures that it did not measure are kept as they were."""
    held = load(file)
    figures = dict(held["figures"]) if held else {}
    figures |= {result.spec.name: _kept(result) for result in results}
    whole = {
        "measured_on": datetime.now(UTC).date().isoformat(),
        "cpus": os.cpu_count(),
        "figures": {name: figures[name] for name in SPECS if name in figures},
    }
    file.write_text(json.dumps(whole, indent=1) + "\n")


def load(file: Path = FILE) -> Baseline | None:
    """The committed run; None before there is one."""
    return json.loads(file.read_text()) if file.exists() else None


def _kept(result: Result) -> dict[str, Any]:
    return {
        "value": significant(result.value),
        "unit": result.spec.unit,
        "target": _target(result),
        "limit": None if result.limit is None else significant(result.limit),
        "ratio": None if result.ratio is None else significant(result.ratio),
        "better": result.spec.better,
        "met": result.met,
        "quick": result.quick,
    }


def _target(result: Result) -> str:
    spec = result.spec
    parts = (
        [f"{'≥' if spec.better == 'more' else '≤'} {short(spec.target)}"] if spec.target is not None else []
    )
    parts += [f"ratio ≥ {short(spec.least_ratio)}"] if spec.least_ratio is not None else []
    return ", ".join(parts)


def warnings(results: Iterable[Result], baseline: Baseline | None) -> list[str]:
    """A line for each figure whose ratio to its limit has become more than a fifth worse."""
    lines = []
    for result in results:
        held = (baseline or {"figures": {}})["figures"].get(result.spec.name)
        if held is None or not held["ratio"] or not result.ratio:
            continue
        kept = result.ratio / held["ratio"] if result.spec.better == "more" else held["ratio"] / result.ratio
        if kept < 1 - WORST_FALL:
            lines.append(
                f"{result.spec.name} is {1 - kept:.0%} worse: its ratio is {short(result.ratio)}, "
                f"in {FILE.name} it is {short(held['ratio'])}"
            )
    return lines


def markdown(baseline: Baseline | None) -> str:
    """The table of docs/performance.md, of all figures; nothing before there is a run."""
    if baseline is None:
        return ""
    rows = [
        f"| `{name}` | {SPECS[name].what} | {_measured(held)} | "
        f"{held['target'] or '–'}{'' if held['met'] else ' **missed**'} | {short(held['limit'])} | "
        f"{short(held['ratio'])} |"
        for name, held in baseline["figures"].items()
    ]
    head = [
        "| figure | meaning | measured | target | limit of the same run | ratio |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([_when(baseline), "", *head, *rows])


def headlines(baseline: Baseline | None) -> str:
    """The README's table, of the figures that people ask for first."""
    if baseline is None:
        return ""
    rows = [
        f"| {meaning} | {_measured(held)} |"
        for name, meaning in HEADLINES.items()
        if (held := baseline["figures"].get(name))
    ]
    return "\n".join([_when(baseline), "", "| figure | measured |", "|---|---|", *rows])


def _measured(held: Mapping[str, Any]) -> str:
    return f"{short(held['value'])} {held['unit']}{' (quick)' if held['quick'] else ''}"


def _when(baseline: Baseline) -> str:
    return f"Measured by `./clinicpay bench` on {baseline['cpus']} cores, {baseline['measured_on']}."
