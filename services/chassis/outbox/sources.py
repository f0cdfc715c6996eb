"""The services' outboxes, and endless work on one: the relay's and the sweep's."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Annotated, Any

import asyncpg
from pydantic import Field

from services.chassis.db.connecting import Connector, Urls
from services.chassis.db.database import SESSION, UNREACHABLE
from services.chassis.incidents import incidents
from services.chassis.settings import ProcessSettings, urls_of

_RETRIED: tuple[type[Exception], ...] = (*UNREACHABLE, asyncpg.PostgresError)


class Settings(ProcessSettings):
    relay_database_urls: str
    relay_database_urls_next: str | None = None
    """`invoice=postgresql://…,payment=postgresql://…`: each as its service's relay role."""
    outbox_shards: Annotated[int, Field(ge=1, le=64)] = 1

    @property
    def outboxes(self) -> dict[str, str]:
        return _outboxes(self.relay_database_urls)

    def urls_of(self, outbox: str) -> list[str]:
        """The URLs to connect by, read again if they are in a file."""
        lists = [_outboxes(each) for each in urls_of(self, "relay_database_urls")]
        return [urls[outbox] for urls in lists if outbox in urls]


def _outboxes(setting: str) -> dict[str, str]:
    pairs = (entry.strip().partition("=") for entry in setting.split(","))
    return {name: url for name, _, url in pairs}


class OutboxWorker(ABC):
    """Endless work on one service's outbox, on a connection of its own. `reached` while that is possible.

    pause   seconds from an error of the database until the next attempt to connect
    about   further fields of a log line
    """

    def __init__(self, name: str, urls: Urls, pause: float, **about: object) -> None:
        self.name = name
        self.reached = False
        self._connector, self._pause, self._about = Connector(urls), pause, about

    async def run(self) -> None:
        """Work for ever. Database errors are waited out; others are raised."""
        while True:
            try:
                connection = await self._connector.connect(
                    timeout=5, command_timeout=30, server_settings=dict(SESSION)
                )
                try:
                    await self._work(connection)
                finally:
                    self.reached = False
                    connection.terminate()
            except _RETRIED as error:
                incidents.failed("outbox_unreachable", self.name, error=type(error).__name__, **self._about)
                await asyncio.sleep(self._pause)

    @abstractmethod
    async def _work(self, connection: Any) -> None:
        """Work until the connection fails. Sets `reached` to whether work is possible."""


async def run_all(outboxes: Collection[OutboxWorker]) -> None:
    """Run all at once, until one raises."""
    async with asyncio.TaskGroup() as group:
        for outbox in outboxes:
            group.create_task(outbox.run())


async def check_reached(outboxes: Collection[OutboxWorker]) -> None:
    """Raise ConnectionError unless all are reached, and there are some."""
    unreached = [outbox.name for outbox in outboxes if not outbox.reached]
    if unreached or not outboxes:
        raise ConnectionError(f"outboxes not reached: {', '.join(unreached)}")
