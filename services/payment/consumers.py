"""What the payment service listens to. Two groups: a parked Stripe event never holds up what can be paid."""

from collections.abc import Sequence

from contracts.clinic import ClinicUpdated
from contracts.invoice import InvoiceCreated, InvoicePaid, InvoiceState, InvoiceUpdated
from contracts.stripe import StripeEvent
from services.chassis.db.database import Connection
from services.chassis.kafka.consume import consumes
from services.payment import stripe_batches as stripe_actions
from services.payment.payments import actions


@consumes(ClinicUpdated, group="payment", unhurried=True)
async def on_clinic_updated(tx: Connection, events: Sequence[ClinicUpdated]) -> None:
    """Keep whether the clinic takes payments online, and how."""
    await actions.take_clinics(tx, events)


@consumes(InvoiceCreated, InvoiceUpdated, InvoicePaid, group="payment", unhurried=True)
async def on_invoice_changed(tx: Connection, events: Sequence[InvoiceState]) -> None:
    """Keep what is due before payments; what was paid is counted here."""
    await actions.take_invoices(tx, events)


@consumes(StripeEvent, group="payment-stripe")
async def on_stripe_event(tx: Connection, events: Sequence[StripeEvent]) -> None:
    """Move payments, book money, keep saved methods."""
    await stripe_actions.apply_stripe_events(tx, events)
