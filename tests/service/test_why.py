"""`clinicpay why` by Stripe's events: whatever became of one is found by its id."""

from dataclasses import replace
from typing import Any

from contracts.events.stripe import StripeEvent
from deploy.ops.why.asking import why
from deploy.ops.why.story import Journey
from services.chassis.ids import new_id
from services.payment import consumers
from tests.builders.events import deliver_records, record
from tests.builders.values import eur
from tests.running.installation import Installation


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
