"""What the console reads and acts on: every service's database by two roles, Kafka, and the gateway's own health."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import httpx2

from deploy.ops.console.settings import Settings
from deploy.ops.verify.access import Access
from services.chassis.db.database import Database
from services.chassis.kafka.lag import LagReader

SIZE = 4
"""Connections to one database, for one role: operators are few."""


@dataclass(slots=True)
class Sources:
    """`books` are read by the role `ops`, `workers` changed by the services' workers, `keys` by the gateway's API."""

    access: Access
    books: Mapping[str, Database]
    workers: Mapping[str, Database]
    keys: Database
    gateway: httpx2.AsyncClient
    lag: LagReader | None = field(default=None)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            settings.access,
            {name: _of(url.get_secret_value()) for name, url in settings.ops_database_urls.items()},
            {name: _of(url.get_secret_value()) for name, url in settings.worker_database_urls.items()},
            _of(settings.gateway_database_url.get_secret_value()),
            httpx2.AsyncClient(base_url=str(settings.gateway_url), timeout=4.0, trust_env=False),
        )

    @property
    def own(self) -> Database:
        """The database that knows operators."""
        return self.books["gateway"]

    async def close(self) -> None:
        for db in (*self.books.values(), *self.workers.values(), self.keys):
            await db.close()
        await self.gateway.aclose()
        if self.lag is not None:
            await self.lag.__aexit__()


def _of(url: str) -> Database:
    return Database(url, size=SIZE)
