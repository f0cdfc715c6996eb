"""`clinicpay clinics …`: the command. Its work is in `clinics.py`."""

from pathlib import Path
from typing import Annotated

import typer

from deploy.ops.commands import OverDatabases, give_up

clinics = typer.Typer(cls=OverDatabases, help="Clinics: all that is kept of one.", no_args_is_help=True)


@clinics.callback()
def _more_than_one() -> None:
    """Keeps `export` a command of its own while it is the only one."""


@clinics.command("export")
def export_clinic(
    clinic: Annotated[str, typer.Argument(help="Its id, or the name in its portal's address.")],
    out: Annotated[Path, typer.Option(help="The file to write, a ZIP that only you may read.")],
    data: Annotated[
        Path | None, typer.Option(help="Of a running `clinicpay up`. Else AUDITOR_DATABASE_URLS.")
    ] = None,
) -> None:
    """Write all that is kept of a clinic to one file: JSON Lines by table, with counts and hashes. Changes nothing."""
    from deploy.ops.clinics import NoSuchClinic, export
    from deploy.ops.verify.access import Access
    from deploy.ops.verify.report import CannotCheck

    try:
        counts = export(Access.of(data), clinic, out)
    except (CannotCheck, NoSuchClinic, OSError) as refusal:
        give_up(str(refusal))
    for name, count in counts.items():
        if count:
            typer.echo(f"{count:>9}  {name}")
    typer.echo(f"written: {out}, {sum(counts.values())} rows in {len(counts)} files")
