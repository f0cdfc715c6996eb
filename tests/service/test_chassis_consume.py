"""The wrapper around every consumer: claims, parking, replay, retries. On a real database of a real service."""

import asyncio
from collections.abc import Sequence
from types import ModuleType
from uuid import UUID

import asyncpg
import pytest

from contracts.events.clinic import ClinicUpdated
from contracts.events.payment import PaymentSettled
from contracts.money import Money
from services.chassis.db.database import Connection
from services.chassis.errors import DomainError
from services.chassis.ids import new_id
from services.chassis.kafka import inbox
from services.chassis.kafka.consume import Consumer, Handler, consumers_of, consumes
from services.chassis.kafka.park import Record
from services.chassis.outbox import outbox
from tests.builders.clinics import a_clinic
from tests.builders.events import outbox_events, record, waiting_parked
from tests.builders.payments import a_settlement
from tests.builders.values import eur
from tests.running.databases import ServiceDb
from tests.service.waiting import until_waiting


class Refused(DomainError):
    code = "refused"


class Books:
    """A consumer with an effect that can be counted: one row in the outbox for each movement it applies."""

    def __init__(self, db: ServiceDb, refuse: Money | None = None) -> None:
        self.refuse = refuse
        self.batches: list[int] = []
        self.consumer = Consumer(db.worker, "books", (Handler((PaymentSettled,), "books", self.apply),))

    async def apply(self, tx: Connection, settled: Sequence[PaymentSettled]) -> None:
        self.batches.append(len(settled))
        await outbox.add(tx, [(event, event) for event in settled])
        if any(event.amount == self.refuse for event in settled):
            raise Refused("This amount is refused.")


async def test_a_batch_is_applied_as_one_set_and_a_redelivery_not_at_all(db_invoice: ServiceDb) -> None:
    books = Books(db_invoice)
    records = [record(a_settlement(new_id(), new_id(), eur(n)), n) for n in range(1, 6)]

    await books.consumer.consume(records)
    await books.consumer.consume(records)

    assert books.batches == [5]
    assert len(await outbox_events(db_invoice)) == 5


async def test_the_same_event_twice_in_one_batch_is_applied_once(db_invoice: ServiceDb) -> None:
    books = Books(db_invoice)
    settled = a_settlement(new_id(), new_id(), eur(1))

    await books.consumer.consume([record(settled, 1), record(settled, 2)])

    assert books.batches == [1]


async def test_two_handlers_of_one_batch_at_once_have_one_effect(db_invoice: ServiceDb) -> None:
    books = Books(db_invoice)
    records = [record(a_settlement(new_id(), new_id(), eur(n)), n) for n in range(1, 30)]

    await asyncio.gather(*(books.consumer.consume(records) for _ in range(4)))

    assert len(await outbox_events(db_invoice)) == 29


async def test_one_refusal_parks_that_event_alone_and_undoes_its_half_done_work(
    db_invoice: ServiceDb,
) -> None:
    books = Books(db_invoice, refuse=eur(2))
    records = [record(a_settlement(new_id(), new_id(), eur(n)), n) for n in range(1, 4)]

    await books.consumer.consume(records)

    assert await waiting_parked(db_invoice) == [("payment.settled", "refused")]
    assert sorted(
        e.amount.minor for e in await outbox_events(db_invoice) if isinstance(e, PaymentSettled)
    ) == [100, 300]


async def test_a_parked_movement_holds_back_none(db_invoice: ServiceDb) -> None:
    books = Books(db_invoice, refuse=eur(1))
    clinic, invoice = new_id(), new_id()
    first, second, third = (a_settlement(clinic, invoice, eur(n)) for n in (1, 2, 3))

    await books.consumer.consume([record(first, 1), record(second, 2)])
    await books.consumer.consume([record(third, 3)])

    assert await waiting_parked(db_invoice) == [("payment.settled", "refused")]
    assert [e.id for e in await outbox_events(db_invoice)] == [second.id, third.id]


@pytest.mark.parametrize("same_batch", [True, False])
async def test_what_never_was_an_event_holds_back_none_of_its_key(
    db_invoice: ServiceDb, same_batch: bool
) -> None:
    books = Books(db_invoice)
    settled = a_settlement(new_id(), new_id(), eur(1))
    garbage = Record("payment.settled", 0, 1, str(settled.key).encode(), b"\xff garbage")
    real = record(settled, 2)

    for batch in [[garbage, real]] if same_batch else [[garbage], [real]]:
        await books.consumer.consume(batch)

    assert [e.id for e in await outbox_events(db_invoice)] == [settled.id]


