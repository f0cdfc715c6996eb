"""SQL of operations: requests that write to several services, while they are under way.

`tries` counts who took an operation. Who holds it names the count, so that one whose turn has passed writes nothing.
"""

from uuid import UUID

import msgspec

from services.chassis.db.database import Connection
from services.chassis.http.auth import Caller
from services.gateway.api.operations.plans import Operation, Plan

_COLUMNS = """id, clinic_id, subject_id, actor, role, key, plan, undoing, tries,
    extract(epoch FROM app_now() - created_at)::float AS age"""


async def add_operation(tx: Connection, operation: Operation, hold: float) -> bool:
    """Add an operation, held for `hold` seconds; False when its subject has one."""
    added = await tx.fetchval(
        """
        INSERT INTO operations (id, clinic_id, subject_id, actor, role, key, plan, slug, tries, held_until, next_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9,
            app_now() + make_interval(secs => $10), app_now() + make_interval(secs => $10))
        ON CONFLICT (clinic_id, subject_id) DO NOTHING
        RETURNING true
        """,
        operation.id,
        operation.caller.clinic,
        operation.subject_id,
        operation.caller.subject,
        operation.caller.role,
        operation.key,
        msgspec.json.encode(operation.plan).decode(),
        operation.plan.new_slug,
        operation.tries,
        hold,
    )
    return bool(added)


async def save_plan(tx: Connection, operation: Operation, plan: Plan) -> bool:
    """Keep the plan with what undoing it needs; False when the operation is another's by now, or has ended."""
    saved = await tx.execute(
        "UPDATE operations SET plan = $3 WHERE id = $1 AND tries = $2",
        operation.id,
        operation.tries,
        msgspec.json.encode(plan).decode(),
    )
    return bool(saved == "UPDATE 1")


async def claim_operation(tx: Connection, clinic_id: UUID, subject_id: UUID, hold: float) -> Operation | None:
    """Take over the subject's operation; None when another holds it, or there is none."""
    row = await tx.fetchrow(
        f"""
        UPDATE operations SET tries = tries + 1, held_until = app_now() + make_interval(secs => $3)
        WHERE clinic_id = $1 AND subject_id = $2 AND held_until <= app_now()
        RETURNING {_COLUMNS}
        """,
        clinic_id,
        subject_id,
        hold,
    )
    return None if row is None else _operation(dict(row))


async def claim_due_operations(tx: Connection, most: int, hold: float) -> list[Operation]:
    """Take over operations whose time has come and that nobody holds. Needs an operator's transaction."""
    # Row-level security comes before conditions that could leak rows; app_now() alone is one, and no index would serve.
    rows = await tx.fetch(
        f"""
        UPDATE operations SET tries = tries + 1, held_until = app_now() + make_interval(secs => $2)
        WHERE id IN (
            SELECT id FROM operations WHERE next_at <= (SELECT app_now()) AND held_until <= (SELECT app_now())
            ORDER BY next_at LIMIT $1 FOR UPDATE SKIP LOCKED
        )
        RETURNING {_COLUMNS}
        """,
        most,
        hold,
    )
    return [_operation(dict(row)) for row in rows]


async def hold_operation(tx: Connection, operation: Operation, hold: float, *, undoing: bool) -> bool:
    """Hold the operation on, to go on or to undo; False when it is another's by now, or has ended."""
    held = await tx.execute(
        """
        UPDATE operations SET undoing = $3, held_until = app_now() + make_interval(secs => $4),
            next_at = app_now() + make_interval(secs => $4)
        WHERE id = $1 AND tries = $2
        """,
        operation.id,
        operation.tries,
        undoing,
        hold,
    )
    return bool(held == "UPDATE 1")


async def put_off_operation(tx: Connection, operation: Operation, pause: float) -> None:
    """Let go of the operation: any request may take it now, the sweeper in `pause` seconds."""
    await tx.execute(
        """
        UPDATE operations SET held_until = app_now(), next_at = app_now() + make_interval(secs => $3)
        WHERE id = $1 AND tries = $2
        """,
        operation.id,
        operation.tries,
        pause,
    )


async def delete_operation(tx: Connection, operation: Operation) -> bool:
    """End the operation; False when it is another's by now, or has ended."""
    deleted = await tx.execute(
        "DELETE FROM operations WHERE id = $1 AND tries = $2", operation.id, operation.tries
    )
    return bool(deleted == "DELETE 1")


async def slug_is_taken(tx: Connection, clinic_id: UUID, slug: str) -> bool:
    """Whether another clinic has this portal address, had it, or is about to have it. Needs an operator's transaction.

    Until the transaction ends, nobody else takes it.
    """
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('slug ' || $1, 0))", slug)
    return bool(
        await tx.fetchval(
            """
            SELECT EXISTS (SELECT FROM portals WHERE slug = $2 AND clinic_id <> $1)
                OR EXISTS (SELECT FROM former_slugs WHERE slug = $2 AND clinic_id <> $1)
                OR EXISTS (SELECT FROM operations WHERE slug = $2 AND clinic_id <> $1)
            """,
            clinic_id,
            slug,
        )
    )


def _operation(row: dict[str, object]) -> Operation:
    caller = Caller(row.pop("actor"), row.pop("role"), row.pop("clinic_id"))  # type: ignore[arg-type]
    plan = msgspec.json.decode(str(row.pop("plan")), type=Plan)
    return Operation(caller=caller, plan=plan, **row)  # type: ignore[arg-type]
