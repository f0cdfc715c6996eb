"""`clinicpay verify` sees what is broken, by the check's name and the row; and nothing where nothing is."""

from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest

from deploy.ops import database
from deploy.ops.verify import personal
from deploy.ops.verify.report import CannotCheck
from deploy.ops.verify.run import verify
from tests.running.apps import in_own_task
from tests.running.installation import Installation, an_installation, broken
from tests.service.verify_breaches import BROKEN, PARKED
from tests.service.verify_planted import PLANTED


@pytest.fixture(scope="module")
async def installation(postgres: str, roles: dict[str, str]) -> AsyncIterator[Installation]:
    async with in_own_task(an_installation(postgres, roles)) as made:
        yield made


async def test_a_sound_installation_has_no_breach(installation: Installation) -> None:
    report = await verify(installation.access, wait=0)

    assert not report.breaches, str(report)
    assert not report.waiting
    assert len({result.check for result in report.results}) == len(report.results) > 30


@pytest.mark.parametrize(
    ("check", "service", "sql", "words"), BROKEN, ids=[f"{b[0]}-{i}" for i, b in enumerate(BROKEN)]
)
async def test_each_breach_is_seen(
    installation: Installation, check: str, service: str, sql: str, words: str
) -> None:
    async with broken(installation, service, sql) as access:
        report = await verify(access, wait=0)

    rows = [breach.words for breach in report.breaches if breach.check == check]
    assert rows, str(report)
    assert any(words in row for row in rows), rows


async def test_what_was_refused_by_a_rule_is_listed_and_is_no_breach(installation: Installation) -> None:
    async with broken(installation, "payment", PARKED.format("stripe_wrong_charge")) as access:
        report = await verify(access, wait=0)

    assert not report.breaches, str(report)
    assert [(each.check, each.row["reason"]) for each in report.waiting] == [
        ("payment_parked", "stripe_wrong_charge")
    ]


@pytest.mark.parametrize("service", database.SERVICES)
async def test_the_auditor_reads_every_table_and_writes_none(
    installation: Installation, service: str
) -> None:
    auditor = await asyncpg.connect(installation.access.databases[service])
    try:
        tables = await auditor.fetch(
            """
            SELECT oid::regclass::text AS name,
                has_table_privilege(oid, 'SELECT') AND (
                    NOT relrowsecurity
                    OR EXISTS (SELECT FROM pg_policy WHERE polrelid = pg_class.oid AND polname = 'auditor')
                ) AS reads,
                has_table_privilege(oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
                    OR has_any_column_privilege(oid, 'INSERT, UPDATE') AS writes
            FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
            """
        )
        for table in tables:
            await auditor.execute(f"SELECT * FROM {table['name']} LIMIT 1")
    finally:
        await auditor.close()
    assert len(tables) > 5
    assert [table["name"] for table in tables if table["writes"] or not table["reads"]] == []


async def test_a_table_of_tomorrow_is_readable_after_its_migration(
    postgres: str, roles: dict[str, str]
) -> None:
    """Nobody has to think of the auditor in a migration."""
    await database.clone(postgres, "payment", "t_tomorrow")
    try:
        owner = database.with_database(roles["payment_owner"], "t_tomorrow")
        connection = await asyncpg.connect(owner)
        await connection.execute(
            """
            CREATE TABLE of_tomorrow (clinic_id uuid, id uuid);
            INSERT INTO of_tomorrow VALUES (gen_random_uuid(), gen_random_uuid());
            ALTER TABLE of_tomorrow ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY
            """
        )
        await connection.close()
        await database.migrate_all({"payment_owner": owner}, ["payment"])
        auditor = await asyncpg.connect(
            database.role_dsn(postgres, database.AUDITOR, database.AUDITOR, "t_tomorrow")
        )
        assert await auditor.fetchval("SELECT count(*) FROM of_tomorrow") == 1
        await auditor.close()
    finally:
        await database.drop(postgres, "t_tomorrow")


async def test_every_check_has_been_seen_to_fail(installation: Installation) -> None:
    report = await verify(installation.access, wait=0)

    seen = (
        {check for check, *_ in BROKEN} | PLANTED.keys() | {"reservations_are_live", personal.NAME}
    )  # test_verify_at_stripe.py, test_personal_columns.py
    assert {result.check for result in report.results} - seen == set()


async def test_without_a_database_it_says_that_it_cannot_check(installation: Installation) -> None:
    databases = {**installation.access.databases, "payment": "postgresql://auditor@127.0.0.1:1/nowhere"}

    with pytest.raises(CannotCheck, match="payment"):
        await verify(replace(installation.access, databases=databases), wait=0)


async def test_without_stripe_it_says_that_it_cannot_check(installation: Installation) -> None:
    report = await verify(replace(installation.access, stripe_api_base="http://127.0.0.1:1"), wait=0)

    assert report.unread and all("does not answer" in why for why in report.unread.values())
    assert not report.breaches
