"""The payment service's consumers. Two groups: a parked Stripe event never holds up receivables.

To handle another event type of Stripe's, add a line to `STRIPE_EVENTS`; to consume another topic, a function below.
"""

from collections import Counter as Numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from operator import attrgetter

import structlog

from contracts.events.client import ClientErased
from contracts.events.clinic import ClinicUpdated
from contracts.events.invoice import INVOICE_STATES, InvoiceState
from contracts.events.stripe import StripeEvent
from services.chassis import clock
from services.chassis.db.database import Connection
from services.chassis.kafka.consume import consumes
from services.chassis.telemetry.metrics import Counter, Seconds
from services.payment.accounts import changes as accounts
from services.payment.disputes import changes as disputes
from services.payment.erasures import actions as erasures
from services.payment.ledger import actions as ledger
from services.payment.methods import changes as methods
from services.payment.payments import changes as payments
from services.payment.receivables import actions as receivables
from services.payment.refunds import changes as refunds
from services.payment.refunds import held, made_at_stripe
from services.payment.stripe import origins

log = structlog.get_logger()


class Room(Enum):
    """The room whose `changes` apply an event."""

    PAYMENTS = "payments"
    REFUNDS = "refunds"
    DISPUTES = "disputes"
    METHODS = "methods"
    ACCOUNTS = "accounts"


@dataclass(frozen=True, slots=True)
class Unhandled:
    """The webhook edge acknowledges the event, and does not publish it."""

    reason: str


_ALREADY_KNOWN = Unhandled("It repeats what we asked for, or what another event brings.")

STRIPE_EVENTS: Mapping[str, Room | Unhandled] = {
    "charge.succeeded": Room.PAYMENTS,
    "payment_intent.succeeded": Room.PAYMENTS,
    "payment_intent.payment_failed": Room.PAYMENTS,
    "payment_intent.canceled": Room.PAYMENTS,
    "payment_intent.processing": Room.PAYMENTS,
    "payment_intent.requires_action": Room.PAYMENTS,
    "refund.created": Room.REFUNDS,
    "refund.failed": Room.REFUNDS,
    "refund.updated": Room.REFUNDS,
    "customer.deleted": Room.METHODS,
    "payment_method.attached": Room.METHODS,
    "payment_method.updated": Room.METHODS,
    "payment_method.automatically_updated": Room.METHODS,
    "payment_method.detached": Room.METHODS,
    "setup_intent.succeeded": Room.METHODS,
    "payment_intent.created": _ALREADY_KNOWN,
    "payment_intent.amount_capturable_updated": Unhandled("Our intents are captured at once."),
    "payment_intent.partially_funded": Unhandled(
        "No bank transfer is offered, and only such a one comes in parts."
    ),
    "charge.pending": Unhandled("payment_intent.processing brings it."),
    "charge.failed": Unhandled("payment_intent.payment_failed brings it, with the reason."),
    "charge.captured": Unhandled("Our intents are captured at once."),
    "charge.expired": Unhandled("Our intents are captured at once."),
    "charge.updated": _ALREADY_KNOWN,
    "charge.refunded": Unhandled("refund.created and refund.updated bring each refund by itself."),
    "charge.refund.updated": Unhandled("refund.updated brings the same."),
    "charge.dispute.created": Room.DISPUTES,
    "charge.dispute.updated": Room.DISPUTES,
    "charge.dispute.closed": Room.DISPUTES,
    "charge.dispute.funds_withdrawn": Room.DISPUTES,
    "charge.dispute.funds_reinstated": Room.DISPUTES,
    "customer.created": _ALREADY_KNOWN,
    "customer.updated": Unhandled("We keep nothing of a customer but its id."),
    "setup_intent.created": _ALREADY_KNOWN,
    "setup_intent.canceled": Unhandled("Nothing was kept of it."),
    "setup_intent.requires_action": Unhandled("The page asks the client itself."),
    "setup_intent.setup_failed": Unhandled("The page shows it, and nothing was kept of it."),
    "account.updated": Room.ACCOUNTS,
    "capability.updated": Room.ACCOUNTS,
    "account.application.authorized": Room.ACCOUNTS,
    "account.application.deauthorized": Room.ACCOUNTS,
}
"""The room of each of Stripe's event types. A type that is not listed is `Unhandled`."""

ACTED_ON = frozenset(name for name, room in STRIPE_EVENTS.items() if isinstance(room, Room))
"""Stripe's event types that a room applies. All others are acknowledged and not published."""


