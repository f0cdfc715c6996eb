"""Queue e-mails, claim them and record their outcomes, each in the caller's transaction."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import timedelta
from uuid import UUID

from contracts.events.envelope import Event
from services.chassis.db.database import Connection
from services.chassis.db.statements import execute
from services.chassis.ids import Key
from services.chassis.outbox import outbox
from services.chassis.queue import queue
from services.chassis.queue.domain import Canceled, Done, Failed, NewTask, Retry, Task, Waits
from services.notification.emails import domain, store
from services.notification.emails.domain import (
    AnyClaim,
    Claim,
    Delivery,
    LetterClaim,
    NewDelivery,
    Outcome,
    Recipient,
    Sent,
    TimedKind,
)
from services.notification.emails.kinds import BY_TEMPLATE, EVENT_TASKS, KINDS, LETTERS_BY_TASK, TASK_KINDS
from services.notification.emails.messages import payment_failed
from services.notification.letters import actions as letters
from services.notification.letters.domain import Letter
from services.notification.projections import store as projections


async def queue_emails(tx: Connection, events: Sequence[Event]) -> None:
    """Queue the e-mails to which these events lead, each once. A receipt drops its payment's failure e-mails."""
    by_type: dict[type[Event], list[Event]] = defaultdict(list)
    for event in events:
        by_type[type(event)].append(event)
    for kind in KINDS:
        if chosen := by_type.get(kind.event):
            deliveries = domain.new_deliveries(kind, chosen)
            added = await store.add_deliveries(tx, deliveries)
            await queue.enqueue(
                tx,
                domain.task_kind(kind.template),
                [each.task(kind.delay) for each in deliveries if each.key in added],
            )
            if kind.ends_failures:
                await _drop_failures(tx, {(each.clinic_id, each.subject_id) for each in deliveries})


async def queue_timed(
    tx: Connection, kind: TimedKind, deliveries: Sequence[NewDelivery], first: timedelta, pause: timedelta
) -> int:
    """Queue e-mails to which a day leads, each once: the first after `first`, the others by `pause` after each other.

    Returns how many are new.
    """
    added = await store.add_deliveries(tx, deliveries) if deliveries else set()
    new = [each for each in deliveries if each.key in added]
    tasks = [each.task(first + pause * at) for at, each in enumerate(new)]
    await queue.enqueue(tx, domain.task_kind(kind.template), tasks)
    return len(new)


async def _drop_failures(tx: Connection, payments: Collection[Key]) -> None:
    """Drop the unsent e-mails about failures of payments that succeeded after all."""
    reason = "paid_since"
    failures = await store.list_failures(tx, payments)
    kind = domain.task_kind(payment_failed.KIND.template)
    await store.drop_deliveries(tx, await queue.cancel(tx, kind, failures, reason), reason)


async def claim_emails(tx: Connection, limit: int, lease: timedelta) -> list[AnyClaim]:
    """Claim e-mails that are due, each with the rows that its content needs, in a constant number of reads.

    An e-mail of a kind that only a newer release can write waits for that release.
    """
    tasks = await queue.claim(tx, TASK_KINDS, limit, lease)
    about_logins = [task for task in tasks if task.kind in LETTERS_BY_TASK]
    about_events = [task for task in tasks if task.kind not in LETTERS_BY_TASK]
    return [*await _claimed_letters(tx, about_logins), *await _claimed_emails(tx, about_events)]


async def _claimed_letters(tx: Connection, tasks: Sequence[Task]) -> list[LetterClaim]:
    found = await letters.claimed_letters(tx, tasks)
    clinics = await projections.get_clinics(tx, {letter.clinic_id for letter in found}) if found else {}
    return [
        LetterClaim(LETTERS_BY_TASK[letter.task.kind], letter, clinics.get(letter.clinic_id))
        for letter in found
    ]


