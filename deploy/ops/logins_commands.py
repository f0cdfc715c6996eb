"""The commands of `clinicpay logins`, for what a login's owner and its clinics cannot do."""

import typer

from deploy.ops.commands import OverDatabases
from deploy.ops.keys_commands import Data

app = typer.Typer(cls=OverDatabases, help="Logins of clients and staff.", no_args_is_help=True)


@app.callback()
def logins() -> None:
    """Logins of clients and staff."""


@app.command("second-factor-off")
def second_factor_off(email: str, data: Data = None) -> None:
    """Switch the codes of a login off, whose owner lost the app and the recovery codes.

    Make sure before that it is the owner who asks. The login's address is written to, and its sessions end.
    """
    from deploy.ops import keys
    from services.gateway.accounts.second_factors import actions

    removed = keys.run(data, None, lambda tx, caller: actions.remove(tx, caller, email))
    typer.echo("switched off" if removed else "this login has no second factor")
