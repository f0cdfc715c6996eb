"""Where the services' outboxes are, and work on one that goes on for ever: the relay's and the sweep's."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Annotated, Any

import asyncpg
import structlog
from pydantic import Field

from services.chassis.db.database import AWAY, SESSION
from services.chassis.settings import ProcessSettings

log = structlog.get_logger()

_AWAY: tuple[type[Exception], ...] = (*AWAY, asyncpg.PostgresError)


class Settings(ProcessSettings):
    relay_database_urls: str
    """`invoice=postgresql://…,payment=postgresql://…`: each as its service's relay role."""
    outbox_shards: Annotated[int, Field(ge=1, le=64)] = 1

    @property
    def outboxes(self) -> dict[str, str]:
        pairs = (entry.strip().partition("=") for entry in self.relay_database_urls.split(","))
        return {name: url for name, _, url in pairs}


class Attended(ABC):
    """One service's outbox, attended to on a connection of its own. `reached` while that can be done.

    pause   seconds from an error of the database until it is asked for another connection
    about   what a log line says besides the database's name
    """

    def __init__(self, name: str, dsn: str, pause: float, **about: object) -> None:
        self.name = name
        self.reached = False
        self._dsn, self._pause, self._about = dsn, pause, about

    async def run(self) -> None:
        """Attend to it for ever. Database errors are waited out; others are raised."""
        while True:
            try:
                connection = await asyncpg.connect(
                    self._dsn, timeout=5, command_timeout=30, server_settings=dict(SESSION)
                )
                try:
                    await self._attend(connection)
                finally:
                    self.reached = False
                    connection.terminate()
            except _AWAY as error:
                log.warning("outbox_unreachable", database=self.name, **self._about, exc_info=error)
                await asyncio.sleep(self._pause)

    @abstractmethod
    async def _attend(self, connection: Any) -> None:
        """Work until the connection fails, and say in `reached` whether it can be done."""


async def attend(outboxes: Collection[Attended]) -> None:
    """Attend to all at once, until one raises."""
    async with asyncio.TaskGroup() as group:
        for outbox in outboxes:
            group.create_task(outbox.run())


async def check_reached(outboxes: Collection[Attended]) -> None:
    """Raise ConnectionError unless all are reached, and there are some."""
    away = [outbox.name for outbox in outboxes if not outbox.reached]
    if away or not outboxes:
        raise ConnectionError(f"outboxes not reached: {', '.join(away)}")
