"""A client is erased on a whole system: the event goes through Kafka, and each service does its part."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from deploy.ops import workers
from deploy.ops.database import connected
from deploy.ops.verify.access import Access
from deploy.ops.verify.run import verify
from services.chassis.ids import new_id
from services.invoice.erasures import actions
from services.invoice.erasures.domain import Erasure
from tests.running.system import Running, until
from tests.system.test_main_job import harbour

NAMED = {"name": "Ada Nolan", "email": "ada@example.com", "language": "en"}


async def test_an_erasure_reaches_every_service(system: Running, data: Path) -> None:
    clinic = await harbour(system)
    made = await system.api("POST", f"/clinics/{clinic}/clients", NAMED, key=str(new_id()))
    access = Access.of_data(data)

    async def contacts() -> int:
        async with connected(access.databases["notification"]) as notification:
            found = "SELECT count(*) FROM contacts WHERE client_id = $1"
            return int(await notification.fetchval(found, UUID(made["id"])))

    async def done() -> bool:
        async with connected(access.databases["payment"]) as payment:
            found = (
                "SELECT state = 'done' FROM tasks WHERE kind = 'erase_client' AND payload->>'client_id' = $1"
            )
            return bool(await payment.fetchval(found, made["id"])) and not await contacts()

    assert await contacts() == 1
    erased = Erasure(UUID(clinic), "client", UUID(made["id"]), datetime.now(UTC))
    async with workers.opened(workers.worker_dsns(data)["invoice"]) as db, db.worker_tx() as tx:
        await actions.replay_erasures(tx, [erased])

    await until(done)
    report = await verify(access, topics=True)
    assert not report.breaches, str(report)
