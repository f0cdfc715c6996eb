"""Exceptions: things that cannot be booked without a person, each with its likely cause, until one call settles it.

One exception of a kind is open for each subject. `Way` is what a settlement does; a kind has one for each `how`.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from services.chassis import audit
from services.chassis.db.database import Connection
from services.chassis.errors import DomainError
from services.chassis.http.auth import Caller
from services.chassis.ids import new_id


@dataclass(frozen=True, slots=True)
class Exceptional:
    """A row of `exceptions`. `cause` is a code; `detail` holds ids, amounts and codes, nothing personal."""

    clinic_id: UUID
    id: UUID
    kind: str
    subject_id: UUID
    cause: str
    detail: Mapping[str, Any]
    created_at: datetime
    settled_at: datetime | None = None
    settled_by: UUID | None = None
    settled_how: str | None = None


Way = Callable[[Connection, Caller, Exceptional], Awaitable[None]]
"""The effect of a settlement, in its transaction. A refusal leaves the exception open."""
Ways = Mapping[str, Mapping[str, Way]]
"""Kind of exception, how it is settled, and what that does."""


class ExceptionNotFound(DomainError):
    code = "exception_not_found"
    status = 404


class AlreadySettled(DomainError):
    """It was settled in another way."""

    code = "already_settled"


class UnknownSettlement(DomainError):
    """Its kind is not settled in this way."""

    code = "settlement_unknown"
    status = 422


async def add(
    tx: Connection, clinic_id: UUID, kind: str, subject_id: UUID, cause: str, detail: Mapping[str, Any]
) -> UUID | None:
    """Add an exception; None when one of this kind is open for the subject."""
    added: UUID | None = await tx.fetchval(
        """
        INSERT INTO exceptions (clinic_id, id, kind, subject_id, cause, detail) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT DO NOTHING
        RETURNING id
        """,
        clinic_id,
        new_id(),
        kind,
        subject_id,
        cause,
        json.dumps(detail),
    )
    return added


async def list_exceptions(
    tx: Connection, clinic_id: UUID, *, settled: bool, before: UUID | None, limit: int
) -> list[Exceptional]:
    """A clinic's exceptions, newest first, from after the one named `before`."""
    rows = await tx.fetch(
        f"""
        SELECT {_COLUMNS} FROM exceptions
        WHERE clinic_id = $1 AND (settled_at IS NOT NULL) = $2 AND ($3::uuid IS NULL OR id < $3)
        ORDER BY id DESC
        LIMIT $4
        """,
        clinic_id,
        settled,
        before,
        limit,
    )
    return [_exception(row) for row in rows]


async def settle(tx: Connection, caller: Caller, exception_id: UUID, how: str, ways: Ways) -> Exceptional:
    """Settle an exception in one of its kind's ways. To settle it again in the same way changes nothing.

    Raises `ExceptionNotFound`, `UnknownSettlement`, `AlreadySettled`, and what the way itself refuses.
    """
    found = await _lock(tx, caller.clinic, exception_id)
    if found.settled_how == how:
        return found
    if found.settled_at is not None:
        raise AlreadySettled("This exception was settled in another way.", settled_how=found.settled_how)
    allowed = ways_of(found.kind, ways)
    if how not in allowed:
        raise UnknownSettlement(
            "An exception of this kind is not settled like this.", allowed=sorted(allowed)
        )
    await allowed[how](tx, caller, found)
    row = await tx.fetchrow(
        f"""
        UPDATE exceptions SET settled_at = app_now(), settled_by = $3, settled_how = $4
        WHERE clinic_id = $1 AND id = $2
        RETURNING {_COLUMNS}
        """,
        found.clinic_id,
        found.id,
        caller.subject,
        how,
    )
    assert row is not None, "it is locked"
    settled = _exception(row)
    await audit.record(tx, caller, "settle_exception", found.subject_id, found, settled)
    return settled


def ways_of(kind: str, ways: Ways) -> Mapping[str, Way]:
    """How exceptions of a kind are settled. One that has no ways of its own is dismissed."""
    return ways.get(kind, {"dismiss": nothing})


async def nothing(_: Connection, __: Caller, ___: Exceptional) -> None:
    """The way that changes nothing: a person has seen it."""


_COLUMNS = (
    """clinic_id, id, kind, subject_id, cause, detail, created_at, settled_at, settled_by, settled_how"""
)


async def _lock(tx: Connection, clinic_id: UUID, exception_id: UUID) -> Exceptional:
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM exceptions WHERE clinic_id = $1 AND id = $2 FOR UPDATE",
        clinic_id,
        exception_id,
    )
    if row is None:
        raise ExceptionNotFound("There is no such exception.")
    return _exception(row)


def _exception(row: asyncpg.Record) -> Exceptional:
    return Exceptional(**{**row, "detail": json.loads(row["detail"])})
