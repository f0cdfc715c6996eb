"""The charged sum is booked and published, and `clinicpay verify` finds a charge's owner as consumers do."""

from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from contracts.events.payment import PaymentSucceeded
from deploy.ops.verify.report import Report
from deploy.ops.verify.run import verify
from services.chassis.kafka import park, parked
from services.chassis.kafka.consume import consumers_of
from services.payment import consumers as payment_consumers
from services.payment.payments import sweep
from tests.builders.events import waiting_parked
from tests.builders.values import money
from tests.running.installation import Installation, broken
from tests.running.refunds import refund_payment
from tests.service.test_foreign_events import in_form, sandbox_post

LOST = "DELETE FROM allocations WHERE state = 'open'; DELETE FROM payments WHERE status = 'created'"


async def changed(installation: Installation, started: Any, minor: int) -> str:
    """Change the amount of our intent at Stripe before the client confirms it; returns its id."""
    intent: str = started.json()["client_secret"].split("_secret_")[0]
    await sandbox_post(installation.payments.sandbox, f"/v1/payment_intents/{intent}", {"amount": str(minor)})
    return intent


async def booked(installation: Installation, due: int, taken: int) -> tuple[UUID, UUID]:
    """(invoice, payment) of a payment whose amount was changed at Stripe before the client confirmed it."""
    invoice = await installation.open_invoice(due)
    started = await installation.payments.start((invoice, money(due)))
    await changed(installation, started, taken)
    payment_id = await confirmed(installation, started)
    await installation.payments.consume()
    await installation.pump()
    return invoice, payment_id


async def confirmed(installation: Installation, started: Any) -> UUID:
    already = installation.payments.hook.count("payment_intent.succeeded")
    await installation.payments.confirm(started)
    await installation.payments.hook.until("payment_intent.succeeded", already + 1)
    return UUID(started.json()["payment_id"])


@pytest.mark.parametrize("heard", ["by webhook", "by the sweeper"])
@pytest.mark.parametrize(
    ("taken", "first", "second", "surplus"),
    [(3_500, 1_000, 2_000, 500), (3_000, 1_000, 2_000, 0), (1_700, 1_000, 700, 0), (600, 600, 0, 0)],
)
async def test_the_amount_that_stripe_took_is_booked(
    installation: Installation, taken: int, first: int, second: int, surplus: int, heard: str
) -> None:
    one, two = await installation.open_invoice(1_000), await installation.open_invoice(2_000)
    started = await installation.payments.start((one, money(1_000)), (two, money(2_000)))
    await changed(installation, started, taken)
    payment_id = await confirmed(installation, started)
    if heard == "by webhook":
        await installation.payments.consume()
    else:
        await installation.dbs["payment"].admin.execute(
            "UPDATE payments SET checked_at = now() - interval '1 day'"
        )
        await sweep.sweep_payments(installation.payments.worker, installation.payments.stripe)
    await installation.pump()

    page = await installation.payments.payment(payment_id)
    invoices = [await installation.world.get(f"/invoices/{each}") for each in (one, two)]
    receipt = [
        event
        for event in installation.published.values()
        if isinstance(event, PaymentSucceeded) and event.payment_id == payment_id
    ]
    parked = await waiting_parked(installation.dbs["payment"])
    report = await verify(installation.access, wait=0)

    assert (page["status"], page["amount"]["minor"]) == ("succeeded", taken)
    assert (page["surplus"] or {"minor": 0})["minor"] == surplus
    assert [each["settled"]["minor"] for each in invoices] == [first, second]
    assert [each["being_checked"] for each in invoices] == [False, False]
    assert [event.amount.minor for event in receipt] == [taken]
    assert parked == []
    assert not report.breaches, str(report)


async def test_the_rest_of_a_payment_that_took_less_is_paid_by_another(installation: Installation) -> None:
    invoice, _ = await booked(installation, 5_000, taken=2_000)
    part = await installation.world.get(f"/invoices/{invoice}")
    await installation.pay((invoice, money(3_000)))
    paid = await installation.world.get(f"/invoices/{invoice}")
    report = await verify(installation.access, wait=0)

    assert (part["status"], part["settled"]["minor"]) == ("part_paid", 2_000)
    assert (paid["status"], paid["settled"]["minor"]) == ("paid", 5_000)
    assert not report.breaches, str(report)


async def test_what_was_taken_above_what_was_owed_can_be_refunded(installation: Installation) -> None:
    _, payment_id = await booked(installation, 5_000, taken=9_000)
    await installation.refund(4_000, payment_id=payment_id)
    report = await verify(installation.access, wait=0)

    assert not report.breaches, str(report)


def named(**changes: str) -> dict[str, str]:
    return {"clinic_id": str(uuid4()), "payment_id": str(uuid4()), "client_id": str(uuid4())} | changes


async def somebody(installation: Installation, path: str, metadata: dict[str, str], **form: str) -> Any:
    """Make a charge or a refund as another program of the account."""
    charged = {
        "amount": "4200",
        "currency": "eur",
        "confirm": "true",
        "payment_method": "pm_card_visa",
        "payment_method_types[]": "card",
    }
    fields = charged if path == "payment_intents" else {}
    return await sandbox_post(installation.payments.sandbox, f"/v1/{path}", fields | form | in_form(metadata))


def left_out(report: Report) -> dict[str, int]:
    return dict(
        next(result for result in report.results if result.check == "charges_are_booked").left_out.items()
    )


