"""`clinicpay bench`: start everything on a data directory of its own, measure, stop, and leave nothing behind."""

import asyncio
import importlib
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.bench import figures, report
from deploy.bench.figures import Result
from deploy.bench.installation import Bench
from deploy.bench.loadgen import LoadgenFailed, LoadgenUnavailable
from deploy.bench.settle import NotSettled, warm_up
from deploy.embedded.errors import EmbeddedError

MODULES = ("limits", "settle", "latency", "relay", "book", "overload", "growth")
"""Modules of this package that register figures, in the order in which they are measured."""


@dataclass(frozen=True)
class Wish:
    """What to measure. `invoices` None: as many as fit; `data`: where, kept when `keep`."""

    quick: bool = False
    only: Sequence[str] = ()
    invoices: int | None = None
    keep: bool = False
    data: Path | None = None

    @property
    def count(self) -> int:
        return self.invoices or (10_000 if self.quick else 50_000)


ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / ".clinicpay-bench"
"""Beside the code, not in a temporary directory: that may be in memory, where fsync costs nothing."""


def load_figures() -> None:
    for module in MODULES:
        importlib.import_module(f"deploy.bench.{module}")


async def run(wish: Wish) -> list[Result]:
    """Measure, reporting each figure as it is found. ValueError for an unknown figure, EmbeddedError and others."""
    load_figures()
    chosen = figures.chosen(wish.only)
    data = wish.data or _new_place()
    bench = Bench(data, wish.count, wish.quick, say, report.print_line)
    try:
        await bench.start()
        await warm_up(bench)
        for each in chosen:
            began = time.monotonic()
            say(f"measuring {', '.join(each.gives)}…")
            await each.work(bench)
            say(f"  {time.monotonic() - began:.1f} s")
    finally:
        await bench.stop()
        _leave(bench, wish.keep)
    results = list(bench.results.values())
    report.print_table(results)
    return results


def _new_place() -> Path:
    PLACE.mkdir(exist_ok=True)
    return Path(tempfile.mkdtemp(dir=PLACE))


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _leave(bench: Bench, keep: bool) -> None:
    places = [bench.data, *([bench.system.postgres.moved_to] if bench.system.postgres.moved_to else [])]
    if keep:
        say(f"kept: {', '.join(map(str, places))}")
        return
    for place in places:
        shutil.rmtree(place, ignore_errors=True)


def main(wish: Wish) -> int:
    """Exit code: 0 when all was measured."""
    try:
        asyncio.run(run(wish))
    except (EmbeddedError, LoadgenUnavailable, LoadgenFailed, NotSettled, ValueError) as refusal:
        say(f"clinicpay: {refusal}")
        return 1
    return 0
