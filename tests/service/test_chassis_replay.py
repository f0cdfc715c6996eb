"""A replay and a live batch of the same line at once: what comes behind is neither early nor left behind."""

import asyncio
from collections.abc import Sequence

from contracts.payment import PaymentSettled
from services.chassis import outbox
from services.chassis.consume import Consumer, Handler
from services.chassis.db import Connection
from services.chassis.errors import DomainError
from services.chassis.ids import new_id
from tests.service.waiting import until_waiting
from tests.world import ServiceDb, a_settlement, eur, outbox_events, record, waiting_parked


class Refused(DomainError):
    code = "refused"


class Desk:
    """A consumer that refuses until it is told not to, and then can be held up in the middle of its work."""

    def __init__(self, db: ServiceDb) -> None:
        self.refuses = True
        self.held_up = asyncio.Event()
        self.go_on = asyncio.Event()
        self.consumer = Consumer(db.worker, "desk", (Handler((PaymentSettled,), "desk", self.apply),))

    async def apply(self, tx: Connection, settled: Sequence[PaymentSettled]) -> None:
        if self.refuses:
            raise Refused("Not now.")
        if not self.held_up.is_set():
            self.held_up.set()
            await self.go_on.wait()
        await outbox.add(tx, [(event, event) for event in settled])


async def test_a_movement_that_comes_during_a_replay_is_applied_after_it(db_invoice: ServiceDb) -> None:
    desk = Desk(db_invoice)
    clinic, invoice = new_id(), new_id()
    first, second = (a_settlement(clinic, invoice, eur(n)) for n in (1, 2))
    await desk.consumer.consume([record(first, 1)])
    desk.refuses = False
    parked_id = await db_invoice.admin.fetchval("SELECT id FROM parked")

    replay = asyncio.create_task(desk.consumer.replay(parked_id))
    await desk.held_up.wait()
    live = asyncio.create_task(desk.consumer.consume([record(second, 2)]))
    await until_waiting(db_invoice, live)
    desk.go_on.set()
    await asyncio.gather(replay, live)

    assert [event.id for event in await outbox_events(db_invoice)] == [first.id, second.id]
    assert await waiting_parked(db_invoice) == []
