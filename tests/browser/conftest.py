"""A portal in this process, and a client who has logged in to it."""

from collections.abc import AsyncIterator

import pytest

from tests.running.browser import Visitor, World, a_browser, a_visitor, a_world
from tests.running.databases import ServiceDb


@pytest.fixture
async def world(db_gateway: ServiceDb, db_invoice: ServiceDb, db_payment: ServiceDb) -> AsyncIterator[World]:
    async with a_world(db_gateway, db_invoice, db_payment) as world:
        yield world


@pytest.fixture
async def ann(world: World) -> AsyncIterator[Visitor]:
    async with a_browser() as browser, a_visitor(browser) as visitor:
        await visitor.log_in(world)
        yield visitor