async def test_a_replay_applies_that_event_alone_and_once(db_invoice: ServiceDb) -> None:
    books = Books(db_invoice, refuse=eur(1))
    clinic, invoice = new_id(), new_id()
    first, other = (a_settlement(clinic, invoice, eur(1)) for _ in range(2))
    await books.consumer.consume([record(first, 1), record(other, 2)])
    books.refuse = None

    async with db_invoice.admin.acquire() as blocker, blocker.transaction():
        await blocker.execute("SELECT FROM parked WHERE id = 1 FOR UPDATE")  # so that all have begun
        replays = [asyncio.create_task(books.consumer.replay(1)) for _ in range(3)]
        await until_waiting(db_invoice, *replays)
    replayed = await asyncio.gather(*replays)

    assert sorted(replayed) == [False, False, True]
    assert [e.id for e in await outbox_events(db_invoice)] == [first.id]
    assert await waiting_parked(db_invoice) == [("payment.settled", "refused")]


async def test_a_replay_that_refuses_still_changes_nothing(db_invoice: ServiceDb) -> None:
    books = Books(db_invoice, refuse=eur(1))
    await books.consumer.consume([record(a_settlement(new_id(), new_id(), eur(1)))])
    only = await db_invoice.admin.fetchval("SELECT max(id) FROM parked")

    with pytest.raises(Refused):
        await books.consumer.replay(only)

    assert await waiting_parked(db_invoice) == [("payment.settled", "refused")]
    assert await outbox_events(db_invoice) == []


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"specversion":"1.0"}',
        b"[" * 10_000,
        b'{"a":"\\u0000"}',
    ],
    ids=["tombstone", "empty", "cut", "list", "null", "not-utf8", "no-data", "deep", "nul"],
)
async def test_what_cannot_be_decoded_is_parked_whole(db_invoice: ServiceDb, value: bytes | None) -> None:
    books = Books(db_invoice)
    nonsense = Record("payment.settled", 3, 7, None, value, (("h", None), ("x", b"\xff")))
    good = record(a_settlement(new_id(), new_id(), eur(1)))

    await books.consumer.consume([nonsense, good])

    row = await db_invoice.admin.fetchrow('SELECT value, reason, headers, "offset" FROM parked')
    assert row is not None
    assert (row["value"], row["reason"], row["offset"]) == (value, "undecodable", 7)
    assert row["headers"] == '[["h", null], ["x", "ff"]]'
    assert len(await outbox_events(db_invoice)) == 1


@pytest.mark.parametrize("key", [b"other", str(UUID(int=7)).encode(), b"", None])
async def test_a_record_whose_key_is_not_its_aggregates_is_parked(
    db_invoice: ServiceDb, key: bytes | None
) -> None:
    books = Books(db_invoice)
    sent = record(a_settlement(new_id(), new_id(), eur(1)))

    await books.consumer.consume([Record(sent.topic, 0, 0, key, sent.value)])

    assert await waiting_parked(db_invoice) == [("payment.settled", "undecodable")]


async def test_a_newer_state_event_supersedes_a_parked_one(db_invoice: ServiceDb) -> None:
    refuse = True

    async def apply(tx: Connection, events: Sequence[ClinicUpdated]) -> None:
        if refuse:
            raise Refused("not now")

    consumer = Consumer(db_invoice.worker, "clinics", (Handler((ClinicUpdated,), "clinics", apply),))
    first = a_clinic()
    await consumer.consume([record(first)])
    refuse = False

    await consumer.consume([record(a_clinic(first.clinic_id, version=2), 1)])

    assert await db_invoice.admin.fetchval("SELECT state FROM parked") == "superseded"


async def test_a_replay_and_a_newer_event_of_the_same_aggregate_never_wait_for_each_other(
    db_invoice: ServiceDb,
) -> None:
    """A batch that had locked the aggregate first and a replay that had locked its parked row could do so."""
    refuse, deadlocks, clinic = True, 0, new_id()
    await db_invoice.admin.execute("CREATE TABLE aggregates AS SELECT $1::uuid AS id", clinic)
    await db_invoice.admin.execute("GRANT ALL ON aggregates TO PUBLIC")

    async def apply(tx: Connection, events: Sequence[ClinicUpdated]) -> None:
        nonlocal deadlocks
        if refuse:
            raise Refused("not now")
        try:
            await tx.execute("SELECT FROM aggregates FOR UPDATE")
        except asyncpg.DeadlockDetectedError:
            deadlocks += 1
            raise
        await tx.execute("SELECT pg_sleep(0.02)")

    consumer = Consumer(db_invoice.worker, "clinics", (Handler((ClinicUpdated,), "clinics", apply),))
    older = [a_clinic(clinic, version=version) for version in range(1, 20, 2)]
    for event in older:
        refuse = True
        await consumer.consume([record(event, event.version)])
        refuse = False
        parked_id = await db_invoice.admin.fetchval("SELECT max(id) FROM parked")
        newer = record(a_clinic(clinic, version=event.version + 1), event.version + 1)
        await asyncio.gather(consumer.replay(parked_id), consumer.consume([newer]))

    states = await db_invoice.admin.fetch("SELECT state FROM parked")
    assert {row["state"] for row in states} <= {"replayed", "superseded"}
    assert (len(states), deadlocks) == (len(older), 0)
    met = await db_invoice.admin.fetchval(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    )
    assert met == 0


