"""A client was erased: the task that follows, in the transaction that consumes the event."""

from collections.abc import Sequence

from contracts.events.client import ClientErased
from services.chassis.db.database import Connection
from services.chassis.queue import queue
from services.chassis.queue.domain import NewTask

TASK = "erase_client"


async def begin(tx: Connection, events: Sequence[ClientErased]) -> None:
    """Add a task for each: Stripe is asked outside of this transaction. An event that comes again adds none."""
    tasks = [
        NewTask(
            event.clinic_id,
            event.id,
            payload={"client_id": str(event.client_id), "erased_at": event.time.isoformat()},
            traceparent=event.traceparent,
        )
        for event in events
    ]
    await queue.enqueue(tx, TASK, tasks)
