"""Booking of payment's events: real database, real wrapper, real decoding."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from contracts.events.envelope import Method, event_id
from contracts.events.invoice import InvoicePaid, InvoiceState, InvoiceUpdated
from contracts.events.payment import (
    PaymentCanceled,
    PaymentFailed,
    PaymentProcessing,
    PaymentSettled,
    PaymentUpdated,
)
from services.chassis.ids import new_id
from services.invoice import consumers
from services.invoice.invoices import actions
from tests.builders.events import deliver_records, outbox_events, record
from tests.builders.events import waiting_parked as parked
from tests.builders.payments import a_payment, a_settlement
from tests.builders.values import eur, money
from tests.running.databases import ServiceDb
from tests.running.invoice import InvoiceService, an_invoice_service

VISA = Method(kind="card", brand="visa", last4="4242")


@pytest.fixture
async def world(db_invoice: ServiceDb) -> AsyncIterator[InvoiceService]:
    async with an_invoice_service(db_invoice) as made:
        yield made


def settled(world: InvoiceService, invoice: Any, minor: int, **more: Any) -> PaymentSettled:
    amount = money(minor, more.pop("currency", "EUR"))
    return a_settlement(world.clinic_id, UUID(invoice["id"]), amount, **more)


async def now(world: InvoiceService, invoice: Any) -> Any:
    return await world.get(f"/invoices/{invoice['id']}")


async def facts(world: InvoiceService, invoice: Any) -> Sequence[tuple[str, int, str]]:
    """(topic, version, status) of each event about the invoice after it was issued."""
    published = [event for event in await outbox_events(world.db) if isinstance(event, InvoiceState)]
    mine = [event for event in published if str(event.invoice_id) == invoice["id"]]
    return [(event.topic.name, event.version, event.status) for event in mine][1:]


async def test_a_settlement_pays_the_invoice(world: InvoiceService) -> None:
    invoice = await world.issue(12_500)
    movement = settled(world, invoice, 12_500)

    await world.deliver(movement)

    paid = await now(world, invoice)
    assert (paid["status"], paid["due"]["minor"], paid["settled"]["minor"]) == ("paid", 0, 12_500)
    assert (paid["methods"], paid["overdue"]) == ([], False)
    assert paid["paid_with"] == {"kind": "card", "brand": "visa", "last4": "4242"}
    assert [(each["id"], each["amount"]["minor"]) for each in paid["movements"]] == [
        (str(movement.id), 12_500)
    ]
    assert await facts(world, invoice) == [(InvoicePaid.topic.name, 2, "paid")]


async def test_a_redelivered_settlement_books_once(world: InvoiceService) -> None:
    invoice = await world.issue(12_500)
    movement = settled(world, invoice, 5_000)

    await world.deliver(movement, movement)
    await world.deliver(movement)

    assert (await now(world, invoice))["settled"]["minor"] == 5_000
    assert len(await facts(world, invoice)) == 1


async def test_a_settlement_books_once_even_when_the_inbox_has_forgotten_it(world: InvoiceService) -> None:
    invoice = await world.issue(12_500)
    movement = settled(world, invoice, 5_000)
    await world.deliver(movement)
    await world.db.admin.execute("DELETE FROM inbox")

    await world.deliver(movement)

    assert (await now(world, invoice))["settled"]["minor"] == 5_000
    assert len(await facts(world, invoice)) == 1


async def test_part_payments_and_then_the_rest(world: InvoiceService) -> None:
    invoice = await world.issue(12_500)

    await world.deliver(settled(world, invoice, 5_000))
    part = await now(world, invoice)
    await world.deliver(settled(world, invoice, 7_500))

    assert (part["status"], part["due"]["minor"], part["methods"]) == (
        "part_paid",
        7_500,
        ["card", "redirect"],
    )
    assert (await now(world, invoice))["status"] == "paid"
    assert await facts(world, invoice) == [
        (InvoiceUpdated.topic.name, 2, "part_paid"),
        (InvoicePaid.topic.name, 3, "paid"),
    ]


async def test_movements_of_one_batch_make_one_version_and_one_event(world: InvoiceService) -> None:
    one, other = await world.issue(12_500), await world.issue(800)

    await world.deliver(settled(world, one, 5_000), settled(world, other, 800), settled(world, one, 7_500))

    assert await facts(world, one) == await facts(world, other) == [(InvoicePaid.topic.name, 2, "paid")]
    assert (await now(world, one))["version"] == 2


async def test_a_reversal_opens_the_invoice_again(world: InvoiceService) -> None:
    invoice = await world.issue(12_500)
    await world.deliver(settled(world, invoice, 12_500))

    await world.deliver(settled(world, invoice, -12_500, kind="reversal"))

    again = await now(world, invoice)
    assert (again["status"], again["due"]["minor"]) == ("unpaid", 12_500)
    assert (await facts(world, invoice))[-1] == (InvoiceUpdated.topic.name, 3, "unpaid")


async def test_movements_count_whatever_their_order(world: InvoiceService) -> None:
    invoice = await world.issue(12_500)

    await world.deliver(settled(world, invoice, -500, kind="reversal"))
    await world.deliver(settled(world, invoice, 13_000))

    assert (await now(world, invoice))["status"] == "paid"


async def test_a_settlement_for_another_clinics_invoice_is_parked(world: InvoiceService) -> None:
    invoice = await world.issue(12_500)
    other_clinic, _ = await world.add_clinic("other")
    foreign = a_settlement(other_clinic, UUID(invoice["id"]), money(12_500))
    good = await world.issue(900)

    await world.deliver(foreign, settled(world, good, 900))

    assert await parked(world.db) == [("payment.settled", "invoice_not_found")]
    assert (await now(world, invoice))["status"] == "unpaid"
    assert (await now(world, good))["status"] == "paid"


async def test_settlements_that_make_no_sense_are_parked_by_name(world: InvoiceService) -> None:
    invoice, good = await world.issue(12_500), await world.issue(900)
    unknown = a_settlement(world.clinic_id, new_id(), money(100))

    await world.deliver(settled(world, invoice, 12_500, currency="USD"), unknown, settled(world, good, 900))

    assert [reason for _, reason in await parked(world.db)] == ["wrong_currency", "invoice_not_found"]
    assert (await now(world, invoice))["settled"]["minor"] == 0
    assert (await now(world, good))["status"] == "paid"


async def test_an_invoice_is_on_its_way_until_the_payment_ends(world: InvoiceService) -> None:
    invoice, payment_id = await world.issue(12_500), new_id()
    invoice_id = UUID(invoice["id"])

    await world.deliver(
        a_payment(
            PaymentProcessing, world.clinic_id, (invoice_id, eur(125)), version=2, payment_id=payment_id
        )
    )
    during = await now(world, invoice)
    await world.deliver(
        a_payment(PaymentFailed, world.clinic_id, (invoice_id, eur(125)), version=3, payment_id=payment_id)
    )
    after = await now(world, invoice)

    assert (during["status"], during["processing"], during["methods"]) == ("processing", True, [])
    assert (after["status"], after["processing"]) == ("unpaid", False)
    assert [status for _, _, status in await facts(world, invoice)] == ["processing", "unpaid"]


async def test_settling_ends_on_its_way(world: InvoiceService) -> None:
    invoice, payment_id = await world.issue(12_500), new_id()
    processing = a_payment(
        PaymentProcessing, world.clinic_id, (UUID(invoice["id"]), eur(125)), version=2, payment_id=payment_id
    )

    await world.deliver(processing)
    await world.deliver(settled(world, invoice, 5_000, payment_id=payment_id))

    assert (await now(world, invoice))["status"] == "part_paid"


@pytest.mark.parametrize("batches", [1, 2])
async def test_a_late_processing_does_not_undo_what_came_after_it(
    world: InvoiceService, batches: int
) -> None:
    canceled, paid = await world.issue(12_500), await world.issue(12_500)
    gone, done = new_id(), new_id()
    first = (
        a_payment(
            PaymentCanceled, world.clinic_id, (UUID(canceled["id"]), eur(125)), version=3, payment_id=gone
        ),
        settled(world, paid, 5_000, payment_id=done),
    )
    late = (
        a_payment(
            PaymentProcessing, world.clinic_id, (UUID(canceled["id"]), eur(125)), version=2, payment_id=gone
        ),
        a_payment(
            PaymentProcessing, world.clinic_id, (UUID(paid["id"]), eur(125)), version=2, payment_id=done
        ),
    )
    for batch in [first + late] if batches == 1 else [first, late]:
        await world.deliver(*batch)

    assert (await now(world, canceled))["status"] == "unpaid"
    assert (await now(world, paid))["status"] == "part_paid"


async def test_one_of_two_payments_that_ends_leaves_the_other_on_its_way(world: InvoiceService) -> None:
    invoice, one, other = await world.issue(12_500), new_id(), new_id()
    for payment_id in (one, other):
        await world.deliver(
            a_payment(
                PaymentProcessing,
                world.clinic_id,
                (UUID(invoice["id"]), eur(125)),
                version=1,
                payment_id=payment_id,
            )
        )

    await world.deliver(
        a_payment(
            PaymentCanceled, world.clinic_id, (UUID(invoice["id"]), eur(125)), version=2, payment_id=one
        )
    )

    assert (await now(world, invoice))["status"] == "processing"
    assert len(await facts(world, invoice)) == 1


async def test_a_decline_that_changes_nothing_says_nothing(world: InvoiceService) -> None:
    invoice = await world.issue(12_500)

    await world.deliver(
        a_payment(
            PaymentFailed, world.clinic_id, (UUID(invoice["id"]), eur(125)), version=2, payment_id=new_id()
        )
    )

    assert await facts(world, invoice) == []


def an_update(world: InvoiceService, *settled: PaymentSettled, card: Method = VISA) -> PaymentUpdated:
    """The event with which payment adds the method to these movements' payment."""
    movement, now = settled[0], datetime.now(UTC)
    return PaymentUpdated(
        id=event_id(now, PaymentUpdated.topic.name, movement.payment_id),
        time=now,
        clinic_id=world.clinic_id,
        payment_id=movement.payment_id,
        client_id=world.client_id,
        method=card,
        invoices=tuple(each.invoice_id for each in settled),
    )


