"""Every SQL statement on letters. Address, link and code go when a letter is sent or given up."""

from collections.abc import Sequence
from uuid import UUID

from contracts.vocabulary import DeliveryState
from services.chassis.db.database import Connection, Key
from services.chassis.ids import columns
from services.chassis.queue.domain import Task
from services.notification.letters.domain import Letter, NewLetter


async def add_letter(tx: Connection, clinic_id: UUID, letter_id: UUID, letter: NewLetter) -> bool:
    """Add a letter; False when there is one by this id, which stays."""
    added = await tx.fetchval(
        """
        INSERT INTO letters (clinic_id, id, template, email, path, ends_at, code)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT DO NOTHING RETURNING true
        """,
        clinic_id,
        letter_id,
        letter.template,
        letter.email,
        letter.path,
        letter.ends_at,
        letter.code,
    )
    return bool(added)


async def get_letters(tx: Connection, tasks: Sequence[Task]) -> dict[Key, Letter]:
    """The letters of claimed tasks that are to be sent still, by (clinic, id)."""
    by_key = {task.row: task for task in tasks}
    rows = await tx.fetch(
        """
        SELECT clinic_id, id, template, email, path, ends_at, ends_at - app_now() AS left, code FROM letters
        WHERE (clinic_id, id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[])) AND email IS NOT NULL
        """,
        *columns(by_key),
    )
    keys = [(row["clinic_id"], row["id"]) for row in rows]
    return {key: Letter(**row, task=by_key[key]) for key, row in zip(keys, rows, strict=True)}


async def save_outcome(
    tx: Connection, letter: Letter, state: DeliveryState, attempts: int, reason: str | None
) -> None:
    """Save the state of a letter whose task is held by the caller."""
    await tx.execute(
        """
        UPDATE letters SET state = $3, attempts = $4, last_error = $5,
            email = CASE WHEN $3 IN ('waiting', 'due') THEN email END,
            path = CASE WHEN $3 IN ('waiting', 'due') THEN path END,
            code = CASE WHEN $3 IN ('waiting', 'due') THEN code END,
            ended_at = CASE WHEN $3 NOT IN ('waiting', 'due') THEN app_now() END
        WHERE clinic_id = $1 AND id = $2
        """,
        letter.clinic_id,
        letter.id,
        state,
        attempts,
        reason,
    )
