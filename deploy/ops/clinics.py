"""`clinicpay clinics export`: all that the services keep of one clinic, as one file for the clinic or its successor.

A ZIP with a file of JSON Lines for each table: one object a row, with the columns' names, sums in minor units of their
currency, times in UTC. `manifest.json` has counts and columns, `SHA256SUMS` a hash of each file.
"""

import asyncio
import hashlib
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from uuid import UUID, uuid4

from deploy.ops.verify.access import Access
from deploy.ops.verify.databases import opened
from services.chassis.errors import DomainError

FORMAT = 1
_WORK = "work on its way, not a record"
_HIDDEN = "secrets, or hashes of them"
_PERSON = "of a person, who may be at other clinics too"
_INSTALLATION = "of the installation, not of a clinic"
_CHASSIS = {
    "idempotency_keys": _WORK,
    "inbox": _INSTALLATION,
    "job_leases": _INSTALLATION,
    "outbox": _WORK,
    "parked": _WORK,
    "tasks": _WORK,
}
LEFT_OUT: Mapping[str, Mapping[str, str]] = {
    "invoice": _CHASSIS,
    "payment": {**_CHASSIS, "account_states": "as Stripe has it now: ask Stripe", "starts": _WORK},
    "notification": {**_CHASSIS, "letters": _PERSON, "sent_before": _WORK, "reminder_runs": _WORK},
    "gateway": {
        **_CHASSIS,
        "api_keys": _HIDDEN,
        "attempts": _INSTALLATION,
        "invitations": _HIDDEN,
        "key_uses": _WORK,
        "letters": _WORK,
        "link_tokens": _HIDDEN,
        "links": _HIDDEN,
        "login_steps": _HIDDEN,
        "logins": _PERSON,
        "operations": _WORK,
        "operator_acts": _INSTALLATION,
        "operator_invitations": _HIDDEN,
        "operator_sessions": _HIDDEN,
        "operators": _INSTALLATION,
        "passkey_setups": _HIDDEN,
        "passkeys": _PERSON,
        "recovery_codes": _HIDDEN,
        "reset_requests": _PERSON,
        "second_factor_setups": _HIDDEN,
        "second_factors": _HIDDEN,
        "sessions": _HIDDEN,
        "verify_runs": _INSTALLATION,
    },
}
"""Tables that no export has, and why. All others are exported, new ones too."""

_TABLES = """
    SELECT c.relname AS name, array_agg(a.attname::text ORDER BY a.attnum) AS columns,
        array_agg(format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum) AS types,
        (
            SELECT array_agg(quote_ident(k.attname) ORDER BY array_position(i.indkey::int[], k.attnum::int))
            FROM pg_index AS i JOIN pg_attribute AS k ON k.attrelid = i.indrelid AND k.attnum = ANY(i.indkey)
            WHERE i.indrelid = c.oid AND i.indisprimary
        ) AS key
    FROM pg_class AS c
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND c.relname <> 'schema_migrations'
    GROUP BY c.oid, c.relname ORDER BY c.relname
"""


class NoSuchClinic(DomainError):
    code = "clinic_not_found"
    status = 404


@dataclass(frozen=True, slots=True)
class Table:
    """A table with the clinic's rows. `owner` is the column that has the clinic's id."""

    name: str
    columns: Mapping[str, str]
    key: tuple[str, ...]

    @property
    def owner(self) -> str | None:
        """None: no row is of one clinic."""
        if self.name == "clinics":
            return "clinic_id" if "clinic_id" in self.columns else "id"
        return "clinic_id" if "clinic_id" in self.columns else None


async def tables(connection: Any, service: str) -> list[Table]:
    """The service's tables that an export has."""
    found = [
        Table(row["name"], dict(zip(row["columns"], row["types"], strict=True)), tuple(row["key"] or ()))
        for row in await connection.fetch(_TABLES)
        if row["name"] not in LEFT_OUT[service]
    ]
    return [table for table in found if table.owner]


