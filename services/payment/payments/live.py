"""How many payments have not ended."""

from services.chassis.db.database import Connection
from services.chassis.jobs.sampling import Read
from services.chassis.telemetry.metrics import Gauge
from services.payment.payments.reads import LIVE

_live = Gauge("clinicpay.payments", "{payment}", "Payments that have not ended, by status", "status")


async def show_live(connection: Connection) -> None:
    rows = await connection.fetch(
        f"SELECT status, count(*) AS payments FROM payments WHERE {LIVE} GROUP BY status"
    )
    _live.show({(row["status"],): row["payments"] for row in rows})


READ = Read((_live,), show_live)
