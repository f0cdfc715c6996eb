"""`clinicpay restore …`: the commands. Their work is in `restore/`."""

import asyncio
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from deploy.ops import variables
from deploy.ops.commands import OverDatabases, give_up, login_here
from deploy.ops.parked_commands import ParkedData

if TYPE_CHECKING:
    from deploy.ops.verify.access import Access

restore = typer.Typer(
    cls=OverDatabases,
    help="After databases were restored from a backup: bring them into step with Kafka and Stripe.",
    no_args_is_help=True,
)
Since = Annotated[datetime, typer.Option(help="When the first of the dumps began, in UTC.")]


@restore.command("erasures")
def print_erasures() -> None:
    """The log of erasures as JSON, from ADMIN_DATABASE_URL: keep it beside the dumps, and newer than they are."""
    import msgspec

    from deploy.ops.restore.invoice_step import list_erasures

    log = asyncio.run(list_erasures(_given("ADMIN_DATABASE_URL")))
    typer.echo(msgspec.json.encode(log).decode())


@restore.command("prepare")
def prepare_restored(
    since: Since,
    erasures: Annotated[
        Path | None, typer.Option(help="The newest log that `restore erasures` printed.")
    ] = None,
) -> None:
    """Before the services start, with ADMIN_DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS.

    If it breaks off, run it again.
    """
    import msgspec
    from aiokafka.errors import KafkaError
    from asyncpg import PostgresError

    from deploy.ops.restore.prepare import ServicesRun, prepare
    from services.chassis.settings import KafkaSettings, load
    from services.invoice.erasures.domain import Erasure

    admin = _given("ADMIN_DATABASE_URL")
    kafka = (_given("KAFKA_BOOTSTRAP_SERVERS"), load(KafkaSettings).kafka_security)
    try:
        log = msgspec.json.decode(erasures.read_bytes(), type=list[Erasure]) if erasures else []
        asyncio.run(prepare(admin, kafka, since.replace(tzinfo=UTC), typer.echo, log))
    except (msgspec.MsgspecError, ServicesRun, PostgresError, KafkaError, OSError, TimeoutError) as refusal:
        give_up(f"{refusal}: nothing is lost, run it again")
    typer.echo("prepared: now `clinicpay restore adopt`, then start the services")


@restore.command("adopt")
def adopt_lost(since: Since, data: ParkedData = None) -> None:
    """Add the rows of payments that are lost and that Stripe has. Exits 1 if one cannot be told whose it is."""
    from deploy.ops.restore.lost import adopt_all, opened

    async def work() -> list[tuple[str, str]]:
        async with opened(_access(data), _payment_worker(data)) as (db, stripe):
            return await adopt_all(db, stripe, since.replace(tzinfo=UTC) - timedelta(days=1))

    done = asyncio.run(work())
    for intent, became in done:
        typer.echo(f"{intent}  {became}")
    left = [intent for intent, became in done if became != "adopted"]
    typer.echo(f"adopted: {len(done) - len(left)}; for you to settle: {len(left)}")
    raise typer.Exit(1 if left else 0)


@restore.command("settle")
def settle_parked(
    parked_id: Annotated[int, typer.Argument(help="As `clinicpay parked list` has it, of payment.")],
    client: Annotated[UUID, typer.Option(help="Whose payment it is.")],
    invoice: Annotated[UUID, typer.Option(help="The invoice that it pays; what is above it is credit.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the audit log as a hash.")],
    by: Annotated[str, typer.Option(help="Who decides; the login on this machine, if not given.")] = "",
    data: ParkedData = None,
) -> None:
    """Book a charge that could not be adopted to the invoice that you name. `clinicpay parked discard` dismisses it."""
    from deploy.ops.restore.lost import opened, settle
    from services.chassis.errors import DomainError

    async def work() -> bool:
        async with opened(_access(data), _payment_worker(data)) as (db, stripe):
            return await settle(db, stripe, parked_id, client, invoice, by or login_here(), reason)

    try:
        settled = asyncio.run(work())
    except DomainError as refusal:
        give_up(f"refused: {refusal.code}: {refusal.detail}")
    if not settled:
        give_up(f"{parked_id} does not wait in payment")
    typer.echo(f"settled: {parked_id}")


def _access(data: Path | None) -> "Access":
    """Stripe as the payment service asks it."""
    from deploy.ops.verify.access import Access
    from deploy.ops.verify.report import CannotCheck
    from services.payment.stripe.seal import Seal

    if data is None:
        seal = Seal.of(_given("INSTALLATION"), _given("METADATA_KEY"))
        access = Access(databases={}, stripe_secret_key=_given("STRIPE_SECRET_KEY"), seal=seal)
        base = os.environ.get("STRIPE_API_BASE")
        return replace(access, stripe_api_base=base) if base else access
    try:
        return Access.of_data(data)
    except CannotCheck as reason:
        give_up(str(reason))


def _payment_worker(data: Path | None) -> str:
    from deploy.ops.verify.report import CannotCheck
    from deploy.ops.workers import worker_dsns

    try:
        return worker_dsns(data)["payment"]
    except (CannotCheck, KeyError) as reason:
        give_up(str(reason))


def _given(name: str) -> str:
    return variables.read(name) or give_up(f"{name} is not set")
