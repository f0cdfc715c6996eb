"""A charge or refund of ours whose row a restore lost is adopted from Stripe, under the ids that it had."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from deploy.ops.restore.lost import adopt_all
from services.chassis.kafka import parked
from services.chassis.kafka.consume import consumers_of
from services.payment import consumers
from services.payment.adoption.sweep import adopt_lost
from tests.builders.callers import a_caller
from tests.builders.events import outbox_events, waiting_parked
from tests.builders.values import eur
from tests.running.payment import PaymentService
from tests.running.refunds import leave_credit, request_refund
from tests.service.test_foreign_events import in_form, sandbox_post, somebody_charges

LOSING = """
    SET session_replication_role = replica;
    DELETE FROM postings; DELETE FROM entries; DELETE FROM movements; DELETE FROM refunds; DELETE FROM allocations;
    DELETE FROM payments; DELETE FROM credit_balances; DELETE FROM outbox; DELETE FROM inbox;
    UPDATE payables SET settled_amount = 0;
    RESET session_replication_role;
"""
LOSING_ONE = """
    SET session_replication_role = replica;
    DELETE FROM allocations USING payments
    WHERE payment_id = payments.id AND payments.stripe_payment_intent_id = '{0}';
    DELETE FROM payments WHERE stripe_payment_intent_id = '{0}';
    RESET session_replication_role;