@pytest.mark.parametrize("order", ["settled first", "updated first", "one batch", "updated alone first"])
@pytest.mark.parametrize(
    "known", [None, Method(kind="card"), Method(kind="card", brand="amex", last4="0005")]
)
async def test_how_it_was_paid_is_shown_whatever_comes_first(
    world: InvoiceService, order: str, known: Method | None
) -> None:
    one, two, other = [await world.issue(12_500) for _ in range(3)]
    payment_id = new_id()
    movements = [
        settled(world, invoice, 12_500, payment_id=payment_id).model_copy(update={"method": known})
        for invoice in (one, two)
    ]
    beside = settled(world, other, 12_500).model_copy(update={"method": known})
    update = an_update(world, *movements)
    batches: dict[str, list[list[Any]]] = {
        "settled first": [[*movements, beside], [update], [update]],
        "updated first": [[update], [*movements, beside]],
        "one batch": [[*movements, update, beside]],
        "updated alone first": [[update], [movements[0]], [movements[1], beside]],
    }

    for batch in batches[order]:
        await world.deliver(*batch)

    for invoice in (one, two):
        shown = await now(world, invoice)
        assert shown["paid_with"] == {"kind": "card", "brand": "visa", "last4": "4242"}
        assert (shown["status"], shown["settled"]["minor"], shown["version"]) == ("paid", 12_500, 2)
        assert await facts(world, invoice) == [(InvoicePaid.topic.name, 2, "paid")]
    left = (await now(world, other))["paid_with"]
    assert left == (known.model_dump() if known else None)
    assert await parked(world.db) == []


