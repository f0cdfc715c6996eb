"""Everything that the payment service asks of Stripe, put to Stripe's own stripe-mock."""

from datetime import timedelta

from services.payment import jobs
from tests.builders.values import eur
from tests.contracts.test_sandbox_stripe_mock import needs_go, replay, running_stripe_mock
from tests.running.databases import ServiceDb
from tests.running.payment import a_desk
from tests.running.refunds import fault, leaves_credit, press, sweep


@needs_go
async def test_stripe_mock_takes_what_the_payment_service_sends(db_payment: ServiceDb) -> None:
    async with a_desk(db_payment) as desk, running_stripe_mock() as mock:
        await desk.pay((await desk.owes(eur(125)), eur(125)), save=True)
        saved = (await desk.api.call("GET", "/payment-methods", desk.client)).json()["items"][0]["id"]
        again = await desk.owes(eur(20))
        await desk.start((again, eur(20)), method={"kind": "saved", "payment_method_id": saved})
        # Another choice: the first is canceled, and a redirect's intent is made.
        await desk.start((again, eur(20)), method={"kind": "redirect"})
        await desk.api.call("POST", "/setup-intents", desk.client)
        await desk.grown_old(timedelta(hours=1))
        await jobs.sweep_payments(desk.worker, desk.stripe)
        await desk.api.call("DELETE", f"/payment-methods/{saved}", desk.client)
        await leaves_credit(desk)
        # Its answer is an error that Stripe keeps: the refund is looked for, and then asked about.
        await fault(desk, "500_after")
        await press(desk)
        await sweep(desk)
        asked = [request for request in desk.sandbox.requests() if not request.public]

        refused = await replay(asked, mock)

    assert refused == []
    kinds = {
        (request.method, request.path.split("/")[2], request.path.rsplit("/", 1)[-1]) for request in asked
    }
    assert {
        ("POST", "payment_intents", "payment_intents"),
        ("POST", "payment_intents", "cancel"),
        ("POST", "customers", "customers"),
        ("POST", "setup_intents", "setup_intents"),
        ("POST", "payment_methods", "detach"),
        ("POST", "refunds", "refunds"),
        ("GET", "refunds", "refunds"),
    } <= kinds
    assert any(request.method == "GET" for request in asked)
