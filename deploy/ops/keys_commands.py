"""The commands of `clinicpay keys`. Their work is in `keys`, which is imported when one is run."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from deploy.ops.commands import OverDatabases

app = typer.Typer(
    cls=OverDatabases,
    help="API keys of operators and clinics: list, make, roll, revoke.",
    no_args_is_help=True,
)

Data = Annotated[
    Path | None, typer.Option(help="Of a running `clinicpay up`. Else GATEWAY_DATABASE_URL, as gateway_api.")
]
Clinic = Annotated[UUID | None, typer.Option(help="A clinic's keys; without it, the operators'.")]
Hours = Annotated[int, typer.Option(min=0, max=24 * 90, help="How long the old key works on.")]


@app.command("list")
def list_keys(clinic: Clinic = None, data: Data = None) -> None:
    """The keys that work, oldest first."""
    from deploy.ops import keys
    from services.gateway.api.keys import actions as api_keys

    keys.show(keys.run(data, clinic, api_keys.list_keys))


@app.command()
def make(name: str, clinic: Clinic = None, data: Data = None) -> None:
    """Make a key, and print it: it is shown this once."""
    from deploy.ops import keys
    from services.gateway.api.keys import actions as api_keys

    made = keys.run(data, clinic, lambda tx, caller: api_keys.make(tx, caller, name))
    typer.echo(made.secret)


@app.command()
def roll(key_id: UUID, hours: Hours = 24, clinic: Clinic = None, data: Data = None) -> None:
    """Print a new key in the place of another, which works on for a while."""
    from deploy.ops import keys
    from services.gateway.api.keys import actions as api_keys

    made = keys.run(
        data, clinic, lambda tx, caller: api_keys.roll(tx, caller, key_id, timedelta(hours=hours))
    )
    typer.echo(made.secret)


@app.command()
def revoke(key_id: UUID, clinic: Clinic = None, data: Data = None) -> None:
    """End a key at once."""
    from deploy.ops import keys
    from services.gateway.api.keys import actions as api_keys

    keys.run(data, clinic, lambda tx, caller: api_keys.revoke(tx, caller, key_id))
    typer.echo("revoked")
