"""The databases as the auditor reads them: each in one snapshot, nothing written."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg

from deploy.ops.commands import words_of
from deploy.ops.database import PATIENCE, UNREACHABLE
from deploy.ops.verify.access import Access
from deploy.ops.verify.report import CannotCheck

Databases = Mapping[str, "asyncpg.Connection[asyncpg.Record]"]
"""A connection by service name, each in a transaction that sees one moment."""

_SETTINGS = {"work_mem": "128MB", "jit": "off", "application_name": "clinicpay verify"}


@asynccontextmanager
async def opened(access: Access) -> AsyncIterator[Databases]:
    """All databases, read-only, each at one moment, right after each other. CannotCheck names one that is away."""
    async with AsyncExitStack() as stack:
        databases = {
            service: await connected(stack, service, dsn) for service, dsn in access.databases.items()
        }
        for connection in databases.values():
            await stack.enter_async_context(
                connection.transaction(isolation="repeatable_read", readonly=True)
            )
            # The moment is that of the first statement: what is read of one database may take minutes.
            await connection.execute("SELECT")
        yield databases


async def connected(stack: AsyncExitStack, service: str, dsn: str) -> Any:
    """A connection that is closed with the stack. CannotCheck if there is none to be had."""
    try:
        connection = await asyncpg.connect(dsn, timeout=PATIENCE, server_settings=_SETTINGS)
    except UNREACHABLE as error:
        raise CannotCheck(f"the database of {service} cannot be reached: {words_of(error)}") from None
    stack.push_async_callback(connection.close)
    return connection
