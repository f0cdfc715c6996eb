"""Operators' commands whose database is away or refuses: one line says so, and no traceback."""

import contextlib
import os
import subprocess
import sys

import asyncpg
import pytest

from deploy.cli import ROOT
from services.chassis.ids import new_id
from tests.running.commands import command
from tests.running.databases import ServiceDb
from tests.running.installation import Installation
from tests.tools.documented import statements

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

    assert done.returncode == 1 and not done.stdout
    assert "database_unreachable_begins" in done.stderr and "Traceback" not in done.stderr


async def test_a_refusal_is_said_too(db_invoice: ServiceDb) -> None:
    """A database that lacks the tables, as before `migrate`."""
    other = db_invoice.worker_dsn.replace(db_invoice.worker_dsn.rpartition("/")[2], "postgres")
    done = await command("parked", "list", WORKER_DATABASE_URLS=f"invoice={other}")

    assert done.exit_code == 1
    assert done.stderr.startswith("clinicpay: a database does not answer, or refuses: ")


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
