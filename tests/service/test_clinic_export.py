"""All that is kept of a clinic in one file: whole, of this clinic alone, with counts and hashes that hold."""

import asyncio
import hashlib
import json
import os
import stat
import sys
import zipfile
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from deploy.ops.clinics import LEFT_OUT, tables
from deploy.ops.verify.databases import opened
from services.chassis.ids import new_id
from tests.builders.values import eur
from tests.running.commands import command
from tests.running.installation import Installation
from tests.service.waiting import until_waiting

Files = dict[str, list[dict[str, Any]]]


def urls(installation: Installation) -> str:
    return ",".join(f"{service}={dsn}" for service, dsn in installation.access.databases.items())


async def exported(installation: Installation, out: Path, clinic: str = "") -> Any:
    words = ("clinics", "export", clinic or str(installation.world.clinic_id), "--out", str(out))
    return await command(*words, AUDITOR_DATABASE_URLS=urls(installation))


def read(out: Path) -> tuple[dict[str, Any], Files]:
    """The manifest, and the rows of each file. Every file has the hash that `SHA256SUMS` says."""
    with zipfile.ZipFile(out) as archive:
        sums = dict(line.split("  ")[::-1] for line in archive.read("SHA256SUMS").decode().splitlines())
        assert sums.keys() == set(archive.namelist()) - {"SHA256SUMS"}
        for name, told in sums.items():
            assert hashlib.sha256(archive.read(name)).hexdigest() == told
        files = {
            name: [json.loads(line) for line in archive.read(name).decode().splitlines()]
            for name in archive.namelist()
            if name.endswith(".jsonl")
        }
        return json.loads(archive.read("manifest.json")), files


async def test_a_clinics_books_are_in_one_file(installation: Installation, tmp_path: Path) -> None:
    paid, credited = await installation.open_invoice(12_500), await installation.open_invoice(900)
    payment = await installation.pay((paid, eur(125)))
    await installation.correct(credited, "void", reason="other", explanation="a test")
    await installation.pump()
    out = tmp_path / "clinic.zip"

    done = await exported(installation, out)

    assert done.exit_code == 0, done.output
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    manifest, files = read(out)
    assert manifest["clinic"]["id"] == str(installation.world.clinic_id)
    told = {
        name: each for service in manifest["services"].values() for name, each in service["files"].items()
    }
    assert {name: each["rows"] for name, each in told.items()} == {
        name: len(rows) for name, rows in files.items()
    }
    invoices = {row["id"]: row for row in files["invoice/invoices.jsonl"]}
    assert {str(paid), str(credited)} <= invoices.keys()
    assert invoices[str(paid)]["total_amount"] == 12_500 and invoices[str(paid)]["currency"] == "EUR"
    assert str(payment) in {row["id"] for row in files["payment/payments.jsonl"]}
    [moved] = [row for row in files["payment/movements.jsonl"] if row["payment_id"] == str(payment)]
    assert (moved["amount"], moved["currency"]) == (12_500, "EUR")
    for name, rows in files.items():
        service, table = name.removesuffix(".jsonl").split("/")
        assert len(rows) == await installation.dbs[service].admin.fetchval(f"SELECT count(*) FROM {table}"), (
            name
        )
    for name in ("invoice/invoice_documents", "invoice/audit", "payment/postings", "notification/deliveries"):
        assert files[f"{name}.jsonl"], name
    for row in (row for rows in files.values() for row in rows):
        assert row.get("clinic_id", row.get("id")) == str(installation.world.clinic_id)


async def test_it_has_the_rows_of_one_clinic_alone(installation: Installation, tmp_path: Path) -> None:
    await installation.open_invoice(12_500)
    other = new_id()
    await installation.dbs["payment"].admin.execute(
        "INSERT INTO credit_balances (clinic_id, client_id, currency, amount) VALUES ($1, $1, 'EUR', 5)",
        other,
    )

    await exported(installation, tmp_path / "clinic.zip")

    rows = read(tmp_path / "clinic.zip")[1]["payment/credit_balances.jsonl"]
    assert {row["clinic_id"] for row in rows} == {str(installation.world.clinic_id)}