def export(access: Access, clinic: str, out: Path) -> Mapping[str, int]:
    """Write the file, whole or not at all; answers the rows by file. `clinic` is its id or the name in its address.

    Each database is read at one moment. Raises `NoSuchClinic`, `FileExistsError`, `CannotCheck`.
    """
    with _whole(out) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        return asyncio.run(_write(access, clinic, archive))


@contextmanager
def _whole(out: Path) -> Iterator[IO[bytes]]:
    """A file that gets its name at the end. Nobody else on the machine may read it.

    It has none before, so that a process that is killed leaves nothing personal behind, where the system and the file
    system have such files. Raises `FileExistsError`.
    """
    if os.path.lexists(out):
        raise FileExistsError(f"{out} is there already")
    folder = os.open(out.parent, os.O_RDONLY | os.O_DIRECTORY)
    unfinished = None
    try:
        try:
            opened = os.open(out.parent, os.O_WRONLY | os.O_TMPFILE, 0o600)
        except (AttributeError, OSError) as error:
            if isinstance(error, FileNotFoundError | PermissionError):
                raise
            unfinished = out.with_name(f".{out.name}.{uuid4()}")
            opened = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(opened, "wb") as file:
            yield file
            file.flush()
            os.fsync(opened)
            if unfinished is None:
                os.link(f"/proc/self/fd/{opened}", out.name, dst_dir_fd=folder)
            else:
                unfinished.rename(out)
            os.fsync(folder)
    finally:
        if unfinished is not None:
            unfinished.unlink(missing_ok=True)
        os.close(folder)


async def _write(access: Access, clinic: str, archive: zipfile.ZipFile) -> dict[str, int]:
    hashes: dict[str, str] = {}
    counts: dict[str, int] = {}
    manifest: dict[str, Any] = {"format": FORMAT, "services": {}}
    async with opened(access) as databases:
        found = await databases["invoice"].fetchrow(
            "SELECT id, slug, name, currency FROM clinics WHERE lower($1) IN (id::text, slug)", clinic
        )
        if found is None:
            raise NoSuchClinic(f"There is no clinic {clinic}.")
        manifest["clinic"] = {**found, "id": str(found["id"])}
        for service, connection in databases.items():
            await connection.execute("SET LOCAL timezone TO 'UTC'")
            files: dict[str, Any] = {}
            for table in await tables(connection, service):
                name = f"{service}/{table.name}.jsonl"
                counts[name], hashes[name] = await _copy(connection, table, found["id"], archive, name)
                files[name] = {"rows": counts[name], "sha256": hashes[name], "columns": table.columns}
            manifest["services"][service] = {
                "read_at": (await connection.fetchval("SELECT now()")).isoformat(),
                "files": files,
                "left_out": LEFT_OUT[service],
            }
    text = json.dumps(manifest, indent=1).encode()
    archive.writestr("manifest.json", text)
    hashes["manifest.json"] = hashlib.sha256(text).hexdigest()
    archive.writestr("SHA256SUMS", "".join(f"{digest}  {name}\n" for name, digest in hashes.items()))
    return counts


async def _copy(
    connection: Any, table: Table, clinic_id: UUID, archive: zipfile.ZipFile, name: str
) -> tuple[int, str]:
    """Write the clinic's rows, in the order of the primary key; answers their number and the hash of the file."""
    order = ", ".join(table.key) or "t::text"
    rows = connection.cursor(
        f"SELECT row_to_json(t)::text AS line FROM {table.name} AS t WHERE {table.owner} = $1 ORDER BY {order}",
        clinic_id,
        prefetch=1000,
    )
    digest, count = hashlib.sha256(), 0
    with archive.open(name, "w", force_zip64=True) as entry:
        async for row in rows:
            line = f"{row['line']}\n".encode()
            entry.write(line)
            digest.update(line)
            count += 1
    return count, digest.hexdigest()
