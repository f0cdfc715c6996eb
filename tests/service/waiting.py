"""How a test knows that one transaction has come to wait for another."""

import asyncio

from tests.world import ServiceDb


async def until_waiting(db: ServiceDb, working: "asyncio.Task[None]") -> None:
    """Return once a connection waits for another's lock, or the work is done without."""
    waiting = """
        SELECT EXISTS (
            SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
        )
    """
    async with asyncio.timeout(10):
        while not working.done() and not await db.admin.fetchval(waiting):
            await asyncio.sleep(0.01)
