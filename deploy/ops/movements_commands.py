"""`clinicpay movements …`: the command. Its work is in `movements.py`."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from deploy.ops.commands import OverDatabases, give_up

movements = typer.Typer(cls=OverDatabases, help="Movements of money on invoices.", no_args_is_help=True)


@movements.callback()
def _more_than_one() -> None:
    """Keeps `reverse` a command of its own while it is the only one."""


@movements.command("reverse")
def reverse(
    clinic_id: UUID,
    movement_id: UUID,
    reason: Annotated[str, typer.Option(help="Why it is no movement of ours; kept with it.")],
    by: Annotated[str, typer.Option(help="Who reverses it.")],
    approved_by: Annotated[str, typer.Option(help="Another person, who has looked at it too.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Of a running `clinicpay up`. Else AUDITOR_ and WORKER_DATABASE_URLS."),
    ] = None,
) -> None:
    """Take a movement out of its invoice that `verify` found and payment's ledger does not have (`movements_agree`).

    It is refused when payment has the movement. A movement that was lost in a restore must be adopted from Stripe, not
    reversed.
    """
    from deploy.ops.movements import Books, print_reversal
    from deploy.ops.verify.access import Access
    from deploy.ops.verify.report import CannotCheck
    from deploy.ops.workers import worker_dsns

    try:
        auditor = Access.of(data).databases
        books = Books(worker_dsns(data)["invoice"], auditor["payment"])
    except KeyError as missing:
        give_up(f"no database of {missing} is given")
    except CannotCheck as missing:
        give_up(str(missing))
    raise typer.Exit(print_reversal(books, clinic_id, movement_id, reason, by, approved_by))