async def test_nothing_is_written_of_a_clinic_that_is_not_there(
    installation: Installation, tmp_path: Path
) -> None:
    done = await exported(installation, tmp_path / "clinic.zip", str(new_id()))

    assert done.exit_code == 1 and "There is no clinic" in done.stderr
    assert not await asyncio.to_thread(lambda: list(tmp_path.iterdir()))


async def test_no_file_is_overwritten(installation: Installation, tmp_path: Path) -> None:
    out = tmp_path / "clinic.zip"
    out.write_text("kept")

    done = await exported(installation, out)

    assert done.exit_code == 1 and "is there already" in done.stderr
    assert out.read_text() == "kept"


async def test_a_run_that_is_killed_leaves_nothing_of_the_clinic(
    installation: Installation, tmp_path: Path
) -> None:
    """Killed with half of it written: so long does it wait for a table."""
    await installation.open_invoice(12_500)
    db = installation.dbs["notification"]
    blocking = await asyncpg.connect(db.admin_dsn)
    try:
        await blocking.execute("BEGIN; LOCK TABLE deliveries")
        words = (
            "clinics",
            "export",
            str(installation.world.clinic_id),
            "--out",
            str(tmp_path / "clinic.zip"),
        )
        export = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "deploy.cli", *words),
            env=os.environ | {"AUDITOR_DATABASE_URLS": urls(installation)},
        )
        await until_waiting(db, asyncio.create_task(export.wait()))
        export.kill()
        assert await export.wait() < 0
    finally:
        await blocking.close()

    assert not await asyncio.to_thread(os.listdir, tmp_path)


async def test_without_files_that_have_no_name_the_export_is_the_same(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "O_TMPFILE")

    refused = await exported(installation, tmp_path / "clinic.zip", "nobody")
    assert refused.exit_code == 1 and not await asyncio.to_thread(os.listdir, tmp_path)
    await exported(installation, tmp_path / "clinic.zip", str(installation.world.clinic_id).upper())

    assert stat.S_IMODE((tmp_path / "clinic.zip").stat().st_mode) == 0o600
    assert read(tmp_path / "clinic.zip")[0]["clinic"]["id"] == str(installation.world.clinic_id)
    assert await asyncio.to_thread(os.listdir, tmp_path) == ["clinic.zip"]


async def test_a_folder_that_is_not_there_is_named(installation: Installation, tmp_path: Path) -> None:
    done = await exported(installation, tmp_path / "none" / "clinic.zip")

    assert done.exit_code == 1 and done.stderr.endswith(f"{str(tmp_path / 'none')!r}\n")


async def test_all_databases_are_read_at_one_moment_however_long_one_takes(
    installation: Installation,
) -> None:
    """Or the sums of invoices and of the ledger, read minutes later, would differ."""
    count = "SELECT count(*) FROM credit_balances"
    async with opened(installation.access) as databases:
        before = await installation.dbs["payment"].admin.fetchval(count)
        await installation.dbs["payment"].admin.execute(
            "INSERT INTO credit_balances (clinic_id, client_id, currency, amount) VALUES ($1, $1, 'EUR', 5)",
            new_id(),
        )
        assert await databases["payment"].fetchval(count) == before


async def test_every_table_is_exported_or_left_out_for_a_reason(installation: Installation) -> None:
    for service, db in installation.dbs.items():
        names = {
            row["relname"]
            for row in await db.admin.fetch(
                """
                SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
                AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'schema_migrations'
                """
            )
        }
        kept = await tables(db.admin, service)
        assert {table.name for table in kept} | LEFT_OUT[service].keys() == names
        for table in kept:
            assert "clinic_id" in table.columns or table.name == "clinics", table.name


@pytest.mark.parametrize(
    "column", ["key_hash", "token_hash", "password_hash", "id_hash", "sealed", "code_hash"]
)
async def test_no_secret_is_exported(installation: Installation, column: str) -> None:
    for service, db in installation.dbs.items():
        assert [table.name for table in await tables(db.admin, service) if column in table.columns] == []


async def test_a_table_of_tomorrow_that_is_of_no_clinic_breaks_no_export(installation: Installation) -> None:
    db = installation.dbs["gateway"]
    await db.admin.execute("CREATE TABLE of_tomorrow (id uuid)")

    assert "of_tomorrow" not in {table.name for table in await tables(db.admin, "gateway")}
