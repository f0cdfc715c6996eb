"""Comparing the rows of two services' databases, which must agree once events are applied.

Each database digests its rows by itself: rows fall into buckets by their keys' hash, and a bucket's digest is the
count of its rows and two 64-bit sums over their hashes. Only buckets whose digests differ are read, as streams in
the order of their keys, and compared row by row. So a million equal rows never leave their database, and a million
different ones take no memory.
"""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from deploy.ops.verify.databases import Databases

CHUNK = 5000
BUCKETS = 4096
Row = tuple[Any, ...]

# A hash of a record is a weighted sum of its columns' hashes. It is hashed once more before it is added up: else
# two rows that have exchanged a column's values would have the sum of two that have not.
_DIGESTS = """
    SELECT bucket, count(*), sum(hashint8extended(one, 1)), sum(hashint8extended(two, 2))
    FROM (
        SELECT hash_record_extended(ROW({key}), 0) & {last} AS bucket,
            hash_record_extended(ROW({columns}), 1) AS one, hash_record_extended(ROW({columns}), 2) AS two
        FROM ({sql}) AS side ({columns})
    ) AS hashed
    GROUP BY bucket
"""
# Keys as bytes: they sort as UUIDs do, and cost less to make.
_ROWS = """
    SELECT {sent} FROM ({sql}) AS side ({columns})
    WHERE hash_record_extended(ROW({key}), 0) & {last} = ANY($1::bigint[])
    ORDER BY {key}
"""


class Stream(Protocol):
    """Rows in the order of their keys."""

    async def fetch(self, count: int) -> list[Any]: ...


@dataclass(frozen=True, slots=True)
class Side:
    """A query on one service: columns of the same types and order as on the other side."""

    service: str
    sql: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sides that must have the same rows; or, `within`, the first's among the second's.

    The first `key` columns name a row, and are ids.
    """

    name: str
    says: str
    left: Side
    right: Side
    columns: tuple[str, ...]
    key: int = 2
    within: bool = False

    @property
    def where(self) -> str:
        return f"{self.left.service} ↔ {self.right.service}"


async def differing(databases: Databases, comparison: Comparison) -> AsyncIterator[dict[str, Any]]:
    """The rows in which the sides differ: the key, and what each side has."""
    buckets = await suspects(databases, comparison)
    if not buckets:
        return
    left = await databases[comparison.left.service].cursor(
        _filled(_ROWS, comparison, comparison.left), buckets
    )
    right = await databases[comparison.right.service].cursor(
        _filled(_ROWS, comparison, comparison.right), buckets
    )
    async for one, other in merged(left, right, comparison.key):
        if not (comparison.within and one is None):
            yield _named(comparison, one, other)


async def suspects(databases: Databases, comparison: Comparison) -> list[int]:
    """The buckets in which rows differ."""
    left, right = await asyncio.gather(
        *(_digests(databases, comparison, side) for side in (comparison.left, comparison.right))
    )
    looked_at = left.keys() if comparison.within else left.keys() | right.keys()
    return [bucket for bucket in looked_at if left.get(bucket) != right.get(bucket)]


async def _digests(databases: Databases, comparison: Comparison, side: Side) -> dict[int, Row]:
    rows = await databases[side.service].fetch(_filled(_DIGESTS, comparison, side))
    return {row[0]: tuple(row) for row in rows}


def _filled(sql: str, comparison: Comparison, side: Side) -> str:
    names = [f'"{name}"' for name in comparison.columns]
    key, others = names[: comparison.key], names[comparison.key :]
    return sql.format(
        sql=side.sql,
        last=BUCKETS - 1,
        key=", ".join(key),
        columns=", ".join(names),
        sent=", ".join([*(f"uuid_send({name})" for name in key), *others]),
    )


async def merged(left: Stream, right: Stream, key: int) -> AsyncIterator[tuple[Row | None, Row | None]]:
    """Pairs of rows with the same key that differ, or that only one side has."""
    lefts: list[Any] = []
    rights: list[Any] = []
    more_left = more_right = True
    while True:
        (more_left, lefts), (more_right, rights) = await asyncio.gather(
            _more(left, more_left, lefts), _more(right, more_right, rights)
        )
        if not lefts and not rights:
            return
        if lefts == rights:
            lefts, rights = [], []
            continue
        ends = [rows[-1][:key] for rows, more in ((lefts, more_left), (rights, more_right)) if more and rows]
        until = min(map(tuple, ends)) if ends else None
        now_left, lefts = _until(lefts, until, key)
        now_right, rights = _until(rights, until, key)
        for each in _differences(now_left, now_right, key):
            yield each


async def _more(stream: Stream, more: bool, rows: list[Any]) -> tuple[bool, list[Any]]:
    if not more or len(rows) >= CHUNK:
        return more, rows
    fetched = await stream.fetch(CHUNK)
    return len(fetched) == CHUNK, rows + fetched


def _until(rows: list[Any], until: Row | None, key: int) -> tuple[list[Any], list[Any]]:
    """Rows up to a key, and those after it. Rows of one key stay together: keys are unique."""
    if until is None:
        return rows, []
    cut = bisect_right(rows, until, key=lambda row: tuple(row[:key]))
    return rows[:cut], rows[cut:]


def _differences(
    lefts: Sequence[Any], rights: Sequence[Any], key: int
) -> list[tuple[Row | None, Row | None]]:
    left, right = set(map(tuple, lefts)), set(map(tuple, rights))
    one = {row[:key]: row for row in left - right}
    other = {row[:key]: row for row in right - left}
    return [(one.get(name), other.get(name)) for name in sorted(one.keys() | other.keys())]


def _named(comparison: Comparison, one: Row | None, other: Row | None) -> dict[str, Any]:
    known = dict(zip(comparison.columns, one or other or (), strict=True))
    keys = comparison.columns[: comparison.key]
    named: dict[str, Any] = {name: UUID(bytes=known.pop(name)) for name in keys}
    if one is None or other is None:
        held = {name: value for name, value in known.items() if value is not None}
        missing = comparison.left.service if one is None else comparison.right.service
        return named | held | {"missing in": missing}
    for name, mine, theirs in zip(comparison.columns, one, other, strict=True):
        if mine != theirs:
            named[name] = f"{mine} ≠ {theirs}"
    return named
