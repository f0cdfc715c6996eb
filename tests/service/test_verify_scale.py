"""`clinicpay verify` reads what it must once, and leaves in its database what is the same on both sides."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import pytest

from deploy.ops import database
from deploy.ops.verify import diff as diff
from deploy.ops.verify.access import Access
from deploy.ops.verify.comparisons import COMPARISONS
from deploy.ops.verify.databases import Databases, opened
from deploy.ops.verify.run import INSIDE, OFFENDING, verify
from tests.bench.verify.population import populate
from tests.running.apps import in_own_task
from tests.running.databases import ServiceDb, fresh_database

INVOICES = 20_000
MOVEMENTS = next(comparison for comparison in COMPARISONS if comparison.name == "movements_agree")
EXCHANGE = """
    WITH two AS (SELECT id, payable_id FROM movements ORDER BY id LIMIT 2 OFFSET {})
    UPDATE movements SET payable_id = other.payable_id FROM two AS one, two AS other
    WHERE movements.id = one.id AND one.id <> other.id
"""


@pytest.fixture(scope="module")
async def dbs(postgres: str, roles: dict[str, str]) -> AsyncIterator[dict[str, ServiceDb]]:
    async with AsyncExitStack() as stack:
        made = {
            service: await stack.enter_async_context(in_own_task(fresh_database(service, postgres, roles)))
            for service in database.SERVICES
        }
        await populate({service: db.admin_dsn for service, db in made.items()}, INVOICES)
        yield made


@pytest.fixture
def access(dbs: dict[str, ServiceDb]) -> Access:
    return Access(
        {
            service: database.role_dsn(
                db.admin_dsn, database.AUDITOR, database.AUDITOR, db.admin_dsn.rpartition("/")[2]
            )
            for service, db in dbs.items()
        }
    )


async def test_the_population_that_is_measured_is_sound(access: Access) -> None:
    report = await verify(access, wait=0)

    assert not report.breaches, str(report)


async def test_no_check_walks_an_index_where_it_needs_all_rows(access: Access) -> None:
    async with opened(access) as databases:
        plans = {
            check.name: await databases[check.service].fetch(
                f"EXPLAIN {OFFENDING.format(sql=check.sql, most=50)}"
            )
            for check in INSIDE
        }

    walks = {name for name, plan in plans.items() if any("Merge" in row[0] for row in plan)}
    assert walks == set()


@pytest.mark.parametrize(
    "comparison",
    [comparison for comparison in COMPARISONS if not comparison.within],
    ids=lambda comparison: comparison.name,
)
async def test_what_is_the_same_is_not_read(access: Access, comparison: diff.Comparison) -> None:
    """Digests of equal rows are equal: the sides have the same types."""
    async with opened(access) as databases:
        assert await diff.suspects(databases, comparison) == []


async def test_only_what_differs_is_read(dbs: dict[str, ServiceDb], access: Access) -> None:
    async with changed(
        dbs,
        access,
        "UPDATE movements SET amount = 101 WHERE id = (SELECT id FROM movements ORDER BY id LIMIT 1)",
    ) as databases:
        assert len(await diff.suspects(databases, MOVEMENTS)) == 1
        assert [row["amount"] async for row in diff.differing(databases, MOVEMENTS)] == ["100 ≠ 101"]


async def test_two_rows_that_exchanged_a_value_differ(
    dbs: dict[str, ServiceDb], access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one bucket, whose sum of values is as it was; twenty times, as a weak digest sees some by an overflow."""
    monkeypatch.setattr(diff, "BUCKETS", 1)
    for offset in range(20):
        async with changed(dbs, access, EXCHANGE.format(offset)) as databases:
            rows = [row async for row in diff.differing(databases, MOVEMENTS)]

        assert [row.keys() - {"clinic_id", "movement_id"} for row in rows] == [{"invoice_id"}, {"invoice_id"}]


@asynccontextmanager
async def changed(dbs: dict[str, ServiceDb], access: Access, sql: str) -> AsyncIterator[Databases]:
    """The databases; payment's within a transaction that has run this SQL and is rolled back."""
    admin = await asyncpg.connect(dbs["payment"].admin_dsn)
    try:
        async with opened(access) as databases:
            await admin.execute(f"SET session_replication_role = replica; BEGIN; {sql}")
            yield {**databases, "payment": admin}
    finally:
        await admin.close()
