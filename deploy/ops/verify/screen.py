"""`clinicpay verify`: the report as people read it, and the exit code."""

import asyncio
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Column, Table

from deploy.ops.database import UNREACHABLE
from deploy.ops.ops_role import ops_dsns
from deploy.ops.verify import textfile
from deploy.ops.verify.access import Access
from deploy.ops.verify.kept import keep
from deploy.ops.verify.report import MOST_ROWS, Breach, CannotCheck, Report, Result
from deploy.ops.verify.run import verify

WIDE = 120
"""Columns of the screen from which the checks fit in a table."""
SOUND, BROKEN, UNKNOWN = 0, 1, 2


def run(data: Path | None, wait: float, topics: bool, metrics: Path | None = None) -> int:
    """Check, print, write `metrics` for Prometheus, and answer the exit code."""
    try:
        access = Access.of(data)
        report = asyncio.run(_verified(access, data, topics=topics, wait=wait))
    except CannotCheck as reason:
        sys.stderr.write(f"clinicpay: cannot verify: {reason}\n")
        return UNKNOWN
    show(report, Console())
    if metrics is not None:
        try:
            textfile.write(report, metrics)
        except OSError as error:
            sys.stderr.write(f"clinicpay: cannot write {metrics}: {error.strerror}\n")
            return exit_code(report) or UNKNOWN
    return exit_code(report)


async def _verified(access: Access, data: Path | None, *, topics: bool, wait: float) -> Report:
    """The report, kept for the console where its role is given. Books that cannot be written to are verified still."""
    report = await verify(access, topics=topics, wait=wait)
    with suppress(CannotCheck):
        dsn = ops_dsns(data)["gateway"]
        try:
            await keep(report, dsn)
        except UNREACHABLE as error:
            sys.stderr.write(f"clinicpay: cannot keep the outcome for the console: {type(error).__name__}\n")
    return report


def exit_code(report: Report) -> int:
    """A breach that was found counts more than what could not be looked at."""
    if report.breaches:
        return BROKEN
    return UNKNOWN if report.unread else SOUND


def show(report: Report, console: Console) -> None:
    """The verdict, all checks, the rows that break one, what waits for somebody, and the verdict again."""
    verdict = _verdict(report)
    console.print(verdict)
    (_table if console.width >= WIDE else _blocks)(report, console)
    _rows(console, "Breaches", report.breaches)
    _rows(console, "Parked, waiting for somebody (clinicpay parked list)", report.waiting)
    for result in report.results:
        counts = ", ".join(f"{count} {escape(reason)}" for reason, count in sorted(result.left_out.items()))
        if counts:
            console.print(f"[dim]left out by {result.check}:[/] {counts}", soft_wrap=True)
    for what, why in report.unread.items():
        console.print(f"[bold yellow]not checked:[/] {escape(what)}: {escape(why)}", soft_wrap=True)
    console.print(verdict)


def _verdict(report: Report) -> str:
    broken = len(report.broken)
    word = f"[bold red]{broken} of {len(report.results)} checks are broken" if broken else "[green]no breach"
    rest = f", [bold yellow]not whole: {len(report.unread)} not checked[/]" if report.unread else ""
    return f"{word}[/]: {len(report.results)} checks{rest}"


def _table(report: Report, console: Console) -> None:
    whole = partial(Column, no_wrap=True)
    columns = (
        whole("check"),
        whole("where"),
        Column("what must be true"),
        whole("breaches"),
        whole("seconds"),
    )
    table = Table(*columns, title="ClinicPay's books")
    for result in report.results:
        table.add_row(result.check, result.where, result.says, _count(result), f"{result.seconds:.2f}")
    console.print(table)


def _blocks(report: Report, console: Console) -> None:
    """Two lines or more a check: no name and no number is cut, however narrow the screen."""
    console.print("[bold]ClinicPay's books")
    for result in report.results:
        head = f"[bold]{result.check}[/], {escape(result.where)}: {_count(result)}[/], {result.seconds:.2f} s"
        console.print(head, soft_wrap=True)
        console.print(Padding(escape(result.says), (0, 0, 0, 2)))


def _count(result: Result) -> str:
    count = len(result.breaches)
    return "[green]none" if not count else f"[bold red]{count}{'+' if count == MOST_ROWS else ''}"


def _rows(console: Console, title: str, rows: Iterable[Breach]) -> None:
    lines = [f"  [bold]{row.check}[/]: {escape(row.words)}" for row in rows]
    if lines:
        console.print(f"\n[bold]{title}[/]")
        console.print("\n".join(lines), soft_wrap=True)
