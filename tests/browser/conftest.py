"""A portal in this process, and a client who has logged in to it."""

from collections.abc import AsyncIterator

import pytest

from tests.running.browser import Portal, Visitor, a_browser, a_portal_for_browsers, a_visitor
from tests.running.databases import ServiceDb


@pytest.fixture
async def world(db_gateway: ServiceDb, db_invoice: ServiceDb, db_payment: ServiceDb) -> AsyncIterator[Portal]:
    async with a_portal_for_browsers(db_gateway, db_invoice, db_payment) as world:
        yield world


@pytest.fixture
async def ann(world: Portal) -> AsyncIterator[Visitor]:
    async with a_browser() as browser, a_visitor(browser) as visitor:
        await visitor.log_in(world)
        yield visitor
