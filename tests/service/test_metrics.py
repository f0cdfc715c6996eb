"""Metrics of what waits and of what was done, on a real database, as the role that reads them in production."""

import pytest

from contracts.events.payment import PaymentSettled
from services.chassis.ids import new_id
from services.chassis.jobs.jobs import Jobs
from services.chassis.jobs.sampling import of_database
from services.chassis.kafka import samples
from services.chassis.kafka.consume import Consumer, Handler
from services.chassis.outbox import outbox
from services.chassis.queue import queue
from services.chassis.queue.domain import NewTask
from tests.builders.events import record
from tests.builders.payments import a_settlement
from tests.builders.values import eur
from tests.running.databases import ServiceDb
from tests.running.metrics import value
from tests.running.system import until

GROUP = {"messaging_consumer_group_name": "measured", "messaging_destination_name": "payment.settled"}


def counted(name: str, **labels: str) -> float:
    return value(name, **labels) or 0.0


async def test_the_worker_shows_how_much_waits_in_the_outbox_and_for_how_long(db_payment: ServiceDb) -> None:
    await of_database(db_payment.worker, samples.READS).look()
    assert (value("clinicpay.outbox.events"), value("clinicpay.outbox.age")) == (0, 0)

    async with db_payment.worker.worker_tx() as tx:
        await outbox.add(tx, [(a_settlement(new_id(), new_id(), eur(n)), None) for n in (1, 2)])
    await db_payment.admin.execute(
        "UPDATE outbox SET created_at = now() - interval '90 s' WHERE seq = (SELECT min(seq) FROM outbox)"
    )
    await of_database(db_payment.worker, samples.READS).look()

    assert value("clinicpay.outbox.events") == 2
    assert 90 <= counted("clinicpay.outbox.age") < 150


async def test_the_worker_may_read_nothing_else_of_the_outbox(db_payment: ServiceDb) -> None:
    async with db_payment.worker.worker_tx() as tx:
        await outbox.add(tx, [(a_settlement(new_id(), new_id(), eur(1)), None)])

    with pytest.raises(Exception, match="permission denied"):
        async with db_payment.worker.worker_tx() as tx:
            await tx.fetch("SELECT payload FROM outbox")


async def test_tasks_that_are_due_are_shown_by_kind(db_payment: ServiceDb) -> None:
    async with db_payment.worker.worker_tx() as tx:
        await queue.enqueue(tx, "measured_kind", [NewTask(new_id(), new_id()), NewTask(new_id(), new_id())])
    await db_payment.admin.execute("UPDATE tasks SET due_at = due_at - interval '10 min'")

    await of_database(db_payment.worker, samples.READS).look()

    assert value("clinicpay.queue.tasks", kind="measured_kind") == 2
    assert 600 <= counted("clinicpay.queue.overdue", kind="measured_kind") < 660


async def test_open_exceptions_are_shown_by_kind(db_payment: ServiceDb) -> None:
    await db_payment.admin.execute(
        """
        INSERT INTO exceptions
            (clinic_id, id, kind, subject_id, cause, detail, created_at, settled_at, settled_by, settled_how)
        SELECT gen_random_uuid(), gen_random_uuid(), 'measured', gen_random_uuid(), 'none', '{}',
            now() - interval '2 days',
            CASE WHEN n = 3 THEN now() END, CASE WHEN n = 3 THEN gen_random_uuid() END, CASE WHEN n = 3 THEN 'so' END
        FROM generate_series(1, 3) AS n
        """
    )

    await of_database(db_payment.worker, samples.READS).look()

    assert value("clinicpay.exceptions", kind="measured") == 2
    assert counted("clinicpay.exceptions.age", kind="measured") == pytest.approx(2 * 86_400, abs=60)


async def test_a_consumer_counts_what_it_applied_and_parked_and_measures_what_was_applied(
    db_invoice: ServiceDb,
) -> None:
    value("clinicpay.event.parked")
    measured: list[PaymentSettled] = []

    async def apply(_: object, events: list[PaymentSettled]) -> None:
        if any(event.amount == eur(2) for event in events):
            raise ValueError

    handler = Handler((PaymentSettled,), "measured", apply, measure=measured.extend)
    before = counted("messaging.client.consumed.messages", **GROUP)
    records = [record(a_settlement(new_id(), new_id(), eur(n)), n) for n in (1, 2, 3)]

    consumer = Consumer(db_invoice.worker, "measured", (handler,))
    await consumer.consume(records)
    await consumer.consume(records[:1])  # known: neither applied nor counted again

    assert [event.amount for event in measured] == [eur(1), eur(3)]
    assert counted("messaging.client.consumed.messages", **GROUP) - before == 2
    assert value("clinicpay.event.parked", group="measured", reason="unexpected_error") == 1
    await of_database(db_invoice.worker, samples.READS).look()
    assert value("clinicpay.parked.events", group="measured", reason="unexpected_error") == 1
    assert counted("clinicpay.parked.age") > 0


async def test_a_reading_that_fails_shows_nothing(db_payment: ServiceDb) -> None:
    sampler = of_database(db_payment.worker, samples.READS)
    await sampler.look()
    assert value("clinicpay.outbox.events") == 0

    await db_payment.admin.execute("ALTER TABLE outbox RENAME TO elsewhere")
    await sampler.look()

    assert value("clinicpay.outbox.events") is None
    assert value("clinicpay.incident.open", incident="sampling_failed", part="database") == 1


async def test_runs_of_jobs_are_counted(db_payment: ServiceDb) -> None:
    value("clinicpay.job.run")
    jobs = Jobs(db_payment.worker)

    async def works() -> None:
        pass

    async def fails() -> None:
        raise ValueError

    jobs.every(0.05, "measured_works", works)
    jobs.every(0.05, "measured_fails", fails)
    async with jobs.running():
        await until(lambda: value("clinicpay.job.run", timed_job="measured_works", outcome="done"))
        await until(lambda: value("clinicpay.job.run", timed_job="measured_fails", outcome="failed"))
