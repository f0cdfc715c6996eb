"""The commands of `clinicpay operators`: who may log in to the console."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from deploy.ops.commands import OverDatabases, give_up

if TYPE_CHECKING:
    from services.chassis.db.database import Connection

T = TypeVar("T")
Data = Annotated[
    Path | None,
    typer.Option(help="Of a running `clinicpay up`. Else OPS_DATABASE_URLS, and CONSOLE_URL for links."),
]

app = typer.Typer(
    cls=OverDatabases,
    help="Who may log in to the operators' console: list, add, invite again, remove.",
    no_args_is_help=True,
)


@app.command("list")
def list_operators(data: Data = None) -> None:
    """The operators, the first one first."""
    from deploy.ops.console.operators import store

    for each in _run(data, store.list_operators):
        state = "set up" if each.password_hash else "invited" if each.is_invited else "invitation ended"
        typer.echo(f"{each.name}  {state}, since {each.created_at:%Y-%m-%d}")


@app.command()
def add(name: str, data: Data = None) -> None:
    """Make an operator, such as `ann@example.com`, and print the link of the invitation: it is shown this once."""
    from deploy.ops.console.operators import actions

    _print_link(data, _run(data, lambda tx: actions.add(tx, name)))


@app.command()
def invite(name: str, data: Data = None) -> None:
    """Print another link, for an operator who lost password or phone. Once it is taken, the old ones work no more."""
    from deploy.ops.console.operators import actions

    _print_link(data, _run(data, lambda tx: actions.invite(tx, name)))


@app.command()
def remove(name: str, data: Data = None) -> None:
    """End an operator's login and sessions at once. Their acts stay in the log."""
    from deploy.ops.console.operators import actions

    _run(data, lambda tx: actions.remove(tx, name))
    typer.echo("removed")


def _run(data: Path | None, work: "Callable[[Connection], Awaitable[T]]") -> T:
    from deploy.ops.verify.report import CannotCheck
    from deploy.ops.workers import opened
    from services.chassis.errors import DomainError

    async def in_transaction() -> T:
        async with opened(_dsn(data)) as db, db.worker_tx() as tx:
            return await work(tx)

    try:
        return asyncio.run(in_transaction())
    except (CannotCheck, DomainError) as refusal:
        give_up(str(refusal))


def _dsn(data: Path | None) -> str:
    """The gateway's database, as the role `ops`."""
    from deploy.ops.ops_role import ops_dsns

    return ops_dsns(data)["gateway"]


def _print_link(data: Path | None, token: str) -> None:
    from deploy.ops import variables
    from deploy.ops.data_directory import DataDirectory

    url = DataDirectory(data).addresses()["console"] if data else variables.read("CONSOLE_URL") or ""
    typer.echo(f"{url.rstrip('/')}/ops/welcome/{token}")