async def _claimed_emails(tx: Connection, tasks: Sequence[Task]) -> list[Claim]:
    found = await store.get_deliveries(tx, tasks)
    for task in tasks:
        if task.row not in found:  # a restore found out that it was sent
            await queue.end(tx, task, Done())
    deliveries = [found[task.row] for task in tasks if task.row in found]
    if not deliveries:
        return []
    clinics = await projections.get_clinics(tx, {delivery.clinic_id for delivery in deliveries})
    recipients = await store.get_recipients(tx, {(each.clinic_id, each.client_id) for each in deliveries})
    invoices = await projections.get_invoices(tx, domain.invoice_keys(deliveries))
    undone = await _undone(tx, deliveries)
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
            (delivery.clinic_id, delivery.id) in undone,
        )
        for delivery in deliveries
    ]


async def _undone(tx: Connection, deliveries: Sequence[Delivery]) -> set[Key]:
    """The e-mails about whose subject there is one that makes them untrue, whichever event came first."""
    undoing = {
        (each.clinic_id, each.subject_id, template): (each.clinic_id, each.id)
        for each in deliveries
        if (template := BY_TEMPLATE[each.template].undone_by) is not None
    }
    found = await store.list_about(tx, undoing.keys()) if undoing else set()
    return {undoing[each] for each in found}


async def record_outcome(
    tx: Connection, delivery: Delivery | Letter, outcome: Outcome, client: Recipient | None = None
) -> None:
    """Record the outcome of a claimed e-mail, and publish it when it is final. A lost claim records nothing.

    With the `client` to whom it went: also whether its address is refused.
    """
    of_task = Done() if isinstance(outcome, Sent) else outcome
    if isinstance(delivery, Letter):
        await letters.record_outcome(tx, delivery, of_task)
        return
    if client is not None:
        await _record_address(tx, delivery, outcome, client)
    recorded = await queue.end(tx, delivery.task, of_task)
    if recorded is None:
        return
    before, tried = delivery.task.attempts, delivery.task.attempts + 1
    match outcome:
        case Sent(message_id):
            saving = store.saving(delivery, "sent", attempts=tried, message_id=message_id)
        case Failed(reason):
            saving = store.saving(delivery, "failed", attempts=tried, last_error=reason)
        case Retry(reason):
            saving = store.saving(delivery, "due", attempts=tried, last_error=reason)
        case Waits(reason):
            if recorded.hastened:
                return
            saving = store.saving(delivery, "waiting", attempts=before, last_error=reason)
        case Canceled(reason):
            saving = store.saving(delivery, "dropped", attempts=before, last_error=reason)
    if isinstance(outcome, Sent | Failed):
        event = domain.end_event(delivery, outcome, recorded.at)
        await execute(tx, saving, outbox.adding([(event, None)]))
    else:
        await execute(tx, saving)


async def _record_address(tx: Connection, delivery: Delivery, outcome: Outcome, client: Recipient) -> None:
    """Save that an address is refused, or no more. Before the task, as requests lock a contact before its tasks."""
    reason = domain.refused_address(outcome)
    if reason is not None or (client.is_refused and isinstance(outcome, Sent)):
        await store.save_refused(tx, (delivery.clinic_id, delivery.client_id), client.email, reason)


async def release(tx: Connection, deliveries: Sequence[Delivery | Letter]) -> None:
    """Release claimed e-mails that were not tried, for another sender to claim."""
    await queue.release(tx, [delivery.task for delivery in deliveries])


async def send_again(tx: Connection, clinic_id: UUID, delivery_id: UUID) -> bool:
    """Queue an e-mail that was given up, with all its tries; False when it is not. Whether it may be sent is decided
    when its turn comes, as for any other.
    """
    template = await store.revive(tx, clinic_id, delivery_id)
    if template is None:
        return False
    await queue.renew(tx, domain.task_kind(template), NewTask(clinic_id, delivery_id))
    return True


async def end_waiting(tx: Connection, clinic_id: UUID, client_id: UUID) -> None:
    """Make the e-mails that waited for this client's contact due now."""
    waiting = await store.list_waiting(tx, clinic_id, client_id)
    if waiting:
        await queue.hasten(tx, EVENT_TASKS, waiting)
        await store.end_waiting(tx, waiting)
