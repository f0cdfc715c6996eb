"""All that the console reads and acts on: every service's database by two roles, Kafka, and the gateway's health."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Self

import httpx2

from deploy.ops.console.settings import Settings
from deploy.ops.consumers import topics_of_groups
from deploy.ops.verify.access import Access
from services.chassis.db.database import Database
from services.chassis.kafka.lag import KafkaUnreachable, Lag, LagReader

SIZE = 4
"""Connections to one database, for one role: operators are few."""
PAGE_SECONDS = 4.0
"""How long a page waits for a statement: one that says what does not answer must itself come soon."""


@dataclass(slots=True)
class Sources:
    """`books` are read by the role `ops`, `workers` changed by the services' workers, `keys` by the gateway's API."""

    access: Access
    books: Mapping[str, Database]
    workers: Mapping[str, Database]
    keys: Database
    gateway: httpx2.AsyncClient
    _reader: LagReader | None = None
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            settings.access,
            {
                name: Database(url.get_secret_value(), size=SIZE, patience=2, answers_within=PAGE_SECONDS)
                for name, url in settings.ops_database_urls.items()
            },
            {
                name: Database(url.get_secret_value(), size=SIZE)
                for name, url in settings.worker_database_urls.items()
            },
            Database(settings.gateway_database_url.get_secret_value(), size=SIZE),
            httpx2.AsyncClient(base_url=str(settings.gateway_url), timeout=4.0, trust_env=False),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Ask Kafka once at the start, since the first answer takes seconds; close everything at the end."""
        warming = asyncio.create_task(self._warm())
        try:
            yield
        finally:
            warming.cancel()
            await asyncio.gather(warming, return_exceptions=True)
            await self._close()

    async def _warm(self) -> None:
        with suppress(KafkaUnreachable):
            await self.lag()

    async def lag(self) -> list[Lag]:
        """The partitions that a group has not read to their end. Raises `KafkaUnreachable`."""
        async with self._one_at_a_time:
            if self._reader is None:
                access = self.access
                reader = LagReader(access.kafka or "", access.kafka_security, topics_of_groups())
                self._reader = await reader.__aenter__()
            return await self._reader.lag()

    @property
    def own(self) -> Database:
        """The database that knows operators."""
        return self.books["gateway"]

    async def _close(self) -> None:
        for db in (*self.books.values(), *self.workers.values(), self.keys):
            await db.close()
        await self.gateway.aclose()
        if self._reader is not None:
            await self._reader.__aexit__()
