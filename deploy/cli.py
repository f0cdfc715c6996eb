"""ClinicPay's command line. `./clinicpay` at the root of the repository runs it."""

import asyncio
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.ops.keys_commands import app as keys
from deploy.ops.parked_commands import give_up, parked

if TYPE_CHECKING:
    from services.chassis.kafka.security import KafkaSecurity

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
    from deploy.local.errors import EmbeddedError
    from deploy.local.screen import Screen
    from deploy.local.up import up as run
    from deploy.ops.database import MigrationFailed
    from deploy.ops.topics import TopicRefused

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
    from tests.tools.runner import run

    raise typer.Exit(run(context.args))


@app.command()
def faults(
    quick: Annotated[bool, typer.Option("--quick", help="A spread of them, within three minutes.")] = False,
    only: Annotated[str, typer.Option(help="Those whose name holds this pattern, such as `kafka:`.")] = "",
    seconds: Annotated[int, typer.Option(min=5, help="How long processes are struck at random.")] = 600,
    seed: Annotated[int, typer.Option(help="The same seed strikes the same blows.")] = 1,
) -> None:
    """Make everything fail that can, and check that nothing was lost, doubled or leaked. Exits 1 on a breach."""
    from tests.faults import suite

    matrix = asyncio.run(suite.run(suite.Wish(quick, only, seconds, seed)))
    raise typer.Exit(1 if matrix.breaches else 0)


@app.command()
def bench(
    quick: Annotated[
        bool, typer.Option("--quick", help="Every figure from short windows, within 180 s.")
    ] = False,
    only: Annotated[str, typer.Option(help="These figures, separated by commas.")] = "",
    invoices: Annotated[int | None, typer.Option(min=100, help="How many one settle run pays.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the data directory, and say where.")] = False,
    save: Annotated[
        bool,
        typer.Option("--save", help="Keep the figures in docs/bench.json, which runs are compared with."),
    ] = False,
    against: Annotated[
        str, typer.Option(metavar="REF", help="Only compare the CPU of a settlement with this commit's.")
    ] = "",
) -> None:
    """Measure the running system: JSON lines on standard output, a table on standard error."""
    if against:
        from tests.bench import against as comparison

        raise typer.Exit(comparison.main(against))
    from tests.bench.run import Wish, main

    names = tuple(name.strip() for name in only.split(",") if name.strip())
    raise typer.Exit(main(Wish(quick, names, invoices, keep, save=save)))


@app.command()
def mutants(
    words: Annotated[list[str] | None, typer.Argument(help="Parts of names; without, all of them.")] = None,
) -> None:
    """Take each safeguard away in a copy of the code, and see that its named test turns red."""
    from tests.mutants.__main__ import main

    raise typer.Exit(main(words or ()))


@app.command()
def sbom() -> None:
    """Print the bill of materials, as CycloneDX: every package, jar and binary that an installation runs."""
    import json

    from tests.tools import supply

    try:
        typer.echo(json.dumps(supply.sbom(), indent=1))
    except supply.CannotAsk as reason:
        give_up(str(reason))


@app.command()
def migrate() -> None:
    """Make roles and databases on ADMIN_DATABASE_URL, and apply the migrations that are missing.

    Each role's password is taken from INVOICE_API_PASSWORD, INVOICE_API_PASSWORD_FILE and so on.
    """
    from asyncpg import PostgresError

    from deploy.ops import database

    async def work(admin_dsn: str) -> None:
        await database.migrate_all(await database.bootstrap(admin_dsn))

    try:
        asyncio.run(work(_required("ADMIN_DATABASE_URL")))
    except KeyError as missing:
        give_up(str(missing.args[0]))
    except (database.MigrationFailed, PostgresError, OSError) as refusal:
        give_up(str(refusal))
    typer.echo(f"databases are up to date: {', '.join(map(database.database_name, database.SERVICES))}")


@app.command()
def topics() -> None:
    """Make the topics that are missing on KAFKA_BOOTSTRAP_SERVERS."""
    from aiokafka.errors import KafkaError

    from deploy.ops import topics

    servers, security = _kafka()
    try:
        made = asyncio.run(topics.ensure(servers, security=security))
    except (topics.TopicRefused, KafkaError, TimeoutError) as refusal:
        give_up(str(refusal))
    typer.echo(f"topics made: {', '.join(made) or 'none, all are there'}")


@app.command()
def acls() -> None:
    """Set the passwords of Kafka's users, and what each may do, on KAFKA_BOOTSTRAP_SERVERS.

    As the administrator KAFKA_SASL_USERNAME; each password from INVOICE_KAFKA_PASSWORD,
    INVOICE_KAFKA_PASSWORD_FILE and so on.
    """
    from aiokafka.errors import KafkaError

    from deploy.ops import acls
    from deploy.ops.scram import UserRefused

    servers, security = _kafka()
    passwords = {user: _required(f"{user.upper()}_KAFKA_PASSWORD") for user in acls.users()}
    try:
        added, gone = asyncio.run(acls.ensure(servers, security, passwords))
    except (acls.AclRefused, UserRefused, KafkaError, TimeoutError) as refusal:
        give_up(str(refusal))
    typer.echo(f"users: {', '.join(passwords)}; rules added: {len(added)}, taken away: {len(gone)}")


def _kafka() -> "tuple[str, KafkaSecurity]":
    from services.chassis.settings import KafkaSettings, load

    return _required("KAFKA_BOOTSTRAP_SERVERS"), load(KafkaSettings).kafka_security


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
    from deploy.ops.verify.screen import run

    raise typer.Exit(run(data, wait, topics))


@app.command()
def reemit(
    service: Annotated[
        list[str] | None, typer.Option(help="invoice, payment or notification; default: all.")
    ] = None,
    since: Annotated[datetime | None, typer.Option(help="Only what changed since then, in UTC.")] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Of a running `clinicpay up`. Else AUDITOR_ and WORKER_DATABASE_URLS."),
    ] = None,
) -> None:
    """Say again what a topic lost, made from aggregates and movements under the same event ids."""
    from deploy.ops import reemit as work
    from deploy.ops.verify.access import Access
    from deploy.ops.verify.report import CannotCheck
    from deploy.ops.workers import WORKED, worker_dsns

    begin = (since or datetime(1970, 1, 1, tzinfo=UTC)).replace(tzinfo=UTC)
    try:
        auditor = (Access.of_data(data) if data else Access.of_environment()).databases
        workers = worker_dsns(data)
        for name in service or WORKED:
            if name not in WORKED:
                raise CannotCheck(f"{name} is not one of {', '.join(WORKED)}")
            said = asyncio.run(work.reemit(auditor[name], workers[name], name, begin))
            typer.echo(f"{name}: {said} events are in its outbox again")
    except CannotCheck as reason:
        give_up(str(reason))


app.add_typer(parked, name="parked")
app.add_typer(keys, name="keys")


def _required(name: str) -> str:
    """A variable, or the content of the file that NAME_FILE names."""
    if path := os.environ.get(f"{name}_FILE"):
        return Path(path).read_text().strip()
    return os.environ.get(name) or give_up(f"{name} is not set")


if __name__ == "__main__":
    app(prog_name="clinicpay")