async def test_data_that_no_table_takes_is_parked_and_never_retried_for_ever(db_invoice: ServiceDb) -> None:
    async def apply(tx: Connection, events: Sequence[PaymentSettled]) -> None:
        await tx.execute("SELECT 1 / 0")

    consumer = Consumer(db_invoice.worker, "broken", (Handler((PaymentSettled,), "broken", apply),))

    await consumer.consume([record(a_settlement(new_id(), new_id(), eur(1)))])

    assert await waiting_parked(db_invoice) == [("payment.settled", "unexpected_error")]


@pytest.mark.parametrize("arguments", [("one",), (1, 2)], ids=["a wrong type", "too many"])
async def test_a_record_that_asyncpg_refuses_is_parked_and_never_retried_for_ever(
    db_invoice: ServiceDb, arguments: tuple[object, ...]
) -> None:
    async def apply(tx: Connection, events: Sequence[PaymentSettled]) -> None:
        await tx.execute("SELECT $1::int", *arguments)

    consumer = Consumer(db_invoice.worker, "broken", (Handler((PaymentSettled,), "broken", apply),))

    await consumer.consume([record(a_settlement(new_id(), new_id(), eur(1)))])

    assert await waiting_parked(db_invoice) == [("payment.settled", "unexpected_error")]


async def test_a_database_error_is_retried_and_parks_nothing(db_invoice: ServiceDb) -> None:
    failures = [asyncpg.DeadlockDetectedError("deadlock"), ConnectionResetError("gone")]
    applied: list[PaymentSettled] = []

    async def apply(tx: Connection, events: Sequence[PaymentSettled]) -> None:
        if failures:
            raise failures.pop()
        applied.extend(events)

    consumer = Consumer(db_invoice.worker, "flaky", (Handler((PaymentSettled,), "flaky", apply),))

    await consumer.consume([record(a_settlement(new_id(), new_id(), eur(1)))])

    assert len(applied) == 1
    assert await waiting_parked(db_invoice) == []


async def test_a_database_error_parks_nothing_while_a_refused_batch_runs_one_by_one(
    db_invoice: ServiceDb,
) -> None:
    failures = [ConnectionResetError("gone")]
    applied: list[PaymentSettled] = []

    async def apply(tx: Connection, events: Sequence[PaymentSettled]) -> None:
        if len(events) > 1:
            raise Refused("Not all of them at once.")
        if failures:
            raise failures.pop()
        applied.extend(events)

    consumer = Consumer(db_invoice.worker, "flaky", (Handler((PaymentSettled,), "flaky", apply),))
    settled = [a_settlement(new_id(), new_id(), eur(1)) for _ in range(2)]

    await consumer.consume([record(event, offset) for offset, event in enumerate(settled)])

    assert applied == settled
    assert await waiting_parked(db_invoice) == []


async def test_a_claim_waits_for_the_transaction_that_claims_the_same(db_invoice: ServiceDb) -> None:
    event_id = new_id()
    async with db_invoice.worker.worker_tx() as first:
        assert await inbox.claim(first, "c", [event_id]) == {event_id}

        async def second() -> set[object]:
            async with db_invoice.worker.worker_tx() as tx:
                return set(await inbox.claim(tx, "c", [event_id]))

        waiting = asyncio.create_task(second())
        done, _ = await asyncio.wait({waiting}, timeout=0.2)
        assert not done
    assert await waiting == set()


def test_handlers_of_one_group_make_one_consumer(db_invoice: ServiceDb) -> None:
    module = ModuleType("consumers")

    @consumes(PaymentSettled, group="one")
    async def on_settled(tx: Connection, events: Sequence[PaymentSettled]) -> None: ...

    @consumes(ClinicUpdated, group="one")
    async def on_clinic(tx: Connection, events: Sequence[ClinicUpdated]) -> None: ...

    vars(module).update(on_settled=on_settled, on_clinic=on_clinic)

    (consumer,) = consumers_of(module, db_invoice.worker)

    assert consumer.topics == ("payment.settled", "clinic.updated")
