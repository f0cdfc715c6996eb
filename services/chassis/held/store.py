"""Every SQL statement on held acts."""

import json
from collections.abc import Collection
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg

from contracts.vocabulary import HeldState
from services.chassis.db.database import Connection
from services.chassis.held.domain import HeldAct, Preview, Wanted
from services.chassis.ids import Key, columns

_COLUMNS = """clinic_id, id, kind, subject_id, request, preview, preview_hash, actor, role, state, reason, result_id,
    created_at, due_at, ended_at, ended_by"""


async def add(tx: Connection, kind: str, wanted: Wanted, preview: Preview, hold: timedelta) -> HeldAct:
    """Add an act that is due after `hold`."""
    row = await tx.fetchrow(
        f"""
        INSERT INTO held_acts (clinic_id, id, kind, subject_id, request, preview, preview_hash, actor, role, due_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, app_now() + $10::interval)
        RETURNING {_COLUMNS}
        """,
        wanted.clinic_id,
        wanted.id,
        kind,
        wanted.subject_id,
        json.dumps(wanted.request),
        json.dumps({"posts": preview.posts, "shows": preview.shows}),
        preview.hash,
        wanted.caller.subject,
        wanted.caller.role,
        hold,
    )
    assert row is not None, "an INSERT returns its row"
    return _act(row)


async def get(tx: Connection, clinic_id: UUID, id_: UUID) -> HeldAct | None:
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM held_acts WHERE clinic_id = $1 AND id = $2", clinic_id, id_
    )
    return None if row is None else _act(row)


async def lock(tx: Connection, clinic_id: UUID, id_: UUID) -> HeldAct | None:
    """`get`, and keep others from ending it until the transaction ends. Its task is locked before it."""
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM held_acts WHERE clinic_id = $1 AND id = $2 FOR UPDATE", clinic_id, id_
    )
    return None if row is None else _act(row)


async def list_of(tx: Connection, kinds: Collection[str], subjects: Collection[Key]) -> list[HeldAct]:
    """The acts of these kinds that are held for these subjects, given as (clinic, subject)."""
    rows = await tx.fetch(
        f"""
        SELECT {_COLUMNS} FROM held_acts
        WHERE (clinic_id, subject_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
            AND state = 'held' AND kind = ANY ($3)
        ORDER BY clinic_id, id
        """,
        *columns(subjects),
        list(kinds),
    )
    return [_act(row) for row in rows]


async def list_acts(
    tx: Connection, clinic_id: UUID, *, ended: bool, before: UUID | None, limit: int
) -> list[HeldAct]:
    """A clinic's acts, newest first, from after the one named `before`: the held ones, or the ended."""
    state = "state <> 'held'" if ended else "state = 'held'"
    rows = await tx.fetch(
        f"""
        SELECT {_COLUMNS} FROM held_acts
        WHERE clinic_id = $1 AND {state} AND ($2::uuid IS NULL OR id < $2)
        ORDER BY id DESC
        LIMIT $3
        """,
        clinic_id,
        before,
        limit,
    )
    return [_act(row) for row in rows]


async def end(
    tx: Connection,
    act: HeldAct,
    state: HeldState,
    *,
    reason: str | None = None,
    result_id: UUID | None = None,
    by: UUID | None = None,
) -> HeldAct:
    """Save the end of an act that is locked."""
    row = await tx.fetchrow(
        f"""
        UPDATE held_acts SET state = $3, reason = $4, result_id = $5, ended_at = app_now(), ended_by = $6
        WHERE clinic_id = $1 AND id = $2
        RETURNING {_COLUMNS}
        """,
        act.clinic_id,
        act.id,
        state,
        reason,
        result_id,
        by,
    )
    assert row is not None, "it is locked"
    return _act(row)


def _act(row: asyncpg.Record) -> HeldAct:
    values: dict[str, Any] = dict(row)
    preview = json.loads(values.pop("preview"))
    request = json.loads(values.pop("request"))
    return HeldAct(**values, request=request, preview=Preview(**preview))
