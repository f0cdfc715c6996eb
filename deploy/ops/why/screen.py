"""`clinicpay why`: the answer as people read it, and the exit code."""

import asyncio
import json
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from deploy.ops.apart import apart
from deploy.ops.database import UNREACHABLE
from deploy.ops.verify.access import Access
from deploy.ops.verify.report import CannotCheck
from deploy.ops.why.asking import DatabaseAway, why
from deploy.ops.why.references import nothing_known
from deploy.ops.why.story import Journey, as_json

FOUND, NOTHING, UNKNOWN = 0, 1, 2
_LONGEST_SHOWN = 60
_WHAT_THEN = "docs/operations.md#when-a-part-is-away says what goes on meanwhile"


def run(reference: str, data: Path | None, *, json_wanted: bool) -> int:
    """Ask, print, and answer the exit code: 1 where the reference names nothing, 2 where it cannot be asked."""
    try:
        access = Access.of(data)
        found = asyncio.run(why(access, reference.strip()))
    except CannotCheck as reason:
        sys.stderr.write(f"clinicpay: cannot ask: {reason}\n")
        return UNKNOWN
    except DatabaseAway as away:
        sys.stderr.write(f"clinicpay: cannot ask: {away}. {_WHAT_THEN}\n")
        return UNKNOWN
    except UNREACHABLE as error:
        sys.stderr.write(
            f"clinicpay: cannot ask: a database does not answer ({type(error).__name__}). {_WHAT_THEN}\n"
        )
        return UNKNOWN
    if data is not None:
        found = [with_data(each, data) for each in found]
    if json_wanted:
        sys.stdout.write(json.dumps(as_json(found), indent=1) + "\n")
    else:
        show(reference, found, Console())
    return FOUND if found else NOTHING


def with_data(journey: Journey, data: Path) -> Journey:
    """The journey with `--data` in the commands that would help, as it was given here."""
    if journey.waits is None:
        return journey
    where = shlex.quote(str(data))
    told = re.sub(r"`(clinicpay [^`]+)`", lambda found: f"`{found[1]} --data {where}`", journey.waits.help)
    return replace(journey, waits=replace(journey.waits, help=told))


def show(reference: str, found: Sequence[Journey], console: Console) -> None:
    if not found:
        console.print(f"Nothing is known by {escape(_shown(reference))}. {nothing_known(reference)}")
    for each in found:
        console.print(f"[bold]{escape(each.title)}[/]")
        before = None
        for step in each.steps:
            later = f"+{apart((step.at - before).total_seconds())}" if before else ""
            before = step.at
            console.print(
                f"  {step.at:%Y-%m-%d %H:%M:%S}  [dim]{later:>8}[/]  {step.service:<12}  {escape(step.text)}"
                f"  [dim]{escape(' '.join(step.refs))}[/]",
                soft_wrap=True,
            )
        if each.waits is None:
            console.print("  [green]Nothing waits.[/]")
        else:
            since = f", since {each.waits.since:%Y-%m-%d %H:%M:%S}" if each.waits.since else ""
            console.print(f"  [bold yellow]Waits[/]{since}: {escape(each.waits.text)}", soft_wrap=True)
            console.print(f"  [bold]Help[/]: {escape(each.waits.help)}", soft_wrap=True)


def _shown(reference: str) -> str:
    """As it was given, in letters that a screen shows."""
    text = "".join(each if each.isprintable() else "?" for each in reference[:_LONGEST_SHOWN])
    return text if len(reference) <= _LONGEST_SHOWN else f"{text}…"
