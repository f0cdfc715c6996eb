"""For how long the oldest e-mail was tried in vain. Each try makes its task due later, so that no queue is behind."""

from services.chassis.db.database import Connection
from services.chassis.jobs.sampling import Read
from services.chassis.telemetry.metrics import Gauge

_age = Gauge(
    "clinicpay.email.unsent.age",
    "s",
    "Age of the oldest e-mail that was tried and is not sent; 0 without any",
)


async def show_unsent(connection: Connection) -> None:
    age = await connection.fetchval(
        """
        SELECT coalesce(extract(epoch FROM app_now() - min(created_at)), 0)::float8
        FROM deliveries WHERE state = 'due' AND attempts > 0
        """
    )
    _age.show({(): age})


READ = Read((_age,), show_unsent)
