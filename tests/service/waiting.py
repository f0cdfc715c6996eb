"""How a test knows that one transaction has come to wait for another."""

import asyncio
from typing import Any

from tests.running.databases import ServiceDb


async def until_waiting(db: ServiceDb, *working: "asyncio.Task[Any]") -> None:
    """Return once each of these waits in the database for another's lock, or is done without."""
    waiting = """
        SELECT count(*) FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND datname = current_database()
    """
    async with asyncio.timeout(10):
        while sum(not each.done() for each in working) > await db.admin.fetchval(waiting):
            await asyncio.sleep(0.01)