async def test_verify_counts_what_others_charge_and_refund_as_consumers_do(
    installation: Installation,
) -> None:
    payments = installation.payments
    already = payments.hook.count("payment_intent.succeeded")
    ours, sent = (await payments.intents())[-1]["metadata"], await a_refund_of_ours(installation)
    for metadata in (
        named(),
        named(installation="elm", signature="0" * 64),
        named(installation="harbour", signature="0" * 64),
        ours,
    ):
        await somebody(installation, "payment_intents", metadata)
    theirs = await somebody(installation, "payment_intents", {})
    await somebody(
        installation, "refunds", named(refund_id=str(uuid4())), payment_intent=theirs["id"], amount="100"
    )
    await somebody(installation, "refunds", sent, payment_intent=theirs["id"], amount="100")
    await payments.hook.until("payment_intent.succeeded", already + 5)
    await payments.consume()
    parked = await waiting_parked(installation.dbs["payment"])
    report = await verify(installation.access, wait=0)

    assert parked == []
    assert not report.breaches, str(report)
    assert left_out(report) == {
        "not ours: unsigned": 3,
        "not ours: other_installation": 1,
        "not ours: forged": 1,
        "not ours: copied": 2,
    }


async def a_refund_of_ours(installation: Installation) -> dict[str, str]:
    """The metadata of one of our refunds at Stripe."""
    sandbox = installation.payments.sandbox
    headers = {"Authorization": f"Bearer {sandbox.secret_key}"}
    async with httpx2.AsyncClient(base_url=sandbox.url, headers=headers, trust_env=False) as dashboard:
        listed = (await dashboard.get("/v1/refunds?limit=100")).json()["data"]
    found: dict[str, str] = next(each["metadata"] for each in listed if each["metadata"].get("refund_id"))
    return found


@pytest.mark.parametrize("edited", [{}, {"signature": "0" * 64}, {"payment_id": "", "installation": ""}])
async def test_verify_still_names_a_charge_of_ours_that_is_not_booked(
    installation: Installation, edited: dict[str, str]
) -> None:
    """Its webhook never came; by Stripe's id it is ours, whatever its metadata holds."""
    invoice = await installation.open_invoice(5_000)
    started = await installation.payments.start((invoice, money(5_000)))
    intent = started.json()["client_secret"].split("_secret_")[0]
    await sandbox_post(installation.payments.sandbox, f"/v1/payment_intents/{intent}", in_form(edited))
    payment_id = await confirmed(installation, started)
    report = await verify(installation.access, wait=0)

    [breach] = report.breaches
    assert (breach.check, breach.row["wrong"]) == ("charges_are_booked", "not booked")
    assert (breach.row["payment_intent"], breach.row["payment_id"]) == (intent, payment_id)


async def test_a_charge_that_an_operator_dismissed_is_counted(installation: Installation) -> None:
    payments = installation.payments
    invoice = await installation.open_invoice(5_000)
    await confirmed(installation, await payments.start((invoice, money(5_000))))
    await payments.db.admin.execute(LOST)
    await payments.consume()
    consumers = consumers_of(payment_consumers, payments.worker)
    async with payments.worker.worker_tx() as tx:
        waiting = await park.list_waiting(tx)
    for row in waiting:
        await parked.discard(consumers, row["id"], "ada", "paid back in the dashboard")
    report = await verify(installation.access, wait=0)

    assert not [breach for breach in report.breaches if breach.check == "charges_are_booked"]
    [counted] = [result.left_out for result in report.results if result.check == "charges_are_booked"]
    assert counted["dismissed by an operator"] == 1


async def test_verify_names_a_charge_of_ours_whose_row_is_lost(installation: Installation) -> None:
    invoice = await installation.open_invoice(5_000)
    started = await installation.payments.start((invoice, money(5_000)))
    payment_id = await confirmed(installation, started)
    async with broken(installation, "payment", LOST) as access:
        report = await verify(access, wait=0)

    rows = [breach.row for breach in report.breaches if breach.check == "charges_are_booked"]
    assert [(row["payment_id"], row["wrong"]) for row in rows] == [(payment_id, "not booked")]


async def test_what_was_paid_goes_back_and_the_books_agree(installation: Installation) -> None:
    """To the card, to credit, of that credit, and then the rest: an invoice of which all went back is refunded."""
    payments = installation.payments
    invoice = await installation.open_invoice(4_000)
    payment_id = await installation.pay((invoice, money(4_000)))
    for amount, to in ((1_500, "method"), (1_000, "credit"), (500, "method")):
        before = payments.hook.count("refund.created")
        assert (await refund_payment(payments, payment_id, amount=amount, to=to)).status_code == 201
        await payments.hook.until("refund.created", before + (to == "method"))
    await payments.consume()
    await installation.pump()
    part = await installation.world.get(f"/invoices/{invoice}")
    already = payments.hook.count("refund.created")
    await refund_payment(payments, payment_id)
    await payments.hook.until("refund.created", already + 1)
    await payments.consume()
    await installation.pump()
    whole = await installation.world.get(f"/invoices/{invoice}")
    report = await verify(installation.access, wait=0)

    assert (part["status"], part["refunded"]["minor"], part["due"]["minor"]) == ("paid", 2_500, 0)
    assert (whole["status"], whole["refunded"]["minor"], whole["due"]["minor"]) == ("refunded", 4_000, 0)
    assert not report.breaches, str(report)
