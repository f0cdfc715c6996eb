"""`clinicpay bench`: start everything on a data directory of its own, measure, stop, and leave nothing behind."""

import asyncio
import importlib
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from deploy.local.errors import EmbeddedError
from tests.bench import baseline, figures, report
from tests.bench.figures import Measurement, Result
from tests.bench.installation import Bench
from tests.bench.loadgen import LoadgenFailed, LoadgenUnavailable
from tests.bench.settle import NotSettled, warm_up

MODULES = (
    "limits",
    # While the databases have nothing but their history; what comes after it is measured at its last size.
    "growth",
    "settle",
    "latency",
    "relay",
    "book",
    "overload",
    "issue",
    "mail",
    "history",
    "rest",
    "scaling",
)
"""Modules of this package that register figures, in the order in which they are measured."""


@dataclass(frozen=True)
class Options:
    """The figures to measure.

    only        figures by name; none: all
    invoices    how many a settle run pays; None: 50,000, in a quick run 10,000
    data        where; None: a new directory beside the code
    keep        leave the data directory
    save        keep the figures, so that later runs are compared with them
    """

    quick: bool = False
    only: Sequence[str] = ()
    invoices: int | None = None
    keep: bool = False
    data: Path | None = None
    save: bool = False

    @property
    def count(self) -> int:
        return self.invoices or (10_000 if self.quick else 50_000)


QUICK_SECONDS = 165.0
"""After which a quick run measures nothing more: it is to end within 180 s, and stopping takes a while."""
T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / ".clinicpay-bench"
"""Beside the code, not in a temporary directory: that may be in memory, where fsync costs nothing."""


@dataclass(frozen=True)
class Outcome:
    results: list[Result]
    missing: list[str]


def load_figures() -> None:
    for module in MODULES:
        importlib.import_module(f"tests.bench.{module}")
    figures.MEASUREMENTS.sort(key=lambda each: MODULES.index(each.work.__module__.rpartition(".")[2]))


async def run(options: Options) -> Outcome:
    """Measure, reporting each figure as it is found. ValueError for an unknown figure, EmbeddedError and others."""
    load_figures()
    chosen = figures.chosen(options.only)
    deadline = time.monotonic() + QUICK_SECONDS if options.quick else float("inf")
    bench = Bench(options.data or _new_place(), options.count, options.quick, say, report.print_line)
    missing: list[str] = []
    try:
        await bench.start()
        await warm_up(bench)
        for each in chosen:
            missing += await _measure(bench, each, deadline)
    finally:
        await bench.stop()
        _leave(bench, options.keep)
    return Outcome(list(bench.results.values()), missing)


async def _measure(bench: Bench, measurement: Measurement, deadline: float) -> list[str]:
    """Do the work; names the figures that it did not find. One that cannot be measured must not cost all others."""
    say(f"{', '.join(measurement.gives)}…")
    began, why = time.monotonic(), "its work found no value"
    left = deadline - began
    try:
        async with asyncio.timeout(None if left == float("inf") else left):
            if not bench.quick:
                await bench.tidy()
            await measurement.work(bench)
    except TimeoutError as error:
        why = f"no time was left after {time.monotonic() - began:.0f} s: {error}"
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
    missing = [name for name in measurement.gives if name not in bench.results]
    if missing:
        say(f"  {why}")
        report.print_missing(missing, why, bench.quick)
    say(f"  {time.monotonic() - began:.1f} s")
    return missing


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


async def until_signalled(work: Coroutine[Any, Any, T]) -> T:
    """On SIGTERM too, what was started is stopped and what was written is taken away."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


def main(options: Options) -> int:
    """Exit code: 0 when all was measured. Missed targets and ratios that fell are printed, and fail nothing."""
    try:
        outcome = asyncio.run(until_signalled(run(options)))
    except asyncio.CancelledError:
        say("clinicpay: stopped")
        return 1
    except (EmbeddedError, LoadgenUnavailable, LoadgenFailed, NotSettled, ValueError) as refusal:
        say(f"clinicpay: {refusal}")
        return 1
    report.print_table(outcome.results)
    for warning in baseline.warnings(outcome.results, baseline.load()):
        say(f"warning: {warning}")
    if options.save:
        baseline.save(outcome.results)
        say(
            f"kept in {baseline.FILE.relative_to(ROOT)}; `python -m tests.tools.generate` brings it into README.md"
        )
    return 1 if outcome.missing else 0
