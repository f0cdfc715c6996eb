"""The plans by which the server ran the code's statements, reported by `auto_explain` as they ended."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

import asyncpg

from services.chassis.db.database import Connection
from tests.running.databases import ServiceDb

Mode = Literal["force_custom_plan", "force_generic_plan"]
"""PostgreSQL plans a prepared statement, as all of asyncpg's are, either for its parameters or once for all. From the
sixth run on it chooses by the estimated cost: both plans must be good."""

_EXPLAIN_SETTINGS = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_timing": "off",
    "auto_explain.log_format": "json",
    "auto_explain.log_level": "notice",
}


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that the code ran, and its plan."""

    plan: dict[str, Any]

    def indexes(self) -> set[str]:
        nodes = list(_nodes(self.plan))
        asked = {index for each in nodes for index in each.get("Conflict Arbiter Indexes", [])}
        return asked | {each["Index Name"] for each in nodes if "Index Name" in each}

    def read(self) -> int:
        """The most rows that one node of the plan read, over all its loops."""
        return max(map(_rows, _nodes(self.plan)))

    def __str__(self) -> str:
        names = ("Node Type", "Relation Name", "Index Name", "Index Cond", "Filter")
        return "\n".join(
            f"    {' '.join(str(each[name]) for name in names if name in each)}: {_rows(each)} rows"
            for each in _nodes(self.plan)
        )


async def tell_plans(db: ServiceDb) -> None:
    """Report the plan of each statement to new sessions on this database."""
    name = await db.admin.fetchval("SELECT current_database()")
    for setting, value in _EXPLAIN_SETTINGS.items():
        await db.admin.execute(f"ALTER DATABASE {name} SET {setting} = '{value}'")


@asynccontextmanager
async def explained(
    transaction: AbstractAsyncContextManager[Connection], mode: Mode, found: list[Statement]
) -> AsyncIterator[Connection]:
    """A transaction, as its service opens it, whose statements are added to `found` and rolled back."""

    def on_message(_: object, message: asyncpg.PostgresLogMessage) -> None:
        _, _, plan = message.message.partition("plan:")
        if plan and "pg_catalog" not in plan:
            found.append(Statement(json.loads(plan)["Plan"]))

    try:
        async with transaction as tx:
            await tx.execute(f"SET LOCAL plan_cache_mode = {mode}")
            tx.add_log_listener(on_message)
            try:
                yield tx
                # A plan is reported at the next statement, and to listeners one turn of the loop later.
                await tx.execute("SELECT 1")
                await asyncio.sleep(0)
            finally:
                tx.remove_log_listener(on_message)
            raise _Undo
    except _Undo:
        pass


class _Undo(Exception):
    """Rolls back the statements, which were run only for their plans."""


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from _nodes(inner)


def _rows(node: dict[str, Any]) -> int:
    """The rows that the node returned or filtered out."""
    seen = (
        "Actual Rows",
        "Rows Removed by Filter",
        "Rows Removed by Index Recheck",
        "Rows Removed by Join Filter",
    )
    read: float = sum(node.get(name, 0) for name in seen) * node.get("Actual Loops", 1)
    return round(read)
