"""Queue e-mails, claim them and record their outcomes, each in the caller's transaction."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

from contracts.events.envelope import Event
from services.chassis.db.database import Connection
from services.chassis.outbox import outbox
from services.notification.emails import domain, store
from services.notification.emails.domain import Claim, Delivery, Dropped, Failed, Outcome, Retry, Sent, Waits
from services.notification.emails.kinds import BY_TEMPLATE, KINDS
from services.notification.projections import store as projections


async def queue_emails(tx: Connection, events: Sequence[Event]) -> None:
    """Queue the e-mails to which these events lead, each once. A receipt drops its payment's failure e-mails."""
    by_type: dict[type[Event], list[Event]] = defaultdict(list)
    for event in events:
        by_type[type(event)].append(event)
    for kind in KINDS:
        if chosen := by_type.get(kind.event):
            deliveries = domain.new_deliveries(kind, chosen)
            await store.add_deliveries(tx, deliveries, kind.delay)
            if kind.ends_failures:
                await store.drop_failures(
                    tx, {(each.cause.clinic_id, each.subject_id) for each in deliveries}
                )


async def claim_emails(tx: Connection, limit: int, lease: timedelta) -> list[Claim]:
    """Claim e-mails that are due, each with the rows that its content needs, in a constant number of reads.

    An e-mail of a kind that only a newer release can write waits for that release.
    """
    deliveries = await store.claim_deliveries(tx, limit, lease, BY_TEMPLATE.keys())
    if not deliveries:
        return []
    clinics = await projections.get_clinics(tx, {delivery.clinic_id for delivery in deliveries})
    recipients = await store.get_recipients(tx, {(each.clinic_id, each.client_id) for each in deliveries})
    invoices = await projections.get_invoices(tx, domain.invoice_keys(deliveries))
    return [
        Claim(
            BY_TEMPLATE[delivery.template],
            delivery,
            clinics.get(delivery.clinic_id),
            recipients.get((delivery.clinic_id, delivery.client_id)),
            {
                id_: invoice
                for (clinic_id, id_), invoice in invoices.items()
                if clinic_id == delivery.clinic_id
            },
        )
        for delivery in deliveries
    ]


async def record_outcome(tx: Connection, delivery: Delivery, outcome: Outcome) -> None:
    """Record the outcome of a claimed e-mail, and publish it when it is final. A lost lease records nothing."""
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
            pause = domain.next_check(delivery.age)
            await store.save_outcome(
                tx, delivery, "waiting", attempts=delivery.attempts, after=pause, last_error=reason
            )
            return
        case Dropped(reason):
            await store.save_outcome(tx, delivery, "dropped", attempts=delivery.attempts, last_error=reason)
            return
    if moment is not None:
        await outbox.add(tx, [(domain.end_event(delivery, outcome, moment), None)])


async def release(tx: Connection, deliveries: Sequence[Delivery]) -> None:
    """Release claimed e-mails that were not tried, for another sender to claim."""
    await store.release_deliveries(tx, deliveries)
