"""The audit log: what staff and operators did, written with the change itself, as a chain of hashes for each clinic.

An entry holds ids and hashes, nothing personal. The database numbers, dates and chains it (`chain_audit` in
`0003_pre_audit.sql`); here the chain is counted again, without trusting the hashes in the database.
"""

import hashlib
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from opentelemetry import trace

from services.chassis.db.database import Connection
from services.chassis.db.statements import Statement, execute
from services.chassis.http.auth import Caller

INSTALLATION = UUID(int=0)
"""The clinic of those entries that are about no clinic: a chain of its own."""

_START = bytes(32)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AT_ONCE = 5000

Head = tuple[int, bytes]
"""The number and the hash of a chain's last entry."""


@dataclass(frozen=True, slots=True)
class Breach:
    """Where a clinic's chain is not what was written: from this number on it cannot be trusted."""

    clinic_id: UUID
    seq: int
    reason: str


async def record(
    tx: Connection, caller: Caller, action: str, subject_id: UUID, before: object, after: object
) -> None:
    """Record that the caller did this to the subject. Call it last: other entries of the clinic wait for the commit.

    `before` and `after` are what the subject was and is, as anything that msgspec encodes; only their hashes are
    kept. None: there was, or is, nothing. When both are the same thing, nothing was done and nothing is written.
    """
    done = (subject_id, state_hash(before), state_hash(after))
    if done[1] is None or done[1] != done[2]:
        await execute(tx, _entering(caller, action, [done]))


def recording_new(caller: Caller, action: str, made: Iterable[tuple[UUID, object]]) -> Statement:
    """The statement that records that the caller made these things, given as (id, state): an entry for each.

    Run it last in the transaction that makes them.
    """
    return _entering(caller, action, [(subject_id, None, state_hash(after)) for subject_id, after in made])


def _entering(
    caller: Caller, action: str, done: Sequence[tuple[UUID, bytes | None, bytes | None]]
) -> Statement:
    """Entries for what was done, in its order, given as (subject's id, hash before, hash after)."""
    return Statement(
        """
        INSERT INTO audit (clinic_id, actor, role, action, trace_id, subject_id, before_hash, after_hash)
        SELECT $1, $2, $3, $4, $5, subject_id, before, after
        FROM unnest($6::uuid[], $7::bytea[], $8::bytea[])
            WITH ORDINALITY AS done (subject_id, before, after, position)
        ORDER BY position
        """,
        (
            caller.clinic,
            caller.subject,
            caller.role,
            action,
            _trace_id(),
            *([each[part] for each in done] for part in range(3)),
        ),
    )


async def verify_chain(
    connection: "asyncpg.Connection[asyncpg.Record] | Connection",
    anchors: Mapping[UUID, Head] | None = None,
) -> list[Breach]:
    """The first breach of each clinic's chain; none when all is as it was written.

    The connection must see every clinic's rows, outside a transaction or inside one that reads one snapshot.
    `anchors` are ends that were read before with `heads` and kept where the database's administrator cannot write:
    only they show that a whole chain was rewritten.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        ends = await heads(connection)
        found = Chains({clinic: dict([end]) for clinic, end in (anchors or {}).items()})
        async for entry in _entries(connection):
            found.add(entry)
    return found.breaches(ends)


async def heads(connection: Any) -> dict[UUID, Head]:
    """The end of each clinic's chain."""
    rows = await connection.fetch("SELECT clinic_id, seq, hash FROM audit_heads")
    return {row["clinic_id"]: (row["seq"], row["hash"]) for row in rows}


class Chains:
    """Counts chains again, entry by entry, in order of (clinic, number)."""

    def __init__(self, anchors: Mapping[UUID, Mapping[int, bytes]]) -> None:
        self._anchors = anchors
        self._ends: dict[UUID, Head] = {}
        self._breaches: dict[UUID, Breach] = {}

    def add(self, entry: Mapping[str, Any]) -> None:
        clinic, seq = entry["clinic_id"], entry["seq"]
        last, previous = self._ends.get(clinic, (0, _START))
        if seq != last + 1:
            self._break(clinic, last + 1, "missing")
        elif entry["hash"] != _chained(previous, entry):
            self._break(clinic, seq, "changed")
        elif self._anchors.get(clinic, {}).get(seq, entry["hash"]) != entry["hash"]:
            self._break(clinic, seq, "not the one that was anchored")
        self._ends[clinic] = seq, entry["hash"]

    def breaches(self, ends: Mapping[UUID, Head]) -> list[Breach]:
        for clinic, end in {**self._ends, **ends}.items():
            counted = self._ends.get(clinic, (0, _START))
            if counted != ends.get(clinic):
                self._break(clinic, min(counted[0], end[0]) + 1, "not the end that was written")
        for clinic, anchored in self._anchors.items():
            counted = self._ends.get(clinic, (0, _START))
            if counted[0] < max(anchored):
                self._break(clinic, counted[0] + 1, "missing")
        return list(self._breaches.values())

    def _break(self, clinic: UUID, seq: int, reason: str) -> None:
        self._breaches.setdefault(clinic, Breach(clinic, seq, reason))


async def _entries(connection: Any) -> AsyncIterable[Mapping[str, Any]]:
    cursor = connection.cursor("SELECT * FROM audit ORDER BY clinic_id, seq", prefetch=_AT_ONCE)
    async for entry in cursor:
        yield entry


def _chained(previous: bytes, entry: Mapping[str, Any]) -> bytes:
    """The hash that `chain_audit` gives the entry after the one with the hash `previous`."""
    words = [
        entry["clinic_id"],
        entry["seq"],
        (entry["at"] - _EPOCH) // timedelta(microseconds=1),
        entry["actor"],
        entry["role"],
        entry["action"],
        entry["subject_id"],
        (entry["before_hash"] or b"").hex(),
        (entry["after_hash"] or b"").hex(),
        entry["trace_id"] or "",
    ]
    return hashlib.sha256(previous + "|".join(map(str, words)).encode()).digest()


def state_hash(state: object) -> bytes | None:
    """SHA-256 of the state as JSON with sorted keys."""
    return None if state is None else hashlib.sha256(msgspec.json.encode(state, order="sorted")).digest()


def _trace_id() -> str | None:
    context = trace.get_current_span().get_span_context()
    return format(context.trace_id, "032x") if context.is_valid else None
