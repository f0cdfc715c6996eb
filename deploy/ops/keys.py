"""`clinicpay keys`: API keys, where the public API is out of reach or no key for it is left."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table

from deploy.ops import workers
from deploy.ops.data_directory import DataDirectory
from deploy.ops.verify.report import CannotCheck
from services.chassis import audit
from services.chassis.db.database import Connection
from services.chassis.errors import DomainError
from services.chassis.http.auth import Caller
from services.gateway.api.keys.domain import KeyRow

T = TypeVar("T")

COMMAND_LINE = UUID(int=1)
"""Who did it, in the audit log."""


def run(data: Path | None, clinic: UUID | None, work: Callable[[Connection, Caller], Awaitable[T]]) -> T:
    """The work's result, in an operator's transaction; or a line on standard error, and exit status 1."""

    async def in_transaction() -> T:
        caller = Caller(COMMAND_LINE, "operator", clinic or audit.INSTALLATION)
        async with workers.opened(dsn(data)) as db, db.tx(caller.clinic, operator=True) as tx:
            return await work(tx, caller)

    try:
        return asyncio.run(in_transaction())
    except (CannotCheck, DomainError) as refusal:
        typer.echo(f"clinicpay: {refusal}", err=True)
        raise typer.Exit(1) from None


def dsn(data: Path | None) -> str:
    """The gateway's database, as its own role. CannotCheck if none is given."""
    if data is None:
        if url := os.environ.get("GATEWAY_DATABASE_URL"):
            return url
        raise CannotCheck("neither --data nor GATEWAY_DATABASE_URL is given")
    return DataDirectory(data).dsn("gateway_api", "gateway")


def show(rows: list[KeyRow]) -> None:
    table = Table("id", "prefix", "name", "role", "created", "last used", "expires", box=None)
    for row in rows:
        moments = (row.created_at, row.last_used_at, row.expires_at)
        shown = (f"{moment:%Y-%m-%d %H:%M}" if moment else "" for moment in moments)
        name = f"{row.name} (settings)" if row.from_settings else row.name
        table.add_row(str(row.id), row.prefix, name, row.role, *shown)
    Console(width=200).print(table)
