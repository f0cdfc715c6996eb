"""`clinicpay why` over real databases and the sandbox: what became of Stripe's events, and what banks do late."""

from dataclasses import replace
from typing import Any

import pytest

from contracts.events.payment import receipt_number
from contracts.events.stripe import StripeEvent
from deploy.ops.why import asking
from deploy.ops.why.asking import why
from deploy.ops.why.story import Journey
from deploy.sandbox.embedded import listen_on
from services.chassis.ids import new_id
from services.payment import consumers
from tests.builders.callers import a_caller
from tests.builders.events import deliver_records, record
from tests.builders.values import eur
from tests.running.installation import Installation
from tests.service.test_payment_debits import FAILS
from tests.service.test_payment_debits import confirm as confirm_debit

RETURNED = "payment_intent_payment_attempt_failed (Your bank did not pay the debit)"


async def of(installation: Installation, reference: str) -> Journey:
    [found] = await why(installation.access, reference)
    return found


def texts(journey: Journey) -> list[str]:
    return [step.text for step in journey.steps]


async def a_success(installation: Installation) -> StripeEvent:
    """The event of a payment of a new invoice, which nobody has consumed."""
    payments = installation.payments
    invoice = await installation.open_invoice(4_000)
    started = await payments.start((invoice, eur(40)))
    already = payments.hook.count("payment_intent.succeeded")
    await payments.confirm(started)
    await payments.hook.until("payment_intent.succeeded", already + 1)
    return [each for each in payments.hook.events() if each.event_type == "payment_intent.succeeded"][-1]


def another(event: StripeEvent, **changes: Any) -> StripeEvent:
    return event.model_copy(update={"id": new_id(), "stripe_event_id": f"evt_{new_id().hex}", **changes})


async def test_an_event_that_waited_for_the_worker(installation: Installation) -> None:
    success = await a_success(installation)
    sent = replace(record(success), timestamp=int(success.created.timestamp() - 30) * 1000)
    await deliver_records(installation.payments.worker, consumers, [sent])
    await installation.pump()

    [webhook] = [text for text in texts(await of(installation, success.stripe_event_id)) if "Webhook" in text]

    begins, _, seconds = webhook.removesuffix(" s after it came").rpartition(", ")
    assert begins == "Webhook payment_intent.succeeded: booked"
    assert int(seconds) >= 30


async def test_an_event_that_says_again_what_is_booked(installation: Installation) -> None:
    success = await a_success(installation)
    again = another(success)
    await installation.payments.consume(success)
    await installation.payments.consume(again)
    await installation.pump()

    journey = await of(installation, again.stripe_event_id)

    assert journey == await of(installation, success.stripe_event_id)
    said = {step.refs[0]: step.text for step in journey.steps if step.text.startswith("Webhook")}
    assert said[success.stripe_event_id] == "Webhook payment_intent.succeeded: booked"
    assert said[again.stripe_event_id] == "Webhook payment_intent.succeeded: known before"


async def test_an_event_about_no_payment_of_ours(installation: Installation) -> None:
    strange = another(
        await a_success(installation),
        payment_id=None,
        clinic=None,
        payment_intent="pi_x",
        object_id="pi_x",
    )
    await installation.payments.consume(strange)

    journey = await of(installation, strange.stripe_event_id)

    assert journey.title == f"Stripe's event {strange.stripe_event_id}"
    assert texts(journey) == ["Webhook payment_intent.succeeded: applied; it is about no payment of ours"]
    assert (journey.steps[0].refs, journey.waits) == (("pi_x",), None)


async def test_an_event_that_is_parked(installation: Installation) -> None:
    success = await a_success(installation)
    wrong = another(success, currency="USD")
    await installation.payments.consume(wrong)

    journey = await of(installation, wrong.stripe_event_id)

    assert "stripe.event parked: stripe_wrong_charge" in texts(journey)
    assert journey.title.startswith("Invoice ")
    assert journey.waits is not None
    assert journey.waits.help.startswith("mend the cause, then: `clinicpay parked replay payment ")


async def test_a_parked_event_whose_payment_nobody_knows(installation: Installation) -> None:
    success = await a_success(installation)
    lost = another(success, payment_id=new_id(), payment_intent="pi_lost", object_id="pi_lost")
    await installation.payments.consume(lost)

    journey = await of(installation, lost.stripe_event_id)

    assert texts(journey) == ["stripe.event parked: stripe_unknown_payment"]
    assert journey.waits is not None
    assert journey.waits.code == "event_parked"


