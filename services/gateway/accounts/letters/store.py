"""SQL of letters that notification does not have yet."""

from datetime import timedelta

from services.chassis.db.database import Connection
from services.gateway.accounts.letters.domain import Letter


async def add_letter(tx: Connection, letter: Letter, lasts: timedelta) -> None:
    """Add a letter, to be handed over at once. Needs the transaction of its clinic or an operator's."""
    await tx.execute(
        """
        INSERT INTO letters (id, clinic_id, template, email, path, link_id, next_at, ends_at)
        VALUES ($1, $2, $3, $4, $5, $6, app_now(), app_now() + $7)
        """,
        letter.id,
        letter.clinic_id,
        letter.template,
        letter.email,
        letter.path,
        letter.link_id,
        lasts,
    )


async def claim_letters(tx: Connection, most: int, hold: float) -> list[Letter]:
    """Take letters that are due, for `hold` seconds. Needs an operator's transaction."""
    rows = await tx.fetch(
        """
        UPDATE letters SET tries = tries + 1, next_at = app_now() + make_interval(secs => $2)
        WHERE id IN (
            SELECT id FROM letters WHERE next_at <= (SELECT app_now()) ORDER BY next_at LIMIT $1
            FOR UPDATE SKIP LOCKED
        )
        RETURNING id, clinic_id, template, email, path, link_id, tries, ends_at <= app_now() AS over
        """,
        most,
        hold,
    )
    return [Letter(**row) for row in rows]


async def put_off_letter(tx: Connection, letter: Letter, pause: float) -> None:
    """Offer the letter again in `pause` seconds."""
    await tx.execute(
        "UPDATE letters SET next_at = app_now() + make_interval(secs => $3) WHERE id = $1 AND tries = $2",
        letter.id,
        letter.tries,
        pause,
    )


async def delete_letter(tx: Connection, letter: Letter) -> None:
    await tx.execute("DELETE FROM letters WHERE id = $1", letter.id)
