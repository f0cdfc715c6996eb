"""Spans of real services: what people search by, what shows that a trace is worth keeping, and one trace a payment."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from deploy.sandbox.webhooks import signature
from services.chassis import clock
from services.payment import consumers
from services.payment.payments import sweep
from services.payment.stripe import webhooks
from services.payment.stripe.events import StripeEvents
from tests.builders.events import outbox_events
from tests.builders.values import eur
from tests.running import refunds
from tests.running.databases import ServiceDb
from tests.running.invoice import an_invoice_service
from tests.running.payment import PaymentService

pytestmark = pytest.mark.usefixtures("exported")


def named(exported: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in exported.get_finished_spans() if span.name == name]


def shown(span: ReadableSpan, prefix: str = "clinicpay.") -> dict[str, Any]:
    """The attributes of our own, without the ones of HTTP and Kafka."""
    return {name: value for name, value in (span.attributes or {}).items() if name.startswith(prefix)}


def below(exported: InMemorySpanExporter, span: ReadableSpan) -> Sequence[ReadableSpan]:
    return [
        each
        for each in exported.get_finished_spans()
        if each.parent is not None and each.parent.span_id == span.context.span_id
    ]


async def test_a_payments_beginning_is_found_by_its_ids_and_is_marked(
    payments: PaymentService, exported: InMemorySpanExporter
) -> None:
    invoice = await payments.open_invoice(eur(125))

    started = (await payments.start((invoice, eur(125)))).json()

    [span] = named(exported, "POST /payments")
    [intent] = await payments.intents()
    assert shown(span) == {
        "clinicpay.clinic.id": str(payments.clinic_id),
        "clinicpay.payment.id": started["payment_id"],
        "clinicpay.invoice.id": str(invoice),
        "clinicpay.payment.step": "begun",
    }
    assert shown(span, "stripe.") == {"stripe.payment_intent.id": intent["id"]}


async def test_a_press_that_finds_a_payment_begins_none(
    payments: PaymentService, exported: InMemorySpanExporter
) -> None:
    invoice = await payments.open_invoice(eur(125))
    await payments.start((invoice, eur(125)))

    again = (await payments.start((invoice, eur(125)))).json()

    span = named(exported, "POST /payments")[-1]
    assert shown(span)["clinicpay.payment.id"] == again["payment_id"]
    assert "clinicpay.payment.step" not in shown(span)


async def test_a_paths_ids_and_transactions_are_shown_and_a_refusal_is_no_fault(
    payments: PaymentService, exported: InMemorySpanExporter
) -> None:
    invoice = await payments.open_invoice(eur(125))
    payment_id = await payments.pay((invoice, eur(125)))
    exported.clear()

    await payments.payment(payment_id)
    refused = await payments.start((invoice, eur(125)))

    [read] = named(exported, "GET /payments/{payment_id}")
    assert shown(read)["clinicpay.payment.id"] == str(payment_id)
    assert {span.name for span in below(exported, read)} == {"transaction"}
    assert refused.status_code == 409
    [asked] = named(exported, "POST /payments")
    assert below(exported, asked)
    assert {span.status.status_code for span in below(exported, asked)} == {StatusCode.UNSET}


async def test_an_issued_invoice_is_found_by_its_number(
    db_invoice: ServiceDb, exported: InMemorySpanExporter
) -> None:
    async with an_invoice_service(db_invoice) as service:
        issued = await service.issue()

    [span] = named(exported, "POST /invoices")
    assert shown(span) == {
        "clinicpay.clinic.id": str(service.clinic_id),
        "clinicpay.invoice.id": issued["id"],
        "clinicpay.invoice.number": issued["number"],
    }


async def test_a_swept_payment_settles_in_the_trace_that_it_began_in(
    payments: PaymentService, exported: InMemorySpanExporter
) -> None:
    invoice = await payments.open_invoice(eur(125))
    started = await payments.start((invoice, eur(125)))
    await payments.confirm(started)

    await sweep.sweep_payments(payments.worker, payments.stripe, timedelta(0))

    [began], [swept] = named(exported, "POST /payments"), named(exported, "payment sweep")
    assert swept.context.trace_id == began.context.trace_id
    assert shown(swept) == {
        "clinicpay.clinic.id": str(payments.clinic_id),
        "clinicpay.payment.id": started.json()["payment_id"],
        "clinicpay.keep": "swept",
    }
    assert {event.traceparent for event in await outbox_events(payments.db)} == {traceparent_of(swept)}


async def test_asking_about_a_payment_that_has_not_moved_adds_nothing_to_its_trace(
    payments: PaymentService, exported: InMemorySpanExporter
) -> None:
    await payments.start((await payments.open_invoice(eur(125)), eur(125)))
    [began] = named(exported, "POST /payments")
    exported.clear()

    await sweep.sweep_payments(payments.worker, payments.stripe, timedelta(0))

    assert exported.get_finished_spans()
    assert began.context.trace_id not in {each.context.trace_id for each in exported.get_finished_spans()}


async def test_a_swept_refund_goes_on_in_the_trace_that_it_began_in(
    payments: PaymentService, exported: InMemorySpanExporter
) -> None:
    await refunds.send_refund(payments, "pm_card_refundFail")
    await payments.consume()
    await refunds.age_refunds(payments, timedelta(days=1, hours=1))
    await refunds.settle_refund(payments, "failed")

    await refunds.sweep(payments)

    [began], [swept] = named(exported, "POST /refunds"), named(exported, "refund sweep")
    assert swept.context.trace_id == began.context.trace_id
    assert shown(swept)["clinicpay.keep"] == "swept"
    assert shown(swept)["clinicpay.refund.id"]


class Kept(StripeEvents):
    """Keeps what is sent, as Kafka does."""

    def __init__(self) -> None:
        super().__init__("nobody")
        self.sent: list[str | None] = []

    async def send(self, event: Any, traceparent: str | None = None) -> None:
        self.sent.append(traceparent)


@pytest.mark.parametrize(("minutes", "kept"), [(0, None), (2, "slow")])
async def test_a_webhooks_receipt_is_in_the_payments_trace_and_a_late_one_is_kept(
    payments: PaymentService, exported: InMemorySpanExporter, minutes: int, kept: str | None
) -> None:
    started = await payments.start((await payments.open_invoice(eur(125)), eur(125)))
    await payments.confirm(started)
    await payments.hook.until("payment_intent.succeeded")
    body = next(each for each in payments.hook.bodies if each["type"] == "payment_intent.succeeded")
    late = {**body, "created": body["created"] - minutes * 60}
    topic = Kept()

    await receive(late, topic)

    [began], [receipt] = named(exported, "POST /payments"), named(exported, "stripe.event publish")
    assert receipt.context.trace_id == began.context.trace_id
    assert shown(receipt)["clinicpay.payment.id"] == started.json()["payment_id"]
    assert shown(receipt).get("clinicpay.keep") == kept
    assert shown(receipt, "stripe.") == {
        "stripe.event.id": body["id"],
        "stripe.event.type": "payment_intent.succeeded",
        "stripe.payment_intent.id": body["data"]["object"]["id"],
    }
    assert topic.sent == [traceparent_of(receipt)]


def traceparent_of(span: ReadableSpan) -> str:
    context = span.context
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


async def receive(body: dict[str, Any], topic: StripeEvents) -> None:
    raw = msgspec.json.encode(body)
    signed = signature("whsec_spans", raw, int(clock.now().timestamp()))
    await webhooks.receive_webhook(raw, signed, ["whsec_spans"], False, topic, consumers.ACTED_ON)
