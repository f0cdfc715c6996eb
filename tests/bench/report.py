"""How figures are shown: a JSON line each on standard output, a table on standard error."""

import json
import sys
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from tests.bench.figures import SPECS, Result

WIDTH = 120


def line(result: Result) -> str:
    """One figure as a line of JSON."""
    shown = {
        "figure": result.spec.name,
        "value": significant(result.value),
        "unit": result.spec.unit,
        "limit": None if result.limit is None else significant(result.limit),
        "ratio": None if result.ratio is None else significant(result.ratio),
        "target": result.spec.target,
        "met": result.met,
        "quick": result.quick,
    }
    return json.dumps(shown | ({"detail": result.detail} if result.detail else {}))


def print_line(result: Result) -> None:
    sys.stdout.write(line(result) + "\n")
    sys.stdout.flush()


def print_missing(figures: Iterable[str], why: str, quick: bool) -> None:
    """A line for each figure that could not be measured."""
    for name in figures:
        sys.stdout.write(
            json.dumps(
                {"figure": name, "value": None, "unit": SPECS[name].unit, "quick": quick, "error": why}
            )
            + "\n"
        )
    sys.stdout.flush()


def significant(value: float) -> float:
    """Four significant digits: more would be noise."""
    return float(f"{value:.4g}")


def short(value: float | None) -> str:
    """For people: `6,600`, `0.77`, `–` for nothing."""
    if value is None:
        return "–"
    rounded = significant(value)
    return f"{rounded:,.0f}" if abs(rounded) >= 100 else f"{rounded:.3g}"


def print_table(results: Iterable[Result]) -> None:
    table = Table(box=None, padding=(0, 2))
    for name in ("figure", "value", "unit", "target", "limit", "ratio", ""):
        table.add_column(name, justify="left" if name in ("figure", "unit", "") else "right")
    for result in results:
        spec = result.spec
        sign = "≥" if spec.better == "more" else "≤"
        target = f"{sign} {short(spec.target)}" if spec.target is not None else "–"
        table.add_row(
            spec.name,
            short(result.value),
            spec.unit,
            target,
            short(result.limit),
            short(result.ratio),
            _mark(result),
        )
    console = Console(stderr=True, highlight=False)
    console.width = max(console.width, WIDTH)
    console.print(table)


def _mark(result: Result) -> str:
    words = ["" if result.met else "missed", "quick" if result.quick else ""]
    return " ".join(filter(None, words))