async def test_an_event_that_nobody_has(installation: Installation) -> None:
    assert await why(installation.access, "evt_nobody") == []


async def test_a_bank_that_confirms_for_days_and_then_refuses(installation: Installation) -> None:
    payments = installation.payments
    await payments.update_clinic(100, methods=("card", "debit"))
    invoice = await installation.open_invoice(4_000)
    started = await payments.start((invoice, eur(40)), method={"kind": "debit"})
    intent = await confirm_debit(payments, started, FAILS)
    await installation.pump()

    on_its_way = await of(installation, str(invoice))
    assert on_its_way.waits is not None
    assert on_its_way.waits.code == "bank_confirms"

    already = payments.hook.count("payment_intent.payment_failed")
    path = f"/accounts/{payments.sandbox.platform}/payment_intents/{intent}/settle"
    await payments.sandbox.control("POST", "/clock", {"offset_seconds": 4 * 24 * 3600})
    await payments.sandbox.control("POST", path, {"outcome": "failed"})
    await payments.hook.until("payment_intent.payment_failed", already + 1)
    await payments.consume()
    await installation.pump()
    refused = await of(installation, str(invoice))
    assert refused.waits is not None
    assert (refused.waits.code, refused.waits.text.partition(": ")[2]) == ("declined", RETURNED)

    await installation.pay((invoice, eur(40)))
    paid = await of(installation, str(invoice))
    # A card paid it: the debit that came back stays to be seen.
    assert [text.partition(" ")[2] for text in texts(paid) if "declined by" in text] == [
        f"declined by sepa_debit: {RETURNED}"
    ]


async def test_a_refund_that_the_bank_returned(installation: Installation) -> None:
    """The installation has one: of a payment of an invoice that was void by then."""
    [(refund, payment)] = await installation.dbs["payment"].admin.fetch(
        "SELECT id, payment_id FROM refunds WHERE status = 'failed'"
    )

    journey = await of(installation, str(refund))

    assert journey.waits is not None
    assert journey.waits.code == "refund_returned"
    assert any("returned" in text and "Refund of 7.00 EUR" in text for text in texts(journey))
    number = receipt_number(payment)
    assert f"{number}: 25.00 EUR is above what was due, and is the client's credit" in texts(journey)


async def test_an_invoice_that_was_paid_at_the_bank_and_by_card(installation: Installation) -> None:
    """The card's money is taken; before its webhook comes, the clinic records the client's transfer."""
    payments = installation.payments
    success = await a_success(installation)
    [invoice] = await installation.dbs["payment"].admin.fetch(
        "SELECT payable_id FROM allocations WHERE payment_id = $1", success.payment_id
    )
    transfer = {
        "client_id": str(payments.client_id),
        "kind": "bank_transfer",
        "amount": 4_000,
        "currency": "EUR",
        "invoices": [{"invoice_id": str(invoice["payable_id"]), "amount": 4_000}],
    }
    staff, headers = a_caller("staff", payments.clinic_id), {"Idempotency-Key": str(new_id())}
    recorded = await payments.api.call("POST", "/payments/recorded", staff, json=transfer, headers=headers)
    assert recorded.status_code == 201, recorded.text
    await payments.consume(success)
    await installation.pump()

    journey = await of(installation, str(invoice["payable_id"]))

    assert ": paid, 0.00 EUR due" in journey.title
    assert success.payment_id is not None
    twice = (
        f"{receipt_number(success.payment_id)}: 40.00 EUR is above what was due, and is the client's credit"
    )
    assert twice in texts(journey)
    assert "payment of 40.00 EUR booked on the invoice" in texts(journey)


async def test_a_stripe_that_hangs_is_told_soon(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes connections, and says nothing. The client would try three times: there is no time for another."""
    monkeypatch.setattr(asking, "STRIPE_SECONDS", 0.5)
    invoice = await installation.open_invoice(4_000)
    await installation.payments.start((invoice, eur(40)))
    with listen_on(0) as silent:
        silent.listen()
        base = f"http://127.0.0.1:{silent.getsockname()[1]}"
        [found] = await why(replace(installation.access, stripe_api_base=base), str(invoice))
        silent.accept()[0].close()
        silent.setblocking(False)
        with pytest.raises(BlockingIOError):
            silent.accept()

    assert found.waits is not None and found.waits.code == "stripe_away"
