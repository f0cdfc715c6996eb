"""`clinicpay bench --against REF`: does a settlement take more CPU than at another commit?

Both run on this machine at the same time, and settle invoices in turn: what slows the machine down for a while slows
down both of a pair. So the ratio of a pair says more than two runs, of which each met another machine.
"""

import asyncio
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench.run import PLACE, ROOT, say, until_signalled

PAIRS = 10
INVOICES = 3_000
"""Settled in one half of a pair: enough for two seconds of CPU, which Linux counts in hundredths."""
MOST = 1.05
CONFIDENCE = 0.95
START_SECONDS = 300
SIDES = ("tests/bench/side.py", "deploy/bench/side.py")
"""Each side runs its own tree's program; the second is its place in commits before November 29, 2026."""
WHAT = {"ours": "CPU of our processes for a settlement", "all": "the same with PostgreSQL's and Kafka's"}


class CannotCompare(Exception):
    """The other commit cannot be had, or does not run. The message says why."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The median of the pairs' ratios, new ÷ old, with the interval that holds the true one at 95 %."""

    ratio: float
    low: float
    high: float

    @property
    def fine(self) -> bool:
        """At most 5 % more, or no difference that can be told from chance."""
        return self.ratio <= MOST or self.low <= 1.0 <= self.high


def verdict(ratios: Sequence[float]) -> Verdict:
    """Of paired ratios. The interval is between two of them, by the sign test, whatever their distribution."""
    ordered, outside = sorted(ratios), _outside(len(ratios))
    return Verdict(median(ordered), ordered[outside], ordered[-1 - outside])


def _outside(count: int) -> int:
    """How many of the least, and of the greatest, are outside the interval; 0 for so few that it holds them all."""
    outside, tail = 0, 0.5**count
    while outside < (count - 1) // 2:
        tail += math.comb(count, outside + 1) * 0.5**count
        if 2 * tail > 1 - CONFIDENCE:
            break
        outside += 1
    return outside


async def compare(ref: str, pairs: int = PAIRS, invoices: int = INVOICES) -> dict[str, Verdict]:
    """Verdicts on `ours` and `all`. Raises `CannotCompare`."""
    async with AsyncExitStack() as stack:
        there = stack.enter_context(_checked_out(ref))
        old = await stack.enter_async_context(_side(there))
        new = await stack.enter_async_context(_side(ROOT))
        ratios: dict[str, list[float]] = {name: [] for name in WHAT}
        for number in range(pairs):
            # Whichever comes second finds a warmer machine, so each comes second every other time.
            first, second = (old, new) if number % 2 else (new, old)
            found = {first: await first.settle(invoices), second: await second.settle(invoices)}
            for name, values in ratios.items():
                values.append(found[new][name] / found[old][name])
            say(f"pair {number + 1}: " + ", ".join(_pair(name, found[old], found[new]) for name in WHAT))
    return {name: verdict(values) for name, values in ratios.items()}


def _pair(name: str, old: dict[str, float], new: dict[str, float]) -> str:
    return f"{name} {old[name]:.3f} → {new[name]:.3f} ms"


@dataclass(frozen=True, eq=False)
class Side:
    process: asyncio.subprocess.Process

    async def settle(self, invoices: int) -> dict[str, float]:
        assert self.process.stdin
        self.process.stdin.write(f"{invoices}\n".encode())
        await self.process.stdin.drain()
        return await self.answer()

    async def answer(self) -> dict[str, float]:
        assert self.process.stdout
        line = await asyncio.wait_for(self.process.stdout.readline(), START_SECONDS)
        if not line:
            raise CannotCompare("One side has ended; what it said stands above.")
        found: dict[str, float] = json.loads(line)
        return found


@asynccontextmanager
async def _side(tree: Path) -> AsyncIterator[Side]:
    """An installation of the code in `tree`, ready."""
    program = next(tree / each for each in SIDES if (tree / each).exists())
    process = await asyncio.create_subprocess_exec(
        *(_python(tree), "-P", str(program)),
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    side = Side(process)
    try:
        await side.answer()
        yield side
    finally:
        if process.stdin:
            process.stdin.close()
        await process.wait()


def _python(tree: Path) -> str:
    """Of the tree's own packages, where they are not the ones that run here."""
    if _requirements(tree) == _requirements(ROOT):
        return sys.executable
    done = subprocess.run([tree / "clinicpay", "--help"], stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise CannotCompare("The packages of that commit could not be installed.")
    return str(tree / ".venv" / "bin" / "python")


def _requirements(tree: Path) -> str:
    return (tree / "requirements" / "run.txt").read_text()


@contextmanager
def _checked_out(ref: str) -> Iterator[Path]:
    """The tree of a commit, in a directory that goes again."""
    archive = subprocess.run(
        ["git", "archive", "--format=tar", ref], cwd=ROOT, capture_output=True, check=False
    )
    if archive.returncode:
        raise CannotCompare(f"git knows no commit {ref!r}.")
    PLACE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PLACE, ignore_cleanup_errors=True) as place:
        subprocess.run(["tar", "-x"], cwd=place, input=archive.stdout, check=True)
        yield Path(place)


def main(ref: str) -> int:
    """Exit code: 1 when a settlement takes more CPU than 5 %, and that is no chance."""
    try:
        verdicts = asyncio.run(until_signalled(compare(ref)))
    except asyncio.CancelledError:
        say("clinicpay: stopped")
        return 1
    except CannotCompare as refusal:
        say(f"clinicpay: {refusal}")
        return 1
    for name, each in verdicts.items():
        word = "fine" if each.fine else "more than it may be"
        say(f"{WHAT[name]}, against {ref}: × {each.ratio:.3f} ({each.low:.3f} to {each.high:.3f}), {word}")
    return 0 if all(each.fine for each in verdicts.values()) else 1
