"""Ids that are made from parts, for the same inputs: a topic that is rebuilt, and a webhook that comes twice, carry the
ids that readers have claimed already.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

from contracts.events.envelope import event_id
from services.chassis.queue.domain import Failed, Task
from services.gateway.api.idempotency.domain import derived_id
from services.invoice.clinics import domain as clinic_domain
from services.invoice.clinics import reemit as clinics_reemit
from services.invoice.invoices import domain as invoice_domain
from services.notification.emails import domain as notification_domain
from services.notification.emails import reemit as emails_reemit
from services.payment.payments import facts, lifecycle
from services.payment.payments.domain import Payment
from services.payment.refunds import domain as refunds
from services.payment.refunds import sweep
from services.payment.stripe import observations
from tests.frozen import fixed
from tests.frozen.fixed import ACCOUNT, AT, CLINIC, LATER
from tests.frozen.picture import Dbs

Ids = Iterator[tuple[str, UUID]]


async def draw(_: Dbs) -> Any:
    parts = (
        _the_function(),
        _clinics(),
        _invoices(),
        _payments(),
        _refunds(),
        _stripe(),
        _e_mails(),
        _gateway(),
    )
    return {name: str(made) for part in parts for name, made in part}


def _the_function() -> Ids:
    yield "event_id of a time and two parts", event_id(AT, "a", 1)
    yield "event_id of a time", event_id(AT)


def _clinics() -> Ids:
    settings: dict[str, Any] = {
        "slug": "oak",
        "name": "Oak Clinic",
        "currency": "EUR",
        "time_zone": "UTC",
        "locale": "en-IE",
        "billing_shown": True,
        "online_payment": True,
        "methods": ("card",),
        "accent": "#0b6e6e",
        "version": 3,
        "least_part": None,
        "deposits": False,
        "pay_links": True,
        "lost_dispute_reopens": False,
        "undo_hours": 0,
        "reminders": (),
        "amounts_in_subjects": False,
        "attach_documents": False,
        "prices": "net",
        "tax_number": "",
        "postal_address": "{}",
        "e_invoices": False,
        "external_id": None,
        "number_prefix": "",
    }
    clinic = clinic_domain.Clinic(id=CLINIC, contact=clinic_domain.Contact(), tax_rates=(), **settings)
    yield "clinic.updated", clinic_domain.updated_event(clinic, AT).id
    contact = b'{"phone":"","email":"","address":"","hours":""}'
    texts = {"contact": contact, "tax_rates": b"[]", "metadata": b"{}", "number_start": b"null"}
    row: Any = {"id": CLINIC, "changed_at": AT, **texts, **settings}
    [event] = clinics_reemit.clinic_events(row)
    yield "clinic.updated, emitted again", event.id


def _invoices() -> Ids:
    before = fixed.an_invoice()
    after = replace(before, version=2, changed_at=LATER)
    yield "invoice.created", invoice_domain.created_event(before).id
    yield "invoice.updated", invoice_domain.change_event(before, after).id
    yield "invoice.paid", invoice_domain.change_event(before, replace(after, status="paid")).id


def _payments() -> Ids:
    payment, payables = fixed.a_payment(), fixed.payables()
    for status, event_type in (
        ("processing", "payment_intent.processing"),
        ("requires_payment_method", "payment_intent.payment_failed"),
        ("canceled", "payment_intent.canceled"),
    ):
        seen = fixed.stripe_says(event_type, fixed.an_intent(status))
        fact = lifecycle.observe(payment, payables, seen, LATER).fact
        assert fact is not None
        yield fact.topic.name, fact.id
    given_up = lifecycle.cancel(payment, LATER).fact
    assert given_up is not None
    yield "payment.canceled without an intent", given_up.id
    yield from _success(payment)


def _success(payment: Payment) -> Ids:
    seen = fixed.stripe_says("payment_intent.succeeded", fixed.an_intent("succeeded"))
    change = lifecycle.observe(payment, fixed.payables(), seen, LATER)
    update = facts.update_about(change.payment)
    assert change.fact and change.entry and update
    yield "payment.succeeded", change.fact.id
    yield "ledger entry of a capture", change.entry.id
    for position, movement in enumerate(change.movements, start=1):
        yield f"payment.settled, invoice {position}", movement.id
        yield f"payment.settled, invoice {position}, movement_id", movement.movement_id
    yield "payment.updated", update.id
    yield from _of_old_rows(replace(change.payment, fact_id=None))


def _of_old_rows(payment: Payment) -> Ids:
    """Of rows that were written before their facts had ids of their own: topics hold these."""
    yield "payment.succeeded of an old row", facts.fact_about(payment).id
    update = facts.update_about(payment)
    assert update
    yield "payment.updated of an old row", update.id
    refund = replace(fixed.a_refund(), status="succeeded", refunded_at=LATER)
    yield "payment.refunded of an old row", refunds.fact_about(refund).id


def _refunds() -> Ids:
    refund = fixed.a_refund()
    yield "ledger entry of a refund", refunds.set_aside(refund, AT).id
    succeeded = fixed.stripe_says("refund.updated", fixed.a_stripe_refund("succeeded"))
    paid = refunds.observe(refund, succeeded, LATER)
    failed = refunds.observe(
        refund, fixed.stripe_says("refund.failed", fixed.a_stripe_refund("failed")), LATER
    )
    assert paid.entry and paid.fact and failed.entry
    yield "ledger entry of a refund that was paid", paid.entry.id
    yield "payment.refunded", paid.fact.id
    yield "ledger entry of a refund that came back", failed.entry.id


def _stripe() -> Ids:
    intent = fixed.an_intent("succeeded")
    yield "stripe.event of an account", fixed.stripe_says("payment_intent.succeeded", intent).id
    yield "stripe.event of the platform", fixed.stripe_says("payment_intent.succeeded", intent, None).id
    looked_up = observations.looked_up(intent, ACCOUNT, AT)
    assert looked_up
    yield "stripe.event of an intent that was looked up", looked_up.id
    refund = sweep.looked_up(fixed.a_stripe_refund("succeeded"), ACCOUNT, False, AT)
    yield "stripe.event of a refund that was looked up", refund.id


def _e_mails() -> Ids:
    delivery: Any = _delivery()
    sent, failed = notification_domain.Sent("<1@clinicpay>"), Failed("550")
    yield "notification.sent", notification_domain.end_event(delivery, sent, AT).id
    yield "notification.failed", notification_domain.end_event(delivery, failed, AT).id
    for state in ("sent", "failed"):
        row: Any = {
            "state": state,
            "ended_at": AT,
            "id": fixed.DELIVERY,
            "clinic_id": CLINIC,
            "client_id": fixed.CLIENT,
            "template": "receipt",
            "attempts": 1,
            "last_error": "550",
        }
        [event] = emails_reemit.delivery_events(row)
        yield f"notification.{state}, emitted again", event.id


def _delivery() -> notification_domain.Delivery:
    return notification_domain.Delivery(
        clinic_id=CLINIC,
        id=fixed.DELIVERY,
        client_id=fixed.CLIENT,
        template="receipt",
        event_id=fixed.an_id(20),
        subject_id=fixed.PAYMENT,
        data=notification_domain.EmailData(amount=fixed.DUE, at=AT, invoices=()),
        task=Task(CLINIC, "email.receipt", fixed.DELIVERY, {}, None, 0, LATER, LATER, LATER - AT),
    )


def _gateway() -> Ids:
    yield "id of a clinic, from its request's key", derived_id(fixed.KEY, "clinic", "a-key")
    yield "id of a client, from its request's key", derived_id(fixed.KEY, "client", "a-key", CLINIC)
