"""`clinicpay restore prepare`: everything that must be right before the services start on restored databases.

Each step does only what is missing, so a run that broke off is run again.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from deploy.ops import database
from deploy.ops.restore import offsets
from deploy.ops.restore.invoice_step import Say, erase_again, resume_invoice
from deploy.ops.restore.payment_step import resume_payment
from deploy.ops.restore.seen import Seen, read_since
from services.chassis.ids import columns
from services.chassis.settings import KafkaSecurity
from services.invoice.erasures.domain import Erasure

MARGIN = timedelta(minutes=10)
"""A dump shows what was committed when it began; the clock that dated the records may differ from its."""

_RUNNING = """
    SELECT DISTINCT usename::text FROM pg_stat_activity
    WHERE datname LIKE 'clinicpay\\_%' AND usename ~ '_(api|worker|relay)$' ORDER BY 1
"""


class ServicesRun(Exception):
    """The services must be stopped before; the message names which work."""


async def prepare(
    admin_dsn: str,
    kafka: tuple[str, KafkaSecurity],
    since: datetime,
    say: Say,
    erased: Sequence[Erasure] = (),
) -> None:
    """All steps. `since`: when the first of the dumps began; `erased`: the newest log. Raises `ServicesRun`."""
    since -= MARGIN
    dsns = {
        name: database.with_database(admin_dsn, database.database_name(name)) for name in database.SERVICES
    }
    await _check_stopped(admin_dsn)
    say(f"read the topics since {since:%Y-%m-%d %H:%M:%S} UTC")
    seen = await read_since(*kafka, since)
    await resume_invoice(dsns["invoice"], seen, say)
    await erase_again(dsns["invoice"], erased, say)
    await resume_payment(dsns["payment"], seen, say)
    await _notification(dsns["notification"], seen, say)
    await _gateway(dsns["gateway"], say)
    try:
        put = await offsets.put_back(*kafka, since)
    except offsets.GroupHasMembers as group:
        raise ServicesRun(f"stop all services first: a worker still reads as {group}") from None
    say(f"consumer groups read again from then: {', '.join(put)}")


async def _check_stopped(admin_dsn: str) -> None:
    async with database.connected(admin_dsn) as admin:
        working = [row[0] for row in await admin.fetch(_RUNNING)]
    if working:
        raise ServicesRun(f"stop all services first: {', '.join(working)} still work")


async def _notification(dsn: str, seen: Seen, say: Say) -> None:
    """Keep which e-mails were sent: the dump may have them waiting, or events will lead to them again."""
    keys = sorted(seen.sent)
    async with database.connected(dsn) as admin:
        result: str = await admin.execute(
            """
            WITH seen AS (
                SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::int[])
                    AS seen (clinic_id, id, at, attempts)
            ), waiting AS (
                UPDATE deliveries SET state = 'sent', sent_at = seen.at, attempts = seen.attempts FROM seen
                WHERE (deliveries.clinic_id, deliveries.id) = (seen.clinic_id, seen.id)
                    AND deliveries.state IN ('waiting', 'due')
                RETURNING deliveries.clinic_id, deliveries.id
            ), ended AS (
                UPDATE tasks SET state = 'done', ended_at = app_now() FROM waiting
                WHERE (tasks.clinic_id, tasks.key) = (waiting.clinic_id, waiting.id)
                    AND tasks.kind LIKE 'email.%' AND tasks.state = 'due'
            )
            INSERT INTO sent_before (clinic_id, id, sent_at, attempts) SELECT * FROM seen ON CONFLICT DO NOTHING
            """,
            *columns(seen.sent),
            [seen.sent[key].time for key in keys],
            [seen.sent[key].attempts for key in keys],
        )
    say(f"notification: {result.rpartition(' ')[2]} e-mails were sent since then, and are not sent again")


async def _gateway(dsn: str, say: Say) -> None:
    """A session that was ended after the dump would live again, and a link that was used would work."""
    async with database.connected(dsn) as admin:
        await admin.execute("DELETE FROM sessions; DELETE FROM links; DELETE FROM letters")
    say("gateway: everybody logs in again")
