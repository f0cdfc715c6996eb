"""One PostgreSQL and one database a service for the whole picture."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from deploy.ops.database import SERVICES
from tests.frozen.picture import Dbs
from tests.running.databases import fresh_database


@pytest.fixture(scope="module")
async def dbs(postgres: str, roles: dict[str, str]) -> AsyncIterator[Dbs]:
    async with AsyncExitStack() as stack:
        yield {
            service: await stack.enter_async_context(fresh_database(service, postgres, roles))
            for service in SERVICES
        }
