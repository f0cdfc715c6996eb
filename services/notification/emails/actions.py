"""What this service does, each in the caller's transaction."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from contracts.clinic import ClinicUpdated
from contracts.invoice import InvoiceCreated, InvoiceState
from contracts.payment import PaymentFailed, PaymentRefunded, PaymentSucceeded
from services.chassis import audit, emails
from services.chassis.db.database import Connection
from services.chassis.http.auth import Caller
from services.chassis.outbox import outbox
from services.notification.emails import domain, projections, store
from services.notification.emails.domain import (
    Claim,
    Contact,
    Delivery,
    Dropped,
    Failed,
    Outcome,
    Retry,
    Sent,
    Waits,
)

FAILURE_DELAY = timedelta(seconds=20)
"""Whoever is on the page sees a decline at once and tries again. The e-mail is for who has left."""


async def keep_clinics(tx: Connection, updates: Sequence[ClinicUpdated]) -> None:
    await projections.save_clinics(tx, domain.newest(updates))


async def keep_invoices(tx: Connection, states: Sequence[InvoiceState]) -> None:
    """Take over invoices, and announce the new ones to their clients."""
    await projections.save_invoices(tx, domain.newest(states))
    created = [state for state in states if isinstance(state, InvoiceCreated)]
    if created:
        await store.add_deliveries(tx, domain.announce(created), timedelta(0))


async def tell_payments(tx: Connection, ended: Sequence[PaymentSucceeded | PaymentFailed]) -> None:
    """One receipt a payment that succeeded; word of those that failed and have not succeeded since."""
    succeeded = [event for event in ended if isinstance(event, PaymentSucceeded)]
    failed = [event for event in ended if isinstance(event, PaymentFailed)]
    if succeeded:
        await store.add_deliveries(tx, domain.receipts(succeeded), timedelta(0))
        await store.drop_failures(tx, {(event.clinic_id, event.payment_id) for event in succeeded})
    if failed:
        await store.add_deliveries(tx, domain.bad_news(failed), FAILURE_DELAY)


async def tell_refunds(tx: Connection, refunded: Sequence[PaymentRefunded]) -> None:
    """Word of each refund, once."""
    await store.add_deliveries(tx, domain.refund_letters(refunded), timedelta(0))


async def create_contact(tx: Connection, caller: Caller, contact: Contact) -> tuple[Contact, bool]:
    """Keep how to reach a client and let go what waited for it, and whether that was needed. Raises `EmailNotValid`.

    A contact that is there is left as it is.
    """
    contact = replace(contact, email=emails.address(contact.email))
    if not await store.add_contact(tx, caller.clinic, contact):
        return await get_contact(tx, caller.clinic, contact.client_id), False
    await store.wake_deliveries(tx, caller.clinic, contact.client_id)
    await audit.record(tx, caller, "put_contact", contact.client_id, None, contact)
    return contact, True


async def save_contact(tx: Connection, caller: Caller, contact: Contact, before: Contact) -> Contact:
    """Keep another way to reach a known client, locked as it was `before`. Raises `EmailNotValid`."""
    contact = replace(contact, email=emails.address(contact.email))
    await store.save_contact(tx, caller.clinic, contact)
    await audit.record(tx, caller, "put_contact", contact.client_id, before, contact)
    return contact


async def delete_contact(tx: Connection, caller: Caller, client_id: UUID) -> None:
    """Take a contact away. Raises `ContactNotFound`."""
    before = await store.delete_contact(tx, caller.clinic, client_id)
    if before is None:
        raise domain.ContactNotFound("No contact is kept for this client.")
    await audit.record(tx, caller, "delete_contact", client_id, before, None)


async def get_contact(tx: Connection, clinic_id: UUID, client_id: UUID, *, lock: bool = False) -> Contact:
    """A client's contact; with `lock`, others wait with changing it. Raises `ContactNotFound`."""
    if lock:
        await store.lock_contact(tx, clinic_id, client_id)
    contacts = await store.get_contacts(tx, [(clinic_id, client_id)])
    if not contacts:
        raise domain.ContactNotFound("No contact is kept for this client.")
    return contacts[clinic_id, client_id]


async def claim_letters(tx: Connection, limit: int, lease: timedelta) -> list[Claim]:
    """Take e-mails whose time has come, each with what is known for writing it, in a constant number of reads."""
    deliveries = await store.claim_deliveries(tx, limit, lease)
    if not deliveries:
        return []
    clinics = await projections.get_clinics(tx, {delivery.clinic_id for delivery in deliveries})
    contacts = await store.get_contacts(tx, {(each.clinic_id, each.client_id) for each in deliveries})
    invoices = await projections.get_invoices(tx, domain.invoice_keys(deliveries))
    return [
        Claim(
            delivery,
            clinics.get(delivery.clinic_id),
            contacts.get((delivery.clinic_id, delivery.client_id)),
            {
                id_: invoice
                for (clinic_id, id_), invoice in invoices.items()
                if clinic_id == delivery.clinic_id
            },
        )
        for delivery in deliveries
    ]


async def record(tx: Connection, delivery: Delivery, outcome: Outcome) -> None:
    """Keep what became of a claimed e-mail, and state the fact when it is final. Nothing when the lease was lost."""
    tried = delivery.attempts + 1
    match outcome:
        case Sent(message_id):
            moment = await store.save_outcome(tx, delivery, "sent", attempts=tried, message_id=message_id)
        case Failed(reason):
            moment = await store.save_outcome(tx, delivery, "failed", attempts=tried, last_error=reason)
        case Retry(reason, pause):
            await store.save_outcome(tx, delivery, "due", attempts=tried, after=pause, last_error=reason)
            return
        case Waits(reason):
            pause = domain.next_look(delivery.age)
            await store.save_outcome(
                tx, delivery, "waiting", attempts=delivery.attempts, after=pause, last_error=reason
            )
            return
        case Dropped(reason):
            await store.save_outcome(tx, delivery, "dropped", attempts=delivery.attempts, last_error=reason)
            return
    if moment is not None:
        await outbox.add(tx, [(domain.fact_about(delivery, outcome, moment), None)])


async def give_back(tx: Connection, deliveries: Sequence[Delivery]) -> None:
    """Let others take what was claimed and not tried."""
    await store.release_deliveries(tx, deliveries)
