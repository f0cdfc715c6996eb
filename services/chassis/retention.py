"""How long each table keeps its rows, and the job that deletes what is older (ADR 0035).

A service's `retention` module has a rule for every table of its own; the chassis' tables have theirs here. A test finds
a table without a rule. `docs/operations.md` shows them all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from services.chassis.db.database import Connection, Transaction
from services.chassis.db.statements import rows_in

AT_ONCE = 500
"""Rows that one transaction deletes: few enough that nobody waits for it."""
MOST_A_RUN = 40
"""Transactions of one rule in one run. Rows that are left have their turn in the next run, after all other rules."""
RUN_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Rule:
    """How long a table keeps its rows. `says` is for people: the period, and the reason.

    delete      a statement that deletes at most $2 rows older than $1; None: nothing is deleted by time
    """

    table: str
    says: str
    keep: timedelta = timedelta(0)
    delete: str | None = None


def kept(table: str, says: str) -> Rule:
    """A table whose rows no job deletes."""
    return Rule(table, says)


def deleted(table: str, says: str, keep: timedelta, since: str, ended: str = "true") -> Rule:
    """A table whose rows go when `since`, a column with an index, is older than `keep` and `ended` is true."""
    return Rule(
        table,
        says,
        keep,
        f"""
        DELETE FROM {table} WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM {table}
            WHERE {ended} AND {since} < (SELECT app_now()) - $1::interval
            ORDER BY {since} LIMIT $2 FOR UPDATE SKIP LOCKED
        ))
    """,
    )


CHASSIS = (
    kept("outbox", "until Kafka has confirmed the event"),
    kept(
        "inbox",
        "30 days from its claim, in weekly partitions (`maintain_inbox`): longer than any topic keeps events",
    ),
    kept("job_leases", "a row for each job: who may run it until when, how its last run ended"),
    deleted(
        "tasks",
        "due: until it is done. Ended: 30 days, as long as what it came from may come again",
        timedelta(days=30),
        "ended_at",
        "state <> 'due'",
    ),
    deleted(
        "held_acts",
        "held: until due. Ended: 400 days, or until its exception is settled; the audit log keeps who asked and undid",
        timedelta(days=400),
        "ended_at",
        "state <> 'held' AND NOT EXISTS (SELECT FROM exceptions AS e WHERE e.settled_at IS NULL"
        " AND (e.clinic_id, e.subject_id) = (held_acts.clinic_id, held_acts.id))",
    ),
    kept("exceptions", "for ever: what a person decided, and when"),
    kept("audit", "for ever: evidence of who did what; ids and hashes alone"),
    kept("audit_heads", "for ever: the end of each chain"),
    deleted(
        "idempotency_keys",
        "60 days: longer than the gateway's 30, so that a key that it knows is known here",
        timedelta(days=60),
        "created_at",
    ),
    deleted(
        "parked",
        "waiting: until somebody acts. Replayed or superseded: 90 days. Discarded: for ever, as evidence",
        timedelta(days=90),
        "resolved_at",
        "state IN ('replayed', 'superseded')",
    ),
)


async def delete_old(transaction: Transaction, rules: Sequence[Rule]) -> int:
    """Delete what is older than its rule keeps it, in small transactions; returns the number of rows."""
    count = 0
    for rule in rules:
        for _ in range(MOST_A_RUN if rule.delete else 0):
            async with transaction() as tx:
                deleted_now = await delete_some(tx, rule)
            count += deleted_now
            if deleted_now < AT_ONCE:
                break
    return count


async def delete_some(tx: Connection, rule: Rule) -> int:
    """Delete at most `AT_ONCE` rows of the rule's table."""
    assert rule.delete is not None, "nothing of this table is deleted"
    return rows_in(await tx.execute(rule.delete, rule.keep, AT_ONCE))
