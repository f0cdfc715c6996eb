"""What Stripe took is what is booked and told, and `clinicpay verify` decides whose a charge is as consumers do."""

from typing import Any
from uuid import UUID

import pytest

from contracts.payment import PaymentSucceeded
from deploy.verify import verify
from services.payment import jobs
from tests.service.test_foreign_events import sandbox_post
from tests.service.verify_world import Whole, a_whole
from tests.world import in_own_task, money, waiting_parked


async def changed(whole: Whole, started: Any, minor: int) -> str:
    """Somebody changes the amount of an intent of ours at Stripe, before the client confirms it; its id."""
    intent: str = started.json()["client_secret"].split("_secret_")[0]
    await sandbox_post(whole.desk.sandbox, f"/v1/payment_intents/{intent}", {"amount": str(minor)})
    return intent


async def confirmed(whole: Whole, started: Any) -> UUID:
    already = whole.desk.hook._count("payment_intent.succeeded")
    await whole.desk.confirm(started)
    await whole.desk.hook.until("payment_intent.succeeded", already + 1)
    return UUID(started.json()["payment_id"])


@pytest.mark.parametrize("heard", ["by webhook", "by the sweeper"])
@pytest.mark.parametrize(
    ("taken", "first", "second", "surplus"),
    [(3_500, 1_000, 2_000, 500), (3_000, 1_000, 2_000, 0), (1_700, 1_000, 700, 0), (600, 600, 0, 0)],
)
async def test_the_amount_that_stripe_took_is_booked(
    postgres: str, roles: dict[str, str], taken: int, first: int, second: int, surplus: int, heard: str
) -> None:
    async with in_own_task(a_whole(postgres, roles)) as whole:
        one, two = await whole.owes(1_000), await whole.owes(2_000)
        started = await whole.desk.start((one, money(1_000)), (two, money(2_000)))
        await changed(whole, started, taken)
        payment_id = await confirmed(whole, started)
        if heard == "by webhook":
            await whole.desk.hear()
        else:
            await whole.dbs["payment"].admin.execute(
                "UPDATE payments SET checked_at = now() - interval '1 day'"
            )
            await jobs.sweep_payments(whole.desk.worker, whole.desk.stripe)
        await whole.pump()

        page = await whole.desk.payment(payment_id)
        invoices = [await whole.world.get(f"/invoices/{each}") for each in (one, two)]
        receipt = [
            event
            for event in whole.said.values()
            if isinstance(event, PaymentSucceeded) and event.payment_id == payment_id
        ]
        parked = await waiting_parked(whole.dbs["payment"])
        report = await verify(whole.access, wait=0)

    assert (page["status"], page["amount"]["minor"]) == ("succeeded", taken)
    assert (page["surplus"] or {"minor": 0})["minor"] == surplus
    assert [each["settled"]["minor"] for each in invoices] == [first, second]
    assert [each["being_checked"] for each in invoices] == [False, False]
    assert [event.amount.minor for event in receipt] == [taken]
    assert parked == []
    assert not report.breaches, str(report)


async def test_the_rest_of_a_payment_that_took_less_is_paid_by_another(
    postgres: str, roles: dict[str, str]
) -> None:
    async with in_own_task(a_whole(postgres, roles)) as whole:
        invoice = await whole.owes(5_000)
        started = await whole.desk.start((invoice, money(5_000)))
        await changed(whole, started, 2_000)
        await confirmed(whole, started)
        await whole.desk.hear()
        await whole.pump()
        part = await whole.world.get(f"/invoices/{invoice}")
        await whole.pays((invoice, money(3_000)))
        paid = await whole.world.get(f"/invoices/{invoice}")
        report = await verify(whole.access, wait=0)

    assert (part["status"], part["settled"]["minor"]) == ("part_paid", 2_000)
    assert (paid["status"], paid["settled"]["minor"]) == ("paid", 5_000)
    assert not report.breaches, str(report)


async def test_what_was_taken_above_what_was_owed_can_be_refunded(
    postgres: str, roles: dict[str, str]
) -> None:
    async with in_own_task(a_whole(postgres, roles)) as whole:
        invoice = await whole.owes(5_000)
        started = await whole.desk.start((invoice, money(5_000)))
        await changed(whole, started, 9_000)
        payment_id = await confirmed(whole, started)
        await whole.desk.hear()
        await whole.pump()
        await whole.refunds(4_000, payment_id=payment_id)
        report = await verify(whole.access, wait=0)

    assert not report.breaches, str(report)
