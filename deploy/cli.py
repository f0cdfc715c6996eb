"""ClinicPay's command line. `./clinicpay` at the root of the repository runs it.

Here are the operators' commands, which the image holds too. A checkout adds its own: see `CHECKOUT`.
"""

import asyncio
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from deploy.ops import variables
from deploy.ops.clinics_commands import clinics
from deploy.ops.commands import give_up
from deploy.ops.keys_commands import app as keys
from deploy.ops.logins_commands import app as logins
from deploy.ops.movements_commands import movements
from deploy.ops.operators_commands import app as operators
from deploy.ops.parked_commands import parked
from deploy.ops.restore_commands import restore
from deploy.ops.stripe_commands import app as stripe

if TYPE_CHECKING:
    from services.chassis.settings import KafkaSecurity

ROOT = Path(__file__).resolve().parent.parent
CHECKOUT = ("deploy.local.commands", "tests.tools.commands")
"""Modules whose `register(app)` adds commands: `up`, and the developers'. The production image has neither."""

app = typer.Typer(
    name="clinicpay",
    help="Clinics issue invoices, their clients pay them in a portal.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


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
    metrics: Annotated[
        Path | None,
        typer.Option(help="Write the outcome to this file, for node_exporter's textfile collector."),
    ] = None,
) -> None:
    """Check every invariant over all books. Exits 1 on a breach and names the rows, 2 when it cannot check."""
    from deploy.ops.verify.screen import run

    raise typer.Exit(run(data, wait, topics, metrics))


@app.command()
def why(
    reference: Annotated[
        str,
        typer.Argument(help="Of an invoice, a receipt, a payment, a refund, a dispute, a client, a trace."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    data: Annotated[
        Path | None, typer.Option(help="Of a running `clinicpay up`. Else AUDITOR_DATABASE_URLS and so on.")
    ] = None,
) -> None:
    """Tell what happened to an invoice or a payment, in order, what it waits for, and what would help."""
    from deploy.ops.why.screen import run

    raise typer.Exit(run(reference, data, json_wanted=as_json))


@app.command()
def waits(
    as_json: Annotated[bool, typer.Option("--json", help="One object a line.")] = False,
    data: Annotated[
        Path | None, typer.Option(help="Of a running `clinicpay up`. Else AUDITOR_DATABASE_URLS and so on.")
    ] = None,
) -> None:
    """Show what waits in outboxes, queues and Kafka, parked or for a person. Exits 2 if a part does not answer."""
    from deploy.ops.waits import run

    raise typer.Exit(run(data, json_wanted=as_json))


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
    """Publish again what a topic lost, made from aggregates and movements under the same event ids."""
    from deploy.ops import reemit as work
    from deploy.ops.database import UNREACHABLE
    from deploy.ops.verify.access import Access
    from deploy.ops.verify.report import CannotCheck
    from deploy.ops.workers import WORKED, worker_dsns

    begin = (since or datetime(1970, 1, 1, tzinfo=UTC)).replace(tzinfo=UTC)
    try:
        auditor = Access.of(data).databases
        workers = worker_dsns(data)
        if unknown := set(service or ()) - set(WORKED):
            raise CannotCheck(f"{', '.join(sorted(unknown))} is not one of {', '.join(WORKED)}")
    except CannotCheck as reason:
        give_up(str(reason))
    left_out = []
    for name in service or WORKED:
        try:
            count = asyncio.run(work.reemit(auditor[name], workers[name], name, begin))
        except (KeyError, *UNREACHABLE):
            left_out.append(name)
        else:
            typer.echo(f"{name}: {count} events are in its outbox again")
    if left_out:
        give_up(
            f"no database answers for {', '.join(left_out)}: nothing of it was published again, run it again"
        )


app.add_typer(parked, name="parked")
app.add_typer(keys, name="keys")
app.add_typer(logins, name="logins")
app.add_typer(operators, name="operators")
app.add_typer(restore, name="restore")
app.add_typer(movements, name="movements")
app.add_typer(clinics, name="clinics")
app.add_typer(stripe, name="stripe")


def _required(name: str) -> str:
    return variables.read(name) or give_up(f"{name} is not set")


for _module in CHECKOUT:
    if (ROOT / _module.replace(".", "/")).with_suffix(".py").exists():
        import_module(_module).register(app)

if __name__ == "__main__":
    # A command's standard output is its answer, which another program may read.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    app(prog_name="clinicpay")