_roomless = Counter(
    "clinicpay.stripe.event.without_room",
    "{event}",
    "Events whose type no room applies: an edge of another release published them",
)
_booked = Seconds(
    "clinicpay.settlement.booked",
    "From a payment's success at Stripe to its booking in the ledger, by the webhook",
)


def measure_booked(events: Sequence[StripeEvent]) -> None:
    now = clock.now()
    for event in events:
        if event.event_type == "payment_intent.succeeded":
            _booked.record((now - event.created).total_seconds(), traceparent=event.traceparent)


@consumes(ClinicUpdated, group="payment", delay_tolerant=True)
async def on_clinic_updated(tx: Connection, events: Sequence[ClinicUpdated]) -> None:
    """Upsert the clinic's settings of online payment."""
    await receivables.upsert_clinics(tx, events)


@consumes(*INVOICE_STATES, group="payment", delay_tolerant=True)
async def on_invoice_changed(tx: Connection, events: Sequence[InvoiceState]) -> None:
    """Upsert receivables: the sums due before payments, and keep documents. Money paid above them becomes credit."""
    too_much = await receivables.upsert_invoices(tx, events)
    if too_much:
        await payments.move_to_credit(tx, too_much)


@consumes(ClientErased, group="payment", delay_tolerant=True)
async def on_client_erased(tx: Connection, events: Sequence[ClientErased]) -> None:
    """Queue the erasure of what payment keeps of the clients, here and at Stripe."""
    await erasures.begin(tx, events)


@consumes(
    StripeEvent,
    group="payment-stripe",
    measure=measure_booked,
    names_outside=attrgetter("stripe_event_id", "event_type"),
)
async def on_stripe_event(tx: Connection, events: Sequence[StripeEvent]) -> None:
    """Move payments, book money, keep saved methods and what accounts can do."""
    await apply_stripe_events(tx, events)


async def apply_stripe_events(tx: Connection, events: Sequence[StripeEvent]) -> None:
    """Apply a batch in a constant number of statements: lock in every room, in `locks.ORDER`, decide, then save.

    Raises a `StripeMismatch`.
    """
    about_accounts = await accounts.lock_observed(tx, _of(Room.ACCOUNTS, events))
    about_refunds = _of(Room.REFUNDS, events)
    about_disputes = await disputes.read_observed(tx, _of(Room.DISPUTES, events))
    # Before the rows that they are about are locked, as the worker locks held acts.
    canceled = await held.cancel_disputed(tx, about_disputes.refusing)
    about_payments = await payments.read_observed(tx, _of(Room.PAYMENTS, events))
    about_methods = await methods.read_observed(tx, _of(Room.METHODS, events))
    their_receivables = await refunds.read_observed(tx, about_refunds) | about_disputes.receivables
    locked_payments = await payments.lock_observed(
        tx, about_payments, their_receivables, about_disputes.payments
    )
    locked_refunds = await refunds.lock_observed(tx, about_refunds, canceled)
    now = clock.now()
    paid = payments.decide(about_payments, locked_payments, now)
    refunded = refunds.decide(about_refunds, locked_refunds, paid.payments, paid.receivables, now)
    booking = paid.booking + refunded.booking
    locked_disputes = await disputes.lock_observed(tx, about_disputes, paid.payments, booking.entries)
    await methods.lock_observed(tx, about_methods)
    await accounts.save_rows(tx, about_accounts)
    await payments.save_rows(tx, paid)
    await refunds.save_rows(tx, refunded)
    await ledger.book(tx, booking)
    # The sums kept of their payments are known only now: a payment may just have succeeded, a refund failed.
    await disputes.apply(
        tx, about_disputes, locked_disputes, paid.payments, {**paid.receivables, **refunded.receivables}
    )
    await methods.save_rows(tx, about_methods)
    await made_at_stripe.look_into(tx, refunded.foreign)
    # Last: a batch that raises runs again event by event.
    payments.tell(paid)
    _count_roomless(events)
    origins.count(
        [*about_payments.foreign, *refunded.foreign, *about_disputes.foreign, *about_methods.foreign]
    )


def _count_roomless(events: Sequence[StripeEvent]) -> None:
    """Count events whose type no room applies: this release's edge publishes none of them, another one's may."""
    roomless = Numbers(event.event_type for event in events if event.event_type not in ACTED_ON)
    for event_type, number in roomless.items():
        _roomless.add(number)
        log.warning("stripe_events_without_room", event_type=event_type[:80], events=number)


def _of(room: Room, events: Sequence[StripeEvent]) -> list[StripeEvent]:
    return [event for event in events if STRIPE_EVENTS.get(event.event_type) is room]
