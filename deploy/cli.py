"""ClinicPay's command line. `./clinicpay` at the root of the repository runs it."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

ROOT = Path(__file__).resolve().parent.parent

app = typer.Typer(
    name="clinicpay",
    help="Clinics issue invoices, their clients pay them in a portal.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.command()
def up(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the portal on 127.0.0.1.")] = 8080,
    data: Annotated[Path, typer.Option(help="Where everything is kept.", show_default=".clinicpay")] = ROOT
    / ".clinicpay",
    no_demo: Annotated[bool, typer.Option("--no-demo", help="Start empty, without demo clinics.")] = False,
) -> None:
    """Run the whole system on this machine until Ctrl-C."""
    asyncio.run(_up(port, data, not no_demo))


async def _up(port: int, data: Path, demo: bool) -> None:
    from deploy.database import MigrationFailed
    from deploy.embedded.errors import EmbeddedError
    from deploy.embedded.screen import Screen
    from deploy.embedded.up import up as run
    from deploy.topics import TopicRefused

    code = 0
    try:
        await run(port, data, demo, Screen())
    except (EmbeddedError, MigrationFailed, TopicRefused) as refusal:
        sys.stderr.write(f"clinicpay: {refusal}\n")
        code = 1
    # All processes are stopped. A download under way in a thread would keep us until it ends.
    sys.stdout.flush()
    os._exit(code)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def test(context: typer.Context) -> None:
    """Run lint, types and all tests. Arguments go to pytest: `clinicpay test tests/unit -k money`."""
    from deploy.testing import run

    raise typer.Exit(run(context.args))


@app.command()
def migrate() -> None:
    """Make roles and databases on ADMIN_DATABASE_URL, and apply the migrations that are missing.

    Each role's password is taken from INVOICE_API_PASSWORD, INVOICE_API_PASSWORD_FILE and so on.
    """
    from asyncpg import PostgresError

    from deploy import database

    async def work(admin_dsn: str) -> None:
        await database.migrate_all(await database.bootstrap(admin_dsn))

    try:
        asyncio.run(work(_required("ADMIN_DATABASE_URL")))
    except KeyError as missing:
        _give_up(str(missing.args[0]))
    except (database.MigrationFailed, PostgresError, OSError) as refusal:
        _give_up(str(refusal))
    typer.echo(f"databases are up to date: {', '.join(map(database.database_name, database.SERVICES))}")


@app.command()
def topics() -> None:
    """Make the topics that are missing on KAFKA_BOOTSTRAP_SERVERS."""
    from aiokafka.errors import KafkaError

    from deploy import topics

    try:
        made = asyncio.run(topics.ensure(_required("KAFKA_BOOTSTRAP_SERVERS")))
    except (topics.TopicRefused, KafkaError, TimeoutError) as refusal:
        _give_up(str(refusal))
    typer.echo(f"topics made: {', '.join(made) or 'none, all are there'}")


@app.command()
def verify(
    data: Annotated[
        Path | None, typer.Option(help="Of a running `clinicpay up`. Else AUDITOR_DATABASE_URLS and so on.")
    ] = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds that events may still be on their way.")] = 60,
    topics: Annotated[
        bool, typer.Option("--topics", help="Read all topics from their beginning too.")
    ] = False,
) -> None:
    """Check every invariant over all books. Exits 1 on a breach and names the rows, 2 when it cannot check."""
    from deploy.verify.screen import run

    raise typer.Exit(run(data, wait, topics))


def _required(name: str) -> str:
    """A variable, or the content of the file that NAME_FILE names."""
    if path := os.environ.get(f"{name}_FILE"):
        return Path(path).read_text().strip()
    return os.environ.get(name) or _give_up(f"{name} is not set")


def _give_up(line: str) -> NoReturn:
    sys.stderr.write(f"clinicpay: {line}\n")
    raise typer.Exit(1)


if __name__ == "__main__":
    app(prog_name="clinicpay")
