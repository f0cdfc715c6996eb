"""The services' databases as their worker roles, for commands that do what a worker does."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from deploy.ops import database, variables
from deploy.ops.data_directory import DataDirectory
from deploy.ops.verify.report import CannotCheck
from services.chassis.db.database import Database

WORKED = ("invoice", "payment", "notification")


def worker_dsns(data: Path | None, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """DSN by service: of a running `clinicpay up`, else from WORKER_DATABASE_URLS (invoice=postgresql://…,…).

    CannotCheck if neither is there.
    """
    if data is None:
        return _given(environment)
    directory = DataDirectory(data)
    return {service: directory.dsn(f"{service}_worker", service) for service in WORKED}


@asynccontextmanager
async def opened(
    dsn: str, patience: float = database.PATIENCE, answers_within: float = 30
) -> AsyncIterator[Database]:
    """A service's database for one command, which waits longer for it than a request may."""
    db = Database(dsn, size=2, patience=patience, answers_within=answers_within)
    try:
        yield db
    finally:
        await db.close()


def _given(environment: Mapping[str, str]) -> dict[str, str]:
    urls = variables.read("WORKER_DATABASE_URLS", environment)
    if not urls:
        raise CannotCheck("neither --data nor WORKER_DATABASE_URLS (invoice=postgresql://…,payment=…) given")
    return variables.dsns(urls)
