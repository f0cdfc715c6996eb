"""SQL of tries. The keys of limits come as SHA-256 hashes."""

from datetime import timedelta

from services.chassis.db.database import Connection


async def count_try(tx: Connection, key: bytes, window: timedelta) -> tuple[int, int]:
    """Count one more try: how many there are in the window, and the seconds until it ends."""
    row = await tx.fetchrow(
        """
        INSERT INTO attempts AS a (key, tries, ends_at) VALUES ($1, 1, app_now() + $2)
        ON CONFLICT (key) DO UPDATE SET
            tries = CASE WHEN a.ends_at <= app_now() THEN 1 ELSE a.tries + 1 END,
            ends_at = CASE WHEN a.ends_at <= app_now() THEN app_now() + $2 ELSE a.ends_at END
        RETURNING tries, ceil(extract(epoch FROM ends_at - app_now()))::int AS seconds
        """,
        key,
        window,
    )
    assert row is not None
    return int(row["tries"]), int(row["seconds"])


async def return_try(tx: Connection, key: bytes) -> None:
    """Count one try less, since a successful try does not count."""
    await tx.execute("UPDATE attempts SET tries = greatest(tries - 1, 0) WHERE key = $1", key)


async def forget_tries(tx: Connection, key: bytes) -> None:
    await tx.execute("DELETE FROM attempts WHERE key = $1", key)