async def test_an_update_that_comes_early_leaves_its_invoice_as_it_is(world: InvoiceService) -> None:
    fresh, on_its_way = await world.issue(12_500), await world.issue(12_500)
    coming, late = settled(world, fresh, 12_500), settled(world, on_its_way, 12_500)
    processing = a_payment(
        PaymentProcessing, world.clinic_id, (late.invoice_id, eur(125)), version=1, payment_id=late.payment_id
    )
    await world.deliver(processing)

    await world.deliver(an_update(world, coming), an_update(world, late))

    assert (await now(world, fresh))["status"] == "unpaid"
    assert (await now(world, on_its_way))["status"] == "processing"
    await world.deliver(coming, late)
    assert {(await now(world, each))["status"] for each in (fresh, on_its_way)} == {"paid"}


async def test_an_update_shows_on_no_other_clinics_and_no_other_kind_of_movement(
    world: InvoiceService,
) -> None:
    invoice = await world.issue(12_500)
    paid = settled(world, invoice, 12_500)
    back = settled(world, invoice, -500, payment_id=paid.payment_id, kind="reversal")
    await world.deliver(paid, back)
    other_clinic, _ = await world.add_clinic("other")
    amex = Method(kind="card", brand="amex", last4="0005")
    foreign = an_update(world, paid, card=amex).model_copy(update={"clinic_id": other_clinic})

    await world.deliver(foreign)
    assert await parked(world.db) == [("payment.updated", "invoice_not_found")]
    assert (await now(world, invoice))["paid_with"]["brand"] == "visa"

    await world.deliver(an_update(world, paid, card=amex))
    shown = await world.db.admin.fetch("SELECT kind, method_brand FROM movements ORDER BY kind")
    assert [tuple(row) for row in shown] == [("payment", "amex"), ("reversal", "visa")]


