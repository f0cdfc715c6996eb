"""The frozen picture: what other systems, old rows and old topics know this system by, one committed file a subject.

A subject is drawn from the running code and compared with its file. When a change of one is meant, write the file
again, and commit it by itself with the reason:

    python -m tests.frozen              every file
    python -m tests.frozen topics story these

docs/adr/0015-frozen-picture.md says why.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from difflib import unified_diff
from itertools import islice
from pathlib import Path
from typing import Any

from tests.running.databases import ServiceDb

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
LONGEST_DIFF = 40

Dbs = Mapping[str, ServiceDb]
"""Each service's migrated, empty database, by the service's name."""


def differences(kept: Any, today: Any) -> list[str]:
    """The lines in which two pictures differ, the kept one's with `-`."""
    lines = unified_diff(
        text(kept).splitlines(), text(today).splitlines(), "committed", "today", n=2, lineterm=""
    )
    return list(islice(lines, LONGEST_DIFF))


@dataclass(frozen=True, slots=True)
class Subject:
    """`draw` answers what JSON can hold. `compare` answers a line for each thing that is wrong."""

    name: str
    draw: Callable[[Dbs], Awaitable[Any]]
    compare: Callable[[Any, Any], list[str]] = differences

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.name}.json"

    async def check(self, dbs: Dbs) -> None:
        """Raise AssertionError, with what differs and what to do, unless today's system is the committed one."""
        wrong = self.compare(json.loads(self.path.read_text()), plain(await self.draw(dbs)))
        assert not wrong, "\n".join(
            [f"{self.path.name} is not today's system any more:", *wrong, self._advice()]
        )

    async def write(self, dbs: Dbs) -> None:
        self.path.write_text(text(await self.draw(dbs)))

    def _advice(self) -> str:
        return (
            "Others may depend on what was there. If the change is meant: `python -m tests.frozen "
            f"{self.name}`, and commit {self.path.name} by itself, with the reason."
        )


def text(picture: Any) -> str:
    """As a file holds it: sorted and indented, so that a diff can be read."""
    return json.dumps(picture, indent=1, sort_keys=True, ensure_ascii=False, default=str) + "\n"


def plain(picture: Any) -> Any:
    """The picture as its file would give it back."""
    return json.loads(text(picture))