"""


async def lose_rows(payments: PaymentService, losing: str = LOSING) -> None:
    """Lose rows as a restore of an older dump does."""
    await payments.db.admin.execute(losing)


async def adopt(payments: PaymentService) -> None:
    replay = partial(parked.replay, consumers_of(consumers, payments.worker))
    await adopt_lost(payments.worker, payments.stripe, replay, timedelta(0))


async def ids(payments: PaymentService) -> set[Any]:
    rows = await payments.db.admin.fetch(
        """
        SELECT 'entry', id::text FROM entries UNION ALL SELECT 'movement', id::text FROM movements
        UNION ALL SELECT 'payment', id::text || account || amount || status FROM payments
        UNION ALL SELECT 'share', payable_id::text || settled_amount || state FROM allocations
        UNION ALL SELECT 'refund', id::text || amount || status FROM refunds
        """
    )
    return {tuple(row) for row in rows}


async def published(payments: PaymentService) -> set[Any]:
    return {(event.topic.name, event.id) for event in await outbox_events(payments.db)}


async def test_a_charge_whose_payment_is_lost_is_booked_as_it_was(payments: PaymentService) -> None:
    one, two = await payments.open_invoice(eur(40)), await payments.open_invoice(eur(50))
    await payments.pay((one, eur(40)), (two, eur(50)))
    booked, stated = await ids(payments), await published(payments)
    await lose_rows(payments)

    await payments.consume()
    await adopt(payments)
    await payments.consume()

    assert await waiting_parked(payments.db) == []
    assert await ids(payments) == booked
    assert {each for each in await published(payments) if each[0] != "payment.updated"} == {
        each for each in stated if each[0] != "payment.updated"
    }
    assert await payments.books() == [("receivable", -9000), ("stripe", 9000)]


async def test_only_intents_whose_rows_are_lost_are_read_again_when_all_are_adopted(
    payments: PaymentService,
) -> None:
    since = datetime.now(UTC) - timedelta(days=1)
    for _ in range(2):
        await payments.pay((await payments.open_invoice(eur(40)), eur(40)))
    lost, _kept = [intent["id"] for intent in await payments.intents()]
    await lose_rows(payments, LOSING_ONE.format(lost))
    await payments.sandbox.control("DELETE", "/requests")

    done = await adopt_all(payments.worker, payments.stripe, since)

    assert done == [(lost, "adopted")]
    asked = {request.path for request in payments.sandbox.requests("/v1/payment_intents/")}
    assert asked == {f"/v1/payment_intents/{lost}"}
    assert await adopt_all(payments.worker, payments.stripe, since) == []


async def test_a_refund_whose_row_is_lost_is_booked_as_it_was(payments: PaymentService) -> None:
    await leave_credit(payments)
    assert (await request_refund(payments, amount=1_000)).status_code == 201
    await payments.hook.until("refund.created")
    await payments.consume()
    booked = await ids(payments)
    await lose_rows(payments)

    for _ in range(3):  # the refund waits for its payment's credit
        await payments.consume()
        await adopt(payments)

    assert await waiting_parked(payments.db) == []
    assert await ids(payments) == booked


async def test_a_payment_that_another_reserves_by_now_is_booked_too(payments: PaymentService) -> None:
    """A client who paid again while the first row was lost gets the first charge as credit, or the second."""
    invoice = await payments.open_invoice(eur(40))
    await payments.pay((invoice, eur(40)))
    await lose_rows(payments)
    again = await payments.start((invoice, eur(40)))
    assert again.status_code == 201

    await payments.consume()
    await adopt(payments)

    assert await waiting_parked(payments.db) == []
    assert await payments.books() == [("receivable", -4000), ("stripe", 4000)]


async def exceptions(payments: PaymentService) -> None:
    await payments.consume()
    await adopt(payments)
    assert {reason for _, reason in await waiting_parked(payments.db)} == {"stripe_unknown_payment"}
    assert await payments.books() == []


async def test_an_account_that_the_clinic_did_not_have_is_an_exception(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(40))
    await payments.pay((invoice, eur(40)))
    await lose_rows(payments)
    await payments.db.admin.execute(
        "INSERT INTO account_choices (clinic_id, chosen_at, stripe_account_id) VALUES ($1, '-infinity', 'acct_9')",
        payments.clinic_id,
    )
    await exceptions(payments)


async def test_the_account_of_then_counts_and_not_todays(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(40))
    await payments.pay((invoice, eur(40)))
    booked = await ids(payments)
    await lose_rows(payments)
    operator = a_caller("operator", payments.clinic_id)
    answer = await payments.api.call("PUT", "/account", operator, json={"stripe_account_id": "acct_later"})
    assert answer.status_code == 200, answer.text

    await payments.consume()
    await adopt(payments)

    assert await ids(payments) == booked


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM payables",
        "INSERT INTO lost_payables SELECT clinic_id, id FROM payables",
        "UPDATE payables SET client_id = gen_random_uuid()",
    ],
)
async def test_an_invoice_that_is_not_here_or_anothers_is_an_exception(
    payments: PaymentService, change: str
) -> None:
    invoice = await payments.open_invoice(eur(40))
    await payments.pay((invoice, eur(40)))
    await lose_rows(payments, LOSING.replace("RESET", f"{change}; RESET"))
    await exceptions(payments)


async def test_copied_metadata_is_an_exception_and_books_neither(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(40))
    started = await payments.start((invoice, eur(40)))
    [intent] = await payments.intents()
    await somebody_charges(payments, intent["metadata"], 99_000)
    await lose_rows(payments)
    await exceptions(payments)
    assert started.status_code == 201


async def test_changed_metadata_is_not_adopted(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(40))
    await payments.pay((invoice, eur(40)))
    [intent] = await payments.intents()
    await lose_rows(payments)
    await payments.consume()
    changed = intent["metadata"] | {"invoice_1": f"{invoice} 100 EUR"}
    await sandbox_post(payments.sandbox, f"/v1/payment_intents/{intent['id']}", in_form(changed))
    await exceptions(payments)


async def test_its_next_version_is_above_what_was_published(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(40))
    payment_id = await payments.pay((invoice, eur(40)))
    await lose_rows(payments)
    await payments.db.admin.execute(
        "INSERT INTO published_versions VALUES ($1, $2, 7)", payments.clinic_id, payment_id
    )

    await payments.consume()
    await adopt(payments)

    [version] = {
        event.model_dump()["version"]
        for event in await outbox_events(payments.db)
        if event.topic.name == "payment.succeeded"
    }
    assert version == 8


async def test_each_exception_has_its_turn(payments: PaymentService) -> None:
    """One that cannot be adopted is not asked about again at once."""
    invoice = await payments.open_invoice(eur(40))
    await payments.pay((invoice, eur(40)))
    await lose_rows(payments, LOSING.replace("RESET", "DELETE FROM payables; RESET"))
    await payments.consume()
    await adopt(payments)

    async def never(_: int) -> bool:
        raise AssertionError("it was tried a moment ago")

    before = await payments.db.admin.fetchval("SELECT max(tried_at) FROM parked")
    await adopt_lost(payments.worker, payments.stripe, never)
    assert await payments.db.admin.fetchval("SELECT max(tried_at) FROM parked") == before
    assert isinstance(invoice, UUID)
