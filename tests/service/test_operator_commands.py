"""Operators' commands whose database is away or refuses: one line says so, and no traceback."""

import asyncio
import contextlib
import os
import subprocess
import sys

import asyncpg
import pytest

from deploy.cli import ROOT
from deploy.ops import database
from deploy.ops.workers import WORKED
from deploy.sandbox.embedded import listen_on
from services.chassis.ids import new_id
from tests.running.commands import command
from tests.running.databases import ServiceDb
from tests.running.installation import Installation
from tests.service.test_console_pages import a_parked_movement, make_real
from tests.tools.documented import statements

LONG = 30
"""Seconds in which a command that hangs is known to."""
AWAY = "postgresql://nobody@127.0.0.1:1/none"
SINCE = ("--since", "2026-01-01")
COMMANDS = {
    "parked list": ("parked", "list"),
    "parked show": ("parked", "show", "payment", "1"),
    "parked replay": ("parked", "replay", "payment", "1"),
    "parked discard": ("parked", "discard", "payment", "1", "--reason", "a test"),
    "keys list": ("keys", "list"),
    "restore erasures": ("restore", "erasures"),
    "restore prepare": ("restore", "prepare", *SINCE),
    "restore adopt": ("restore", "adopt", *SINCE),
    "movements reverse": (
        *("movements", "reverse", str(new_id()), str(new_id())),
        *("--reason", "a test", "--by", "Ada", "--approved-by", "Ben"),
    ),
    "migrate": ("migrate",),
    "reemit": ("reemit",),
    "verify": ("verify",),
}
PLACES = {
    "AUDITOR_DATABASE_URLS": "invoice={0},payment={0},notification={0},gateway={0}",
    "WORKER_DATABASE_URLS": "invoice={0},payment={0},notification={0}",
    "GATEWAY_DATABASE_URL": "{0}",
    "ADMIN_DATABASE_URL": "{0}",
}
OTHERS = {
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "STRIPE_SECRET_KEY": "sk_test_x",
    "STRIPE_API_BASE": "http://127.0.0.1:1",
    "INSTALLATION": str(new_id()),
    "METADATA_KEY": "x" * 32,
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
async def test_a_database_that_is_away_is_said_in_a_line(words: tuple[str, ...]) -> None:
    done = await command(*words, **{name: url.format(AWAY) for name, url in PLACES.items()}, **OTHERS)

    assert done.exit_code in (1, 2)
    assert done.stderr.startswith("clinicpay: ") and done.stderr.count("\n") == 1


def test_what_is_logged_is_no_part_of_an_answer() -> None:
    """Another program may read a command's standard output."""
    environment = {"PATH": os.environ["PATH"], "WORKER_DATABASE_URLS": f"invoice={AWAY}"}
    line = [sys.executable, "-m", "deploy.cli", "parked", "list", "--json"]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)

    assert done.returncode == 2 and not done.stdout
    assert "database_unreachable_begins" in done.stderr and "Traceback" not in done.stderr


async def test_a_refusal_is_said_too(db_invoice: ServiceDb) -> None:
    """A database that lacks the tables, as before `migrate`."""
    other = db_invoice.worker_dsn.replace(db_invoice.worker_dsn.rpartition("/")[2], "postgres")
    done = await command("parked", "list", WORKER_DATABASE_URLS=f"invoice={other}")

    assert done.exit_code == 2
    assert done.stderr.startswith("clinicpay: a database does not answer, or refuses: invoice: ")


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that look give up soon."""
    monkeypatch.setattr(database, "LOOKS", 0.5)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(
    "words", [("why", "2026-000001"), ("waits",), ("parked", "list")], ids=lambda words: words[0]
)
async def test_a_database_that_hangs_holds_up_no_command_that_looks(
    installation: Installation, words: tuple[str, ...]
) -> None:
    """It takes connections, and says nothing. The others are read where each is of use alone."""
    await installation.world.issue(100)
    with listen_on(0) as silent:
        silent.listen()
        hung = f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/none"
        books = {**installation.access.databases, "payment": hung}
        workers = {name: installation.dbs[name].worker_dsn for name in WORKED} | {"payment": hung}
        async with asyncio.timeout(LONG):
            done = await command(
                *words,
                AUDITOR_DATABASE_URLS=",".join(f"{name}={url}" for name, url in books.items()),
                WORKER_DATABASE_URLS=",".join(f"{name}={url}" for name, url in workers.items()),
            )

    assert done.exit_code == 2
    assert "payment" in done.stderr
    assert ("invoice.created" in done.stdout) == (words == ("waits",))


async def test_the_sql_that_is_shown_to_operators_can_be_run(installation: Installation) -> None:
    """Each statement in at least one service's database: the page says in which."""
    shown = statements()
    answered = set()
    for db in installation.dbs.values():
        for statement in shown:
            with contextlib.suppress(asyncpg.UndefinedTableError):
                await db.admin.fetch(statement)
                answered.add(statement)
    assert len(shown) > 5
    assert answered == set(shown)


async def test_no_command_replays_a_settlement_that_payments_ledger_lacks(installation: Installation) -> None:
    """Where payment's database is given. A real one is refused for its own reason."""
    parked_id, _ = await a_parked_movement(installation)
    urls = ",".join(f"{name}={installation.dbs[name].worker_dsn}" for name in WORKED)
    replay = ("parked", "replay", "invoice", str(parked_id))

    forged = await command(*replay, WORKER_DATABASE_URLS=urls)
    await make_real(installation, parked_id)
    real = await command(*replay, WORKER_DATABASE_URLS=urls)

    assert (forged.exit_code, real.exit_code) == (1, 1)
    assert "still refused: not_in_ledger: " in forged.stderr
    assert "still refused: wrong_currency: " in real.stderr
