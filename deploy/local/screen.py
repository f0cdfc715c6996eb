"""The output of `clinicpay up`: a live table in a terminal, plain lines elsewhere."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from deploy.local.supervisor import Status

MARKS = {
    "waiting": ("·", "dim"),
    "starting": ("…", "yellow"),
    "ready": ("✓", "green"),
    "failing": ("!", "red"),
    "died": ("✗", "red"),
}


class Screen:
    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)
        self._said: dict[str, str] = {}

    def say(self, line: str) -> None:
        self.console.print(line, markup=False)

    @contextlib.asynccontextmanager
    async def starting(self, statuses: Mapping[str, Status]) -> AsyncIterator[None]:
        """While inside, show each part's state as it changes."""
        show = self._live if self.console.is_terminal else self._lines
        task = asyncio.create_task(show(statuses))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _live(self, statuses: Mapping[str, Status]) -> None:
        with Live(_table(statuses), console=self.console, auto_refresh=False, transient=True) as live:
            while True:
                live.update(_table(statuses), refresh=True)
                await asyncio.sleep(0.15)

    async def _lines(self, statuses: Mapping[str, Status]) -> None:
        try:
            while True:
                self.say_changes(statuses)
                await asyncio.sleep(0.1)
        finally:
            self.say_changes(statuses)

    def say_changes(self, statuses: Mapping[str, Status]) -> None:
        """Say which parts have begun to start, and which are ready, each once."""
        for name, status in statuses.items():
            if status.state == "ready" and self._said.get(name) != "ready":
                self._said[name] = "ready"
                self.say(f"{name}: ready ({status.seconds:.1f} s)")
            elif status.state == "starting" and name not in self._said:
                self._said[name] = "starting"
                self.say(f"{name}: starting")

    def facts(self, title: str, rows: Sequence[tuple[str, str]]) -> None:
        """A titled list of what one needs to know."""
        table = Table.grid(padding=(0, 2))
        for name, value in rows:
            table.add_row(Text(f"  {name}", style="dim"), Text(value))
        self.console.print(Text(title, style="bold"))
        self.console.print(table)


def _table(statuses: Mapping[str, Status]) -> Table:
    table = Table(box=None, padding=(0, 2), show_header=False)
    for status in statuses.values():
        mark, style = MARKS[status.state]
        again = f"restarted {status.restarts}×" if status.restarts else ""
        table.add_row(
            Text(f"{mark} {status.name}", style=style), Text(status.state, style=style), Text(again)
        )
    return table
