"""Several writes as one statement: a round trip costs both sides as much as many a write does."""

import re
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from services.chassis.db.database import Connection

_PARAMETER = re.compile(r"\$(\d+)")


def rows_in(answer: str) -> int:
    """The number of rows in PostgreSQL's answer to an INSERT, UPDATE or DELETE, such as `INSERT 0 5`."""
    return int(answer.rpartition(" ")[2])


class Statement(NamedTuple):
    """An INSERT, UPDATE or DELETE, and its arguments: `$1` is the first. It begins with no WITH."""

    sql: str
    arguments: tuple[object, ...]


async def execute(tx: Connection, *statements: Statement) -> None:
    """Write all of them or none, in one round trip.

    None of them sees what another wrote. Foreign keys are checked when all have been written, so that a row and those
    that point to it may be written together.
    """
    sql = _joined(tuple((each.sql, len(each.arguments)) for each in statements))
    await tx.execute(sql, *chain.from_iterable(each.arguments for each in statements))


@lru_cache(maxsize=64)
def _joined(statements: tuple[tuple[str, int], ...]) -> str:
    """The statements, each given as (SQL, number of its arguments), with their parameters numbered on."""
    texts, taken = [], 0
    for sql, count in statements:
        texts.append(_shifted(sql, taken))
        taken += count
    parts = ", ".join(f"part_{at} AS ({text})" for at, text in enumerate(texts[:-1], start=1))
    return f"WITH {parts} {texts[-1]}" if parts else texts[-1]


def _shifted(sql: str, by: int) -> str:
    return _PARAMETER.sub(lambda found: f"${int(found[1]) + by}", sql)
