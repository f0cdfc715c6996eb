"""SQL of requests for a new password, as they were typed, until a job answers them."""

from uuid import UUID

import msgspec

from services.chassis.db.database import Connection


class ResetRequest(msgspec.Struct, frozen=True):
    """A request: the address as a person typed it, the page that the login was to lead to, and who asked."""

    email: str
    target: str
    asker: bytes | None


async def add_request(tx: Connection, request_id: UUID, request: ResetRequest) -> None:
    await tx.execute(
        "INSERT INTO reset_requests (id, email, target, asker) VALUES ($1, $2, $3, $4)",
        request_id,
        request.email,
        request.target,
        request.asker,
    )


async def take_request(tx: Connection) -> ResetRequest | None:
    """Delete the oldest request, and return it; None without one. Waits for nobody."""
    row = await tx.fetchrow(
        """
        DELETE FROM reset_requests WHERE id = (
            SELECT id FROM reset_requests ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
        )
        RETURNING email, target, asker
        """
    )
    return None if row is None else ResetRequest(**row)
