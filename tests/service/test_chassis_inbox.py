"""The upkeep of the inbox, whatever times the ids of events begin with."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from contracts.events.envelope import event_id
from services.chassis.ids import new_id
from services.chassis.kafka import inbox
from services.chassis.kafka.worker import INBOX_KEEP_DAYS
from tests.running.databases import ServiceDb

NOW = datetime.now(UTC)
MONDAY = datetime(NOW.year, NOW.month, NOW.day, tzinfo=UTC) - timedelta(days=NOW.weekday())
"""Of this week, at midnight: where a partition begins."""
TIMES = {
    "now": NOW,
    "a week's first moment": MONDAY,
    "a week's last moment": MONDAY - timedelta(milliseconds=1),
    "weeks before it was booked": NOW - timedelta(days=21),
    "older than what is kept": NOW - timedelta(days=INBOX_KEEP_DAYS + 30),
    "1970": datetime(1970, 1, 1, tzinfo=UTC),
    "a month ahead": NOW + timedelta(days=31),
    "the last year": datetime(9999, 12, 31, 23, 59, tzinfo=UTC),
}


async def claim(db: ServiceDb, *ids: UUID) -> set[UUID]:
    async with db.worker.worker_tx() as tx:
        return await inbox.claim(tx, "c", ids)


async def maintain(db: ServiceDb) -> None:
    async with db.worker.worker_tx() as tx:
        await inbox.maintain(tx, INBOX_KEEP_DAYS)


async def drop_weeks(db: ServiceDb) -> None:
    """As in a database that was away for weeks: no week of now has its partition."""
    await db.admin.execute(
        """
        DO $$ DECLARE name text; BEGIN
            FOR name IN SELECT relname FROM pg_class WHERE relname ~ '^inbox_[0-9]{8}$' LOOP
                EXECUTE format('DROP TABLE %I', name);
            END LOOP;
        END $$
        """
    )


async def elsewhere(db: ServiceDb) -> int:
    """Number of claims that lie in no week's partition."""
    count: int = await db.admin.fetchval("SELECT count(*) FROM inbox_other")
    return count


@pytest.mark.parametrize("when", TIMES)
async def test_no_event_breaks_the_upkeep_and_each_stays_claimed(db_payment: ServiceDb, when: str) -> None:
    claimed = event_id(TIMES[when], "a")
    await drop_weeks(db_payment)
    await claim(db_payment, claimed)
    assert await elsewhere(db_payment) == 1

    for _ in range(2):
        await maintain(db_payment)
        assert await claim(db_payment, claimed) == set(), "it was had"

    kept_elsewhere = ("older than what is kept", "1970", "a month ahead", "the last year")
    assert await elsewhere(db_payment) == (when in kept_elsewhere)


async def test_partitions_reach_from_what_is_kept_to_three_weeks_ahead(db_payment: ServiceDb) -> None:
    await claim(
        db_payment, *(event_id(NOW + timedelta(days=days), "a") for days in range(-INBOX_KEEP_DAYS, 21))
    )

    assert await elsewhere(db_payment) == 0


async def test_an_event_a_month_ahead_moves_into_its_week_when_that_comes(db_payment: ServiceDb) -> None:
    """The upkeep of two weeks later, played by a week whose partition is gone."""
    week = MONDAY + timedelta(days=14)
    ahead = event_id(week + timedelta(days=3), "a")
    await db_payment.admin.execute(f"DROP TABLE inbox_{week:%Y%m%d}")
    await claim(db_payment, ahead)
    assert await elsewhere(db_payment) == 1

    await maintain(db_payment)

    assert await db_payment.admin.fetchval(f"SELECT event_id FROM inbox_{week:%Y%m%d}") == ahead
    assert await claim(db_payment, ahead) == set()


async def test_claims_are_kept_by_when_they_were_made(db_payment: ServiceDb) -> None:
    """An id may be weeks older than its event: such a claim must outlive its id's week."""
    old_week = MONDAY - timedelta(weeks=20)
    of_old_week = [
        event_id(old_week + timedelta(days=1), name) for name in ("new claim", "old claim", "unknown")
    ]
    elsewhere_ids = [
        event_id(datetime(2001, 1, 1, tzinfo=UTC), n) for n in ("new claim", "old claim", "unknown")
    ]
    await db_payment.admin.execute(
        f"""
        CREATE TABLE inbox_{old_week:%Y%m%d} PARTITION OF inbox
            FOR VALUES FROM (uuid_at('{old_week}')) TO (uuid_at('{old_week + timedelta(weeks=1)}'));
        ALTER TABLE inbox_{old_week:%Y%m%d} OWNER TO payment_owner
        """
    )
    for new, old, unknown in (of_old_week, elsewhere_ids):
        await claim(db_payment, new, old, unknown)
        long_ago = NOW - timedelta(days=INBOX_KEEP_DAYS + 8)
        await db_payment.admin.execute("UPDATE inbox SET claimed_at = $1 WHERE event_id = $2", long_ago, old)
        await db_payment.admin.execute("UPDATE inbox SET claimed_at = NULL WHERE event_id = $1", unknown)

    await maintain(db_payment)

    left = await db_payment.admin.fetch("SELECT event_id FROM inbox")
    assert {row["event_id"] for row in left} == {of_old_week[0], elsewhere_ids[0]}
    assert await db_payment.admin.fetchval("SELECT to_regclass($1)", f"inbox_{old_week:%Y%m%d}") is None


async def test_upkeep_keeps_what_claims_say(db_payment: ServiceDb) -> None:
    """A claim moves out of the week of its id, and one into it."""
    old_week, this_week = MONDAY - timedelta(weeks=20), event_id(NOW, "a")
    await db_payment.admin.execute(
        f"""
        CREATE TABLE inbox_{old_week:%Y%m%d} PARTITION OF inbox
            FOR VALUES FROM (uuid_at('{old_week}')) TO (uuid_at('{old_week + timedelta(weeks=1)}'));
        ALTER TABLE inbox_{old_week:%Y%m%d} OWNER TO payment_owner;
        DROP TABLE inbox_{MONDAY:%Y%m%d}
        """
    )
    source = inbox.Source("evt_1", "charge.succeeded", "pi_1", 1_700_000_000_123)
    ids = {event_id(old_week + timedelta(days=1), "a"), this_week}
    async with db_payment.worker.worker_tx() as tx:
        assert await inbox.claim_with_sources(tx, "c", dict.fromkeys(ids, source)) == ids

    await maintain(db_payment)

    kept = await db_payment.admin.fetch(
        "SELECT event_id, source_id, source_type, subject, received_at FROM inbox ORDER BY 1"
    )
    at = datetime.fromtimestamp(1_700_000_000.123, UTC)
    assert [tuple(row) for row in kept] == [
        (each, "evt_1", "charge.succeeded", "pi_1", at) for each in sorted(ids)
    ]
    async with db_payment.worker.worker_tx() as tx:
        assert await inbox.claim_with_sources(tx, "c", dict.fromkeys(ids, source)) == set()


async def test_upkeep_and_claims_at_once_lose_none(db_payment: ServiceDb) -> None:
    await drop_weeks(db_payment)
    batches = [[new_id() for _ in range(20)] for _ in range(30)]

    claims = [claim(db_payment, *batch) for batch in batches]
    claimed, *_ = await asyncio.gather(
        asyncio.gather(*claims), maintain(db_payment), maintain(db_payment), maintain(db_payment)
    )

    assert [len(each) for each in claimed] == [20] * 30
    assert await claim(db_payment, *(each for batch in batches for each in batch)) == set()
    assert await elsewhere(db_payment) == 0
