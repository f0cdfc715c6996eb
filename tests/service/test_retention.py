"""Every table has a rule for how long it keeps its rows; the docs show it, and a job deletes older rows in steps."""

import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import get_args

import asyncpg
import pytest

from deploy.ops.verify.run import verify
from services.chassis import retention
from services.chassis.retention import Rule, delete_old, delete_some
from services.gateway.retention import RULES as GATEWAY
from services.invoice.retention import RULES as INVOICE
from services.notification.retention import RULES as NOTIFICATION
from services.payment.retention import RULES as PAYMENT
from tests.builders.values import eur
from tests.running.databases import ServiceDb
from tests.running.installation import Installation
from tests.running.payment import PaymentService
from tests.service.plans import Mode, Statement, explained, tell_plans

RULES = {"invoice": INVOICE, "payment": PAYMENT, "notification": NOTIFICATION, "gateway": GATEWAY}
PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
TABLES = """
    SELECT relname FROM pg_class
    WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace
        AND relname <> 'schema_migrations'
"""


@pytest.fixture(params=RULES)
def service(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def db(service: str, request: pytest.FixtureRequest) -> ServiceDb:
    found: ServiceDb = request.getfixturevalue(f"db_{service}")
    return found


async def test_every_table_has_one_rule(service: str, db: ServiceDb) -> None:
    there = sorted(row["relname"] for row in await db.admin.fetch(TABLES))
    assert sorted(rule.table for rule in RULES[service]) == there


def test_the_docs_show_every_rule(service: str) -> None:
    section = PAGE.read_text().split("## How long rows are kept")[1].split("\n## ")[0]
    shown = re.findall(r"^\| (\w+) \| `(\w+)` \| (.+?) \|$", section, re.MULTILINE)
    own = {(table, says) for where, table, says in shown if where == service}
    common = {(table, says) for where, table, says in shown if where == "all"}
    assert own == {(rule.table, rule.says) for rule in RULES[service]} - common
    assert common == {(rule.table, rule.says) for rule in retention.CHASSIS}


def deleting(service: str) -> list[Rule]:
    return [rule for rule in RULES[service] if rule.delete]


@pytest.mark.parametrize("mode", get_args(Mode))
@pytest.mark.parametrize("service", ["invoice", "payment", "notification"], indirect=True)
async def test_old_rows_are_found_by_an_index(service: str, db: ServiceDb, mode: Mode) -> None:
    await tell_plans(db)
    for rule in deleting(service):
        found: list[Statement] = []
        async with explained(db.worker.worker_tx(), mode, found) as tx:
            await delete_some(tx, rule)
        used = {index for statement in found for index in statement.indexes()}
        assert used & INDEXES, f"{rule.table}: {used}"


INDEXES = {
    "idempotency_keys_by_age",
    "parked_resolved",
    "tasks_ended",
    "held_acts_ended",
    "payments_canceled",
    "deliveries_by_age",
    "sent_before_by_age",
    "letters_ended",
    "starts_by_end",
    "evidence_changed",
    "expiry_notices_published",
    "failed_attempts_failed",
    "evidence_submissions_ended",
}


async def fill_keys(db: ServiceDb, ages: Sequence[timedelta]) -> None:
    await db.admin.executemany(
        """
        INSERT INTO idempotency_keys (clinic_id, key, fingerprint, answer, created_at)
        VALUES (gen_random_uuid(), 'key', '', '', now() - $1::interval)
        """,
        [(age,) for age in ages],
    )


async def count(db: ServiceDb, table: str) -> int:
    found: int = await db.admin.fetchval(f"SELECT count(*) FROM {table}")
    return found


async def test_what_is_old_goes_in_steps_and_what_is_young_stays(
    db_invoice: ServiceDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 10)
    old, young = timedelta(days=61), timedelta(days=59)
    await fill_keys(db_invoice, [old] * 25 + [young] * 5)

    assert await delete_old(db_invoice.worker.worker_tx, INVOICE) == 25

    assert await count(db_invoice, "idempotency_keys") == 5


async def test_a_run_ends_and_the_rest_has_its_turn_later(
    db_invoice: ServiceDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    monkeypatch.setattr(retention, "MOST_A_RUN", 3)
    await fill_keys(db_invoice, [timedelta(days=61)] * 10)

    assert [await delete_old(db_invoice.worker.worker_tx, INVOICE) for _ in range(3)] == [6, 4, 0]


@pytest.mark.parametrize("state", ["waiting", "discarded", "replayed", "superseded"])
async def test_a_parked_event_that_waits_and_a_decision_stay(db_invoice: ServiceDb, state: str) -> None:
    await db_invoice.admin.execute(
        """
        INSERT INTO parked (consumer, topic, partition, "offset", headers, reason, detail, fingerprint, state,
            parked_at, resolved_at, discarded_by, discard_reason)
        VALUES ('invoice', 't', 0, 0, '[]', 'r', 'd', '', $1, now() - interval '2 years',
            CASE WHEN $1 <> 'waiting' THEN now() - interval '1 year' END, 'ada', 'why')
        """,
        state,
    )

    await delete_old(db_invoice.worker.worker_tx, INVOICE)

    assert await count(db_invoice, "parked") == (1 if state in ("waiting", "discarded") else 0)


async def test_a_canceled_payment_goes_and_one_with_money_stays(payments: PaymentService) -> None:
    paid, canceled = await payments.open_invoice(eur(40)), await payments.open_invoice(eur(50))
    await payments.pay((paid, eur(40)))
    await payments.start((canceled, eur(50)))
    await payments.db.admin.execute(
        """
        INSERT INTO failed_attempts (clinic_id, payment_id, name, failed_at, observed_by)
        SELECT clinic_id, id, 'ch_1', now(), 'evt_1' FROM payments WHERE status <> 'succeeded';
        UPDATE allocations SET state = 'released' WHERE state = 'open';
        UPDATE payments SET status = 'canceled' WHERE status <> 'succeeded';
        UPDATE payments SET updated_at = now() - interval '801 days';
        """
    )

    assert await delete_old(payments.worker.worker_tx, PAYMENT) == 1

    left = await payments.db.admin.fetch(
        "SELECT status, state FROM payments JOIN allocations ON payment_id = id"
    )
    assert [tuple(row) for row in left] == [("succeeded", "settled")]


async def test_a_canceled_payment_that_reserved_credit_is_kept(payments: PaymentService) -> None:
    """Its entries are a part of the books, and refer to it."""
    canceled = await payments.open_invoice(eur(50))
    await payments.start((canceled, eur(50)))
    await payments.db.admin.execute(
        """
        UPDATE allocations SET state = 'released', credit_amount = 5;
        UPDATE payments SET status = 'canceled', updated_at = now() - interval '801 days';
        """
    )

    assert await delete_old(payments.worker.worker_tx, PAYMENT) == 0


async def test_the_books_cannot_be_deleted_by_the_worker(payments: PaymentService) -> None:
    await payments.pay((await payments.open_invoice(eur(40)), eur(40)))
    for table in ("entries", "postings", "movements", "refunds", "payables", "audit"):
        async with payments.worker.worker_tx() as tx:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with tx.transaction():
                    await tx.execute(f"DELETE FROM {table}")
    async with payments.worker.worker_tx() as tx:
        assert await tx.execute("DELETE FROM payments") == "DELETE 0"


async def test_the_books_are_sound_after_old_rows_went(installation: Installation) -> None:
    """Five hundred days later: receipts and notices of then are gone, and nothing misses them."""
    for db in installation.dbs.values():
        name = await db.admin.fetchval("SELECT current_database()")
        await db.admin.execute(f"ALTER DATABASE {name} SET clinicpay.clock_shift = '500 days'")
        await db.worker.close()  # a session has the setting from its beginning
    notification = installation.dbs["notification"]
    await notification.admin.execute("UPDATE deliveries SET state = 'sent', sent_at = created_at")
    gone = await delete_old(notification.worker.worker_tx, NOTIFICATION)
    report = await verify(installation.access, wait=0)

    assert gone > 5
    about_mails = {"one_receipt_per_payment", "one_letter_per_refund", "one_notice_per_invoice"}
    assert not about_mails & {breach.check for breach in report.breaches}
