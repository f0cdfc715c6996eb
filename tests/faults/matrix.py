"""Scenarios, and the matrix of faults and outcomes."""

import asyncio
import subprocess
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from tests.faults import checks
from tests.faults.drive import Client
from tests.faults.lab import Lab

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 300.0
"""Seconds after which a scenario counts as hanging, which is a breach."""
Play = Callable[[Lab, Client], Awaitable[str | None]]


class Skipped(Exception):
    """The scenario cannot run on this machine; the message says what would enable it."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A fault, and a play that causes it, lets the system recover and checks. It returns a remark, if any."""

    area: str
    fault: str
    play: Play
    quick: bool = False
    longest: float = LONGEST

    @property
    def name(self) -> str:
        return f"{self.area}: {self.fault}"


@dataclass(frozen=True, slots=True)
class Row:
    area: str
    fault: str
    outcome: str
    """`ok`, `breach` or `skipped`."""
    remark: str
    seconds: float


SCENARIOS: list[Scenario] = []


def scenario(area: str, fault: str, *, quick: bool = False) -> Callable[[Play], Play]:
    """Add a play to the suite."""

    def enter(play: Play) -> Play:
        SCENARIOS.append(Scenario(area, fault, play, quick))
        return play

    return enter


def chosen(scenarios: Iterable[Scenario], *, quick: bool, only: str) -> list[Scenario]:
    """The scenarios of the quick subset, or all, whose name contains the pattern."""
    wanted = f"*{only.lower()}*" if only else "*"
    return [
        each for each in scenarios if (each.quick or not quick) and fnmatchcase(each.name.lower(), wanted)
    ]


@dataclass
class Matrix:
    say: Callable[[str], None]
    rows: list[Row] = field(default_factory=list)

    @property
    def breaches(self) -> list[Row]:
        return [row for row in self.rows if row.outcome == "breach"]

    async def play(self, each: Scenario, lab: Lab, client: Client) -> None:
        """Run one scenario, remove its faults, and check the promises about all books."""
        began = time.monotonic()
        outcome, remark = "ok", ""
        try:
            await lab.quiet()
            async with asyncio.timeout(each.longest):
                remark = await each.play(lab, client) or ""
                await lab.quiet()
                await checks.drained(lab)
                await checks.books_balance(lab)
        except Skipped as reason:
            outcome, remark = "skipped", str(reason)
        except Exception as error:
            outcome, remark = "breach", f"{type(error).__name__}: {error}"
            self.say(traceback.format_exc(limit=-4))
        self.add(Row(each.area, each.fault, outcome, remark, time.monotonic() - began))

    def add(self, row: Row) -> None:
        self.rows.append(row)
        remark = f"  ({row.remark})" if row.remark else ""
        self.say(f"{row.outcome:8}{row.seconds:6.1f} s  {row.area}: {row.fault}{remark}")

    def summary(self) -> str:
        count = {name: sum(row.outcome == name for row in self.rows) for name in ("ok", "breach", "skipped")}
        return f"{len(self.rows)} faults: {count['ok']} ok, {count['breach']} breaches, {count['skipped']} skipped"

    def write(self, place: Path, notes: Iterable[str] = ()) -> None:
        """Write the matrix as Markdown, with its date and commit."""
        areas = dict.fromkeys(row.area for row in self.rows)
        lines = [
            "# What was made to fail, and what came of it",
            "",
            f"Written by `./clinicpay faults` on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC at commit {_commit()}.",
            "",
            "Each row is a fault on the whole running system. It is `ok` when, after it, every invoice was charged,",
            "booked, settled and receipted exactly once, the books balanced, nothing was parked and nothing was lost.",
            f"**{self.summary()}.**",
            *(f"\n{note}" for note in notes),
        ]
        for area in areas:
            lines += ["", f"## {area}", "", "| fault | outcome | s | remark |", "|---|---|---|---|"]
            lines += [_line(row) for row in self.rows if row.area == area]
        place.write_text("\n".join(lines) + "\n")


def _line(row: Row) -> str:
    remark = row.remark.replace("|", "\\|").replace("\n", " ")[:300]
    return f"| {row.fault} | {row.outcome} | {row.seconds:.1f} | {remark} |"


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
