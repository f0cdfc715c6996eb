"""SQL of requests for letters, as they were typed, until a job answers them."""

from uuid import UUID

from services.chassis.db.database import Connection
from services.gateway.accounts.devices.domain import Device
from services.gateway.accounts.requests.domain import MailRequest


async def add_request(tx: Connection, request_id: UUID, request: MailRequest) -> None:
    await tx.execute(
        """
        INSERT INTO reset_requests (id, email, target, asker, step_hash, devices) VALUES ($1, $2, $3, $4, $5, $6)
        """,
        request_id,
        request.email,
        request.target,
        request.asker,
        request.step_hash,
        [device.packed for device in request.devices],
    )


async def take_request(tx: Connection) -> MailRequest | None:
    """Delete the oldest request, and return it; None without one. Waits for nobody."""
    row = await tx.fetchrow(
        """
        DELETE FROM reset_requests WHERE id = (
            SELECT id FROM reset_requests ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
        )
        RETURNING email, target, asker, step_hash, devices
        """
    )
    if row is None:
        return None
    devices = tuple(map(Device.unpacked, row["devices"]))
    return MailRequest(row["email"], row["target"], row["asker"], row["step_hash"], devices)
