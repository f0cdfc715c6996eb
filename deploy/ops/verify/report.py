"""The result of a verification: each check with the rows that break it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MOST_ROWS = 50
"""Rows that are listed for one check; of more, only their number is shown."""


class CannotCheck(Exception):
    """Something that must be read cannot be reached. The text names it, and what to do."""


@dataclass(frozen=True, slots=True)
class Breach:
    """A row that breaks an invariant: the check's name, and the row's keys and values."""

    check: str
    row: Mapping[str, Any]

    @property
    def words(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.row.items())


@dataclass(frozen=True, slots=True)
class Result:
    """One check: where it looked, what must be true there, which rows break it, how long it took.

    `left_out` counts what it saw and is no concern of it, by reason. `unread` is what it could not ask, and why.
    """

    check: str
    where: str
    says: str
    breaches: tuple[Breach, ...]
    seconds: float
    left_out: Mapping[str, int] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Report:
    """`waiting`: parked events that somebody has to look at."""

    results: list[Result] = field(default_factory=list)
    waiting: list[Breach] = field(default_factory=list)

    @property
    def breaches(self) -> list[Breach]:
        return [breach for result in self.results for breach in result.breaches]

    @property
    def unread(self) -> dict[str, str]:
        """All that could not be asked, with the reason: the report has gaps."""
        return {what: why for result in self.results for what, why in result.unread.items()}

    @property
    def broken(self) -> set[str]:
        """The names of the checks that failed."""
        return {breach.check for breach in self.breaches}

    def replace(self, newer: Sequence[Result]) -> None:
        """Put results in the place of earlier ones of the same checks."""
        known = {result.check: result for result in newer}
        self.results = [known.get(result.check, result) for result in self.results]

    def __str__(self) -> str:
        """The breaches, a line each: what a failed assertion shows."""
        return "\n".join(f"{breach.check}: {breach.words}" for breach in self.breaches) or "no breach"
