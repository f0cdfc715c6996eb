"""Everything that the payment service asks of Stripe, put to Stripe's own stripe-mock."""

from datetime import timedelta

from services.payment.payments import sweep as payments_sweep
from tests.builders.values import eur
from tests.contracts.test_sandbox_stripe_mock import needs_go, replay, running_stripe_mock
from tests.running.databases import ServiceDb
from tests.running.payment import a_payment_service
from tests.running.refunds import fault, leave_credit, request_refund, sweep


@needs_go
async def test_stripe_mock_takes_what_the_payment_service_sends(db_payment: ServiceDb) -> None:
    async with a_payment_service(db_payment) as payments, running_stripe_mock() as mock:
        await payments.pay((await payments.open_invoice(eur(125)), eur(125)), save=True)
        saved = (await payments.api.call("GET", "/payment-methods", payments.client)).json()["items"][0]["id"]
        again = await payments.open_invoice(eur(20))
        await payments.start((again, eur(20)), method={"kind": "saved", "payment_method_id": saved})
        # Another choice: the first is canceled, and a redirect's intent is made.
        await payments.start((again, eur(20)), method={"kind": "redirect"})
        await payments.api.call("POST", "/setup-intents", payments.client)
        await payments.age(timedelta(hours=1))
        await payments_sweep.sweep_payments(payments.worker, payments.stripe)
        await payments.api.call("DELETE", f"/payment-methods/{saved}", payments.client)
        await leave_credit(payments)
        # Its answer is an error that Stripe keeps: the refund is looked for, and then asked about.
        await fault(payments, "500_after")
        await request_refund(payments)
        await sweep(payments)
        asked = [request for request in payments.sandbox.requests() if not request.public]

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
