"""One world of two clinics for all tests of a module, on databases of its own."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.running.apps import in_own_task
from tests.running.databases import ServiceDb, fresh_database
from tests.running.two_clinics import TwoClinics, two_clinics


@pytest.fixture(scope="module")
async def dbs(postgres: str, roles: dict[str, str]) -> AsyncIterator[dict[str, ServiceDb]]:
    """Every service's fresh database, by the service's name."""
    async with AsyncExitStack() as stack:
        yield {
            name: await stack.enter_async_context(fresh_database(name, postgres, roles))
            for name in ("invoice", "payment", "notification", "gateway")
        }


@pytest.fixture(scope="module")
async def two(dbs: dict[str, ServiceDb]) -> AsyncIterator[TwoClinics]:
    async with in_own_task(two_clinics(dbs, requests_per_minute=1_000_000)) as world:
        yield world
