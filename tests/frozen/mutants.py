"""The names of the mutants: a safeguard that one of them takes away goes on being watched."""

from typing import Any

from tests.frozen.picture import Dbs
from tests.mutants import table


async def draw(_: Dbs) -> Any:
    return sorted(mutant.name for mutant in table.ALL)


def missing(kept: list[str], today: list[str]) -> list[str]:
    """Further mutants are welcome without a change of the file."""
    return [f"- {name}" for name in sorted(set(kept) - set(today))]
