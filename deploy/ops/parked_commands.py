"""`clinicpay parked …`: the commands. Their work is in `parked.py`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from deploy.ops.commands import OverDatabases, give_up, login_here

parked = typer.Typer(
    cls=OverDatabases,
    help="What consumers could not apply: look at it, apply it again, or discard it.",
    no_args_is_help=True,
)
ParkedData = Annotated[
    Path | None, typer.Option(help="Of a running `clinicpay up`. Else WORKER_DATABASE_URLS.")
]


@parked.command("list")
def list_parked(
    discarded: Annotated[
        bool, typer.Option(help="What was discarded, by whom and why, newest first.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One object a line, with all columns.")] = False,
    data: ParkedData = None,
) -> None:
    """The waiting events, oldest first. The two words that begin each are what `show` takes. Exits 2 if a database
    does not answer.
    """
    from deploy.ops.parked import print_discarded, print_waiting

    raise typer.Exit((print_discarded if discarded else print_waiting)(_workers(data), as_json))


@parked.command("show")
def show_parked(service: str, parked_id: int, data: ParkedData = None) -> None:
    """One parked event, whole."""
    from deploy.ops.parked import print_one

    raise typer.Exit(print_one(_worker(service, data), parked_id))


@parked.command("replay")
def replay_parked(
    service: str,
    parked_id: Annotated[int | None, typer.Argument()] = None,
    all_behind: Annotated[
        bool, typer.Option(help="All that an earlier version held back (`behind_parked`).")
    ] = False,
    data: ParkedData = None,
) -> None:
    """Apply a parked event once its cause is mended. Exits 1 if it is refused still.

    A `payment.settled` that payment's ledger does not have is refused, where payment's database is given.
    """
    from deploy.ops.parked import print_replay, print_replay_held_back

    if (parked_id is None) != all_behind:
        give_up("give the ID of one event, or --all-behind")
    worker = _worker(service, data)
    if parked_id is None:
        raise typer.Exit(print_replay_held_back(service, worker))
    raise typer.Exit(print_replay(service, worker, parked_id, _payment(data)))


@parked.command("discard")
def discard_parked(
    service: str,
    parked_id: int,
    reason: Annotated[str, typer.Option(help="Why it will never be applied; kept with it.")],
    by: Annotated[str, typer.Option(help="Who discards it; the login on this machine, if not given.")] = "",
    data: ParkedData = None,
) -> None:
    """Lay a parked event aside for good. It is kept, and the audit log has an entry of it."""
    from deploy.ops.parked import print_discard

    raise typer.Exit(print_discard(service, _worker(service, data), parked_id, by or login_here(), reason))


def _payment(data: Path | None) -> str | None:
    """Payment's database, if it is given beside the one that is worked in."""
    if data is None and os.environ.get("DATABASE_URL"):
        return None
    return _workers(data).get("payment")


def _workers(data: Path | None) -> dict[str, str]:
    from deploy.ops.verify.report import CannotCheck
    from deploy.ops.workers import worker_dsns

    try:
        return worker_dsns(data)
    except CannotCheck as reason:
        give_up(str(reason))


def _worker(service: str, data: Path | None) -> str:
    """Of one service; DATABASE_URL will do as well."""
    if data is None and (url := os.environ.get("DATABASE_URL")):
        return url
    return _workers(data).get(service) or give_up(f"no database of {service} is given")
