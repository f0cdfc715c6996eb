"""`clinicpay verify`: the report as a table, and the exit code."""

import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deploy.ops.verify.access import Access
from deploy.ops.verify.report import MOST_ROWS, Breach, CannotCheck, Report
from deploy.ops.verify.run import verify

SOUND, BROKEN, UNKNOWN = 0, 1, 2


def run(data: Path | None, wait: float, topics: bool) -> int:
    """Check, print, and answer the exit code."""
    try:
        access = Access.of_data(data) if data else Access.of_environment()
        report = asyncio.run(verify(access, topics=topics, wait=wait))
    except CannotCheck as reason:
        sys.stderr.write(f"clinicpay: cannot verify: {reason}\n")
        return UNKNOWN
    show(report, Console())
    return exit_code(report)


def exit_code(report: Report) -> int:
    """A breach that was found counts more than what could not be looked at."""
    if report.breaches:
        return BROKEN
    return UNKNOWN if report.unread else SOUND


def show(report: Report, console: Console) -> None:
    """The table of all checks, then the rows that break one, then what waits for somebody."""
    table = Table("check", "where", "what must be true", "breaches", "seconds", title="ClinicPay's books")
    for result in report.results:
        count = len(result.breaches)
        shown = "[green]none" if not count else f"[bold red]{count}{'+' if count == MOST_ROWS else ''}"
        table.add_row(result.check, result.where, result.says, shown, f"{result.seconds:.2f}")
    console.print(table)
    _rows(console, "Breaches", report.breaches)
    _rows(console, "Parked, waiting for somebody (clinicpay parked list)", report.waiting)
    for result in report.results:
        counts = ", ".join(f"{count} {escape(reason)}" for reason, count in sorted(result.left_out.items()))
        if counts:
            console.print(f"[dim]left out by {result.check}:[/] {counts}", soft_wrap=True)
    for what, why in report.unread.items():
        console.print(f"[bold yellow]not checked:[/] {escape(what)}: {escape(why)}", soft_wrap=True)
    broken = len(report.broken)
    last = f"[bold red]{broken} of {len(report.results)} checks are broken" if broken else "[green]no breach"
    rest = f", [bold yellow]not whole: {len(report.unread)} not checked[/]" if report.unread else ""
    console.print(f"{last}[/]: {len(report.results)} checks{rest}")


def _rows(console: Console, title: str, rows: Iterable[Breach]) -> None:
    lines = [f"  [bold]{row.check}[/]: {escape(row.words)}" for row in rows]
    if lines:
        console.print(f"\n[bold]{title}[/]")
        console.print("\n".join(lines), soft_wrap=True)
