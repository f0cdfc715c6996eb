"""The queue: work that is due at a time is a row in the transaction of its cause (ADR 0036).

Added once for each (clinic, kind, key). Two ways to work on a task:

- `claim` it for a lease, commit, call others, then `end` it in another transaction. A process that dies in between
  leaves a claim that runs out.
- `take` it: the row stays locked until the transaction that does the work and `end`s the task commits.

Either way a handler may run again after a crash: its effect must be the same when it comes twice. `cancel` never stops
work that is claimed or taken: it waits for a taken task, and finds it ended.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from services.chassis.db.database import Connection
from services.chassis.ids import Key, columns
from services.chassis.queue.domain import Canceled, Done, Failed, NewTask, Outcome, Retry, Task, Waits
from services.chassis.telemetry.traces import current_traceparent

_TASK = """clinic_id, kind, key, payload, traceparent, attempts, due_at, claimed_until,
    app_now() - created_at AS age"""
_FREE = "state = 'due' AND (claimed_until IS NULL OR claimed_until <= app_now())"


@dataclass(frozen=True, slots=True)
class Recorded:
    """An outcome was recorded `at` this time. `hastened`: since its claim the task was made due."""

    at: datetime
    hastened: bool


async def enqueue(tx: Connection, kind: str, tasks: Collection[NewTask]) -> set[Key]:
    """Add tasks of a kind. Returns (clinic, key) of those added: a known one stays as it is, ended or not."""
    if not tasks:
        return set()
    ordered = sorted(tasks, key=lambda task: (task.clinic_id, task.key))
    own = current_traceparent()
    rows = await tx.fetch(
        """
        INSERT INTO tasks (clinic_id, kind, key, due_at, payload, traceparent)
        SELECT clinic_id, $1, key, app_now() + after, payload, traceparent
        FROM unnest($2::uuid[], $3::uuid[], $4::interval[], $5::jsonb[], $6::text[])
            AS task (clinic_id, key, after, payload, traceparent)
        ON CONFLICT DO NOTHING
        RETURNING clinic_id, key
        """,
        kind,
        [task.clinic_id for task in ordered],
        [task.key for task in ordered],
        [task.after for task in ordered],
        [None if task.payload is None else json.dumps(task.payload) for task in ordered],
        [task.traceparent or own for task in ordered],
    )
    return _keys(rows)


async def renew(tx: Connection, kind: str, task: NewTask) -> None:
    """Make a task due now that has ended, with all its tries, or is not kept any more. One that is due stays."""
    await tx.execute(
        """
        INSERT INTO tasks AS known (clinic_id, kind, key, due_at, payload, traceparent)
        VALUES ($1, $2, $3, app_now() + $4::interval, $5, $6)
        ON CONFLICT (clinic_id, kind, key) DO UPDATE SET state = 'due', attempts = 0, due_at = excluded.due_at,
            reason = NULL, ended_at = NULL, claimed_until = NULL
            WHERE known.state <> 'due'
        """,
        task.clinic_id,
        kind,
        task.key,
        task.after,
        None if task.payload is None else json.dumps(task.payload),
        task.traceparent or current_traceparent(),
    )


async def claim(tx: Connection, kinds: Collection[str], limit: int, lease: timedelta) -> list[Task]:
    """Claim for `lease` up to `limit` tasks of these kinds that are due, oldest first. Waits for nobody.

    A task of a kind that only a newer release knows waits for that release.
    """
    rows = await tx.fetch(
        f"""
        WITH next AS (
            SELECT clinic_id, kind, key FROM tasks
            WHERE {_FREE} AND due_at <= app_now() AND kind = ANY ($3)
            ORDER BY due_at LIMIT $1
            FOR UPDATE SKIP LOCKED
        ), claimed AS (
            UPDATE tasks SET claimed_until = app_now() + $2::interval FROM next
            WHERE (tasks.clinic_id, tasks.kind, tasks.key) = (next.clinic_id, next.kind, next.key)
            RETURNING tasks.*
        )
        SELECT {_TASK} FROM claimed ORDER BY due_at
        """,
        limit,
        lease,
        list(kinds),
    )
    return [_task(row) for row in rows]


async def take(tx: Connection, kinds: Collection[str]) -> Task | None:
    """Lock the oldest task of these kinds that is due until the transaction ends. Waits for nobody."""
    row = await tx.fetchrow(
        f"""
        SELECT {_TASK} FROM tasks
        WHERE {_FREE} AND due_at <= app_now() AND kind = ANY ($1)
        ORDER BY due_at LIMIT 1
        FOR UPDATE SKIP LOCKED
        """,
        list(kinds),
    )
    return None if row is None else _task(row)


async def end(tx: Connection, task: Task, outcome: Outcome) -> Recorded | None:
    """Record the outcome of a task that was claimed or taken. None, and no change, when its claim was lost.

    A task that was hastened meanwhile stays due at once, unless it has ended.
    """
    state, failed, reason, after = _columns(outcome)
    row = await tx.fetchrow(
        """
        UPDATE tasks SET state = $5, attempts = attempts + $6, reason = $7, claimed_until = NULL,
            due_at = CASE WHEN $5 <> 'due' OR due_at <> $9 THEN due_at ELSE app_now() + $8::interval END,
            ended_at = CASE WHEN $5 <> 'due' THEN app_now() END
        WHERE clinic_id = $1 AND kind = $2 AND key = $3 AND state = 'due' AND claimed_until IS NOT DISTINCT FROM $4
        RETURNING app_now() AS at, old.due_at <> $9 AS hastened
        """,
        task.clinic_id,
        task.kind,
        task.key,
        task.claimed_until,
        state,
        failed,
        reason,
        after,
        task.due_at,
    )
    return None if row is None else Recorded(row["at"], row["hastened"])


async def release(tx: Connection, tasks: Sequence[Task]) -> None:
    """End the claims of tasks that were not worked on, for another to claim."""
    if tasks:
        await tx.execute(
            """
            UPDATE tasks SET claimed_until = NULL
            FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::timestamptz[])
                AS given (clinic_id, kind, key, claimed_until)
            WHERE (tasks.clinic_id, tasks.kind, tasks.key) = (given.clinic_id, given.kind, given.key)
                AND tasks.claimed_until = given.claimed_until AND state = 'due'
            """,
            [task.clinic_id for task in tasks],
            [task.kind for task in tasks],
            [task.key for task in tasks],
            [task.claimed_until for task in tasks],
        )


async def cancel(tx: Connection, kind: str, keys: Collection[Key], reason: str) -> set[Key]:
    """Cancel tasks, named by (clinic, key). Returns those canceled: the others are claimed, have ended or are unknown.

    Waits for a transaction that works on one. Lock what the tasks are about after this, as their handlers do.
    """
    if not keys:
        return set()
    rows = await tx.fetch(
        f"""
        WITH free AS (
            SELECT clinic_id, key FROM tasks
            WHERE kind = $3 AND (clinic_id, key) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[])) AND {_FREE}
            ORDER BY clinic_id, key
            FOR UPDATE
        )
        UPDATE tasks SET state = 'canceled', reason = $4, ended_at = app_now() FROM free
        WHERE tasks.kind = $3 AND (tasks.clinic_id, tasks.key) = (free.clinic_id, free.key)
        RETURNING tasks.clinic_id, tasks.key
        """,
        *columns(keys),
        kind,
        reason,
    )
    return _keys(rows)


async def hasten(tx: Connection, kinds: Collection[str], keys: Collection[Key]) -> None:
    """Make tasks due now, claimed ones too: those are tried again at once, unless they end."""
    if keys:
        await tx.execute(
            """
            WITH found AS (
                SELECT clinic_id, kind, key FROM tasks
                WHERE kind = ANY ($3) AND state = 'due'
                    AND (clinic_id, key) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
                ORDER BY clinic_id, key
                FOR UPDATE
            )
            UPDATE tasks SET due_at = app_now() FROM found
            WHERE (tasks.clinic_id, tasks.kind, tasks.key) = (found.clinic_id, found.kind, found.key)
            """,
            *columns(keys),
            list(kinds),
        )


@dataclass(frozen=True, slots=True)
class Depth:
    """Tasks of a kind that are due, and for how long the oldest one has been."""

    kind: str
    count: int
    oldest: timedelta


async def depths(tx: Connection) -> list[Depth]:
    """The kinds with tasks that are due, each with their number, the longest overdue first."""
    rows = await tx.fetch(
        """
        SELECT kind, count(*) AS count, app_now() - min(due_at) AS oldest
        FROM tasks WHERE state = 'due' AND due_at <= app_now()
        GROUP BY kind ORDER BY oldest DESC
        """
    )
    return [Depth(**row) for row in rows]


def _columns(outcome: Outcome) -> tuple[str, int, str | None, timedelta]:
    """State, failed tries to add, reason, pause."""
    match outcome:
        case Done():
            return "done", 0, None, timedelta(0)
        case Failed(reason):
            return "failed", 1, reason, timedelta(0)
        case Canceled(reason):
            return "canceled", 0, reason, timedelta(0)
        case Retry(reason, after):
            return "due", 1, reason, after
        case Waits(reason, after):
            return "due", 0, reason, after


def _task(row: asyncpg.Record) -> Task:
    payload: Any = row["payload"]
    return Task(**{**row, "payload": {} if payload is None else json.loads(payload)})


def _keys(rows: Iterable[asyncpg.Record]) -> set[Key]:
    return {(row["clinic_id"], row["key"]) for row in rows}
