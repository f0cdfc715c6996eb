"""The database itself keeps clinics apart: every table of every service, opened as the application's role."""

import asyncpg
import pytest

from tests.running.two_clinics import TwoClinics, tables_with_a_clinic

SERVICES = ("invoice", "payment", "notification", "gateway")
OPEN_TO_OPERATORS = {"memberships", "api_keys", "portals", "operations", "letters", "invitations"}
"""Where `app.operator` lets see more than a clinic."""
LOOKED_UP = {"api_keys", "portals"}
"""By these the gateway finds out which clinic is asked for, so it reads them before it knows one: by an exact hash or
slug. They hold no client's data."""


async def read(connection: asyncpg.Connection, table: str) -> set[str] | None:
    """The clinics whose rows the role sees; None when it may not read the table at all."""
    try:
        rows = await connection.fetch(f"SELECT clinic_id::text FROM {table}")
    except asyncpg.InsufficientPrivilegeError:
        return None
    return {row["clinic_id"] for row in rows}


@pytest.mark.parametrize("service", SERVICES)
async def test_without_a_clinic_there_are_no_rows_and_with_one_only_its_own(
    two: TwoClinics, service: str
) -> None:
    db, birch = two.dbs[service], str(two.cat.clinic_id)
    connection = await asyncpg.connect(db.api_dsn)
    tables = await tables_with_a_clinic(db)
    filled = {t for t in tables if await db.admin.fetchval(f"SELECT count(DISTINCT clinic_id) > 1 FROM {t}")}
    assert filled, "nothing to see, nothing shown"
    for table in set(tables) - LOOKED_UP:
        async with connection.transaction():
            assert not await read(connection, table), f"{table}, with no clinic ever set"
        for clinic in ("", birch):
            async with connection.transaction():
                await connection.execute("SELECT set_config('app.clinic', $1, true)", clinic)
                own = {birch} if clinic and table in filled else set()
                assert await read(connection, table) in (None, own), (table, clinic)
    await connection.close()


@pytest.mark.parametrize("service", SERVICES)
async def test_being_the_operator_opens_only_what_says_so(two: TwoClinics, service: str) -> None:
    async with two.dbs[service].api.tx(None, operator=True) as tx:
        for table in await tables_with_a_clinic(two.dbs[service]):
            try:
                async with tx.transaction():
                    seen = await tx.fetchval(f"SELECT count(*) FROM {table}")
            except asyncpg.InsufficientPrivilegeError:
                continue
            assert seen == 0 or table in OPEN_TO_OPERATORS, table


@pytest.mark.parametrize("service", SERVICES)
async def test_no_statement_of_one_clinic_changes_anothers_rows(two: TwoClinics, service: str) -> None:
    db = two.dbs[service]
    for table in await tables_with_a_clinic(db):
        for statement in (
            f"UPDATE {table} SET clinic_id = clinic_id WHERE clinic_id = $1",
            f"DELETE FROM {table} WHERE clinic_id = $1",
        ):
            async with db.api.tx(two.cat.clinic_id) as tx:
                try:
                    async with tx.transaction():
                        changed = await tx.execute(statement, two.ann.clinic_id)
                except asyncpg.InsufficientPrivilegeError:
                    continue
            assert changed.endswith(" 0"), statement


@pytest.mark.parametrize("service", SERVICES)
async def test_every_reference_between_a_clinics_rows_names_the_clinic(two: TwoClinics, service: str) -> None:
    """Checks of foreign keys bypass row-level security, so a key without the clinic could point at another's row."""
    loose = await two.dbs[service].admin.fetch(
        """
        SELECT c.conrelid::regclass::text AS table, c.conname
        FROM pg_constraint AS c
        JOIN pg_attribute AS here ON here.attrelid = c.conrelid AND here.attname = 'clinic_id'
        JOIN pg_attribute AS there ON there.attrelid = c.confrelid AND there.attname = 'clinic_id'
        WHERE c.contype = 'f' AND NOT (here.attnum = ANY (c.conkey) AND there.attnum = ANY (c.confkey))
        """
    )
    assert loose == []


@pytest.mark.parametrize("service", SERVICES)
async def test_the_applications_roles_own_nothing_and_pass_no_policy_by(
    two: TwoClinics, service: str
) -> None:
    strong = await two.dbs[service].admin.fetch(
        "SELECT rolname FROM pg_roles WHERE rolname ~ '^(app|invoice|payment|notification|gateway)_' "
        "AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb)"
    )
    owned = await two.dbs[service].admin.fetch(
        "SELECT relname FROM pg_class JOIN pg_roles r ON r.oid = relowner "
        "WHERE rolname ~ '_(api|worker|relay)$' AND relkind IN ('r', 'p', 'v', 'm')"
    )
    # A view would show what its owner may see.
    views = await two.dbs[service].admin.fetch(
        "SELECT relname FROM pg_class WHERE relkind IN ('v', 'm') AND relnamespace = 'public'::regnamespace "
        "AND NOT coalesce(reloptions::text, '') LIKE '%security_invoker=true%'"
    )
    assert (strong, owned, views) == ([], [], [])