async def test_an_update_and_its_movement_at_the_same_moment_meet(world: InvoiceService) -> None:
    invoices = [await world.issue(12_500) for _ in range(12)]
    movements = [settled(world, invoice, 12_500).model_copy(update={"method": None}) for invoice in invoices]

    await asyncio.gather(
        *(world.deliver(event) for movement in movements for event in (movement, an_update(world, movement)))
    )

    assert {((await now(world, each))["paid_with"] or {}).get("last4") for each in invoices} == {"4242"}


async def test_parallel_workers_book_every_movement_once(world: InvoiceService) -> None:
    """Batches of different movements of the same invoices, and then each movement again."""
    invoices = [await world.issue(10_000) for _ in range(4)]
    batches = [[settled(world, invoice, 1_000) for invoice in invoices] for _ in range(5)]

    await asyncio.gather(*(world.deliver(*order) for batch in batches for order in (batch, batch[::-1])))

    shown = [await now(world, invoice) for invoice in invoices]
    assert [(each["settled"]["minor"], each["version"]) for each in shown] == [(5_000, 6)] * 4
    assert await parked(world.db) == []


async def test_a_batch_takes_as_many_statements_for_fifty_events_as_for_one(world: InvoiceService) -> None:
    invoices = [await world.issue(10_000) for _ in range(25)]

    def both(invoice: Any) -> list[Any]:
        processing = a_payment(
            PaymentProcessing,
            world.clinic_id,
            (UUID(invoice["id"]), eur(125)),
            version=1,
            payment_id=new_id(),
        )
        return [settled(world, invoice, 1_000), processing]

    connection: Any = await asyncpg.connect(world.db.worker_dsn)
    async with connection.transaction():
        await actions.book_payments(connection, both(invoices[0]))  # the first use looks up types
        for_one = await statements(connection, both(invoices[1]))
        for_all = await statements(connection, [each for invoice in invoices[2:] for each in both(invoice)])
    await connection.close()

    assert for_all == for_one < 10
    assert {(await now(world, invoice))["status"] for invoice in invoices} == {"processing"}


async def statements(connection: Any, events: Sequence[Any]) -> int:
    """The number of statements that booking these events needs."""
    seen: list[str] = []

    def note(logged: Any) -> None:
        seen.append(logged.query)

    connection.add_query_logger(note)
    await actions.book_payments(connection, events)
    await asyncio.sleep(0)  # asyncpg calls its loggers in the loop's next turn
    connection.remove_query_logger(note)
    return len(seen)


async def test_records_of_another_topic_or_key_are_parked(world: InvoiceService) -> None:
    invoice = await world.issue(12_500)
    good = record(settled(world, invoice, 12_500))
    wrong_key = type(good)(good.topic, good.partition, 7, str(new_id()).encode(), good.value)

    await deliver_records(world.db.worker, consumers, [wrong_key])

    assert await parked(world.db) == [("payment.settled", "undecodable")]
    assert (await now(world, invoice))["status"] == "unpaid"


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("objects", [("pi_1", "pi_1"), (None, "pi_1"), ("pi_1", None)])
async def test_one_movement_under_two_ids_is_booked_once(
    world: InvoiceService, objects: tuple[str | None, str | None], apart: bool
) -> None:
    """An earlier release gave it another id, and no object of Stripe's."""
    invoice, payment_id = await world.issue(12_500), new_id()
    one, other = (
        settled(world, invoice, 5_000, payment_id=payment_id).model_copy(update={"stripe_object_id": name})
        for name in objects
    )

    for batch in ((one,), (other,)) if apart else ((one, other),):
        await world.deliver(*batch)

    shown = await now(world, invoice)
    assert (shown["status"], shown["settled"]["minor"]) == ("part_paid", 5_000)
    assert len(await facts(world, invoice)) == 1


@pytest.mark.parametrize(
    "changes", [{"stripe_object_id": "pi_2"}, {"kind": "reversal"}, {"payment_id": new_id()}]
)
async def test_movements_that_differ_in_object_or_kind_are_two(
    world: InvoiceService, changes: dict[str, Any]
) -> None:
    invoice, payment_id = await world.issue(12_500), new_id()
    one = settled(world, invoice, 5_000, payment_id=payment_id).model_copy(
        update={"stripe_object_id": "pi_1"}
    )
    other = settled(world, invoice, 5_000, payment_id=payment_id).model_copy(
        update={"stripe_object_id": "pi_1" if "kind" in changes else None} | changes
    )

    await world.deliver(one, other)

    assert (await now(world, invoice))["settled"]["minor"] == 10_000
