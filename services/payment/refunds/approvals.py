"""A refund above a clinic's sum waits until another login or API key approves. Nothing of it is at Stripe before."""

from dataclasses import replace
from uuid import UUID

from services.chassis import audit
from services.chassis.db.database import Connection
from services.chassis.http.auth import Caller
from services.chassis.queue import queue
from services.chassis.queue.domain import Done, NewTask, Outcome, Task
from services.payment.payments import reads
from services.payment.receivables import store as receivables
from services.payment.refunds import changes, held
from services.payment.refunds import store as refunds
from services.payment.refunds.domain import NOT_APPROVED, Refund
from services.payment.refunds.rules import NotAwaitingApproval, RefundNotFound, check_approval


async def approve_refund(tx: Connection, caller: Caller, refund_id: UUID) -> list[Refund]:
    """Let a refund begin that waits for another one's approval, or hold it. To approve it again changes nothing.

    Raises `RefundNotFound`, `ApprovalByAnother`, `NotAwaitingApproval`, `ChargeDisputed`.
    """
    refund = await _lock_waiting(tx, caller, refund_id)
    if check_approval(refund, caller.subject):
        if refund.destination == "credit":
            # The bank may have taken the money since it was set aside. Stripe refuses the other refunds.
            await held.check_undisputed(tx, refund.clinic_id, refund.payment_id)
        before = [str(refund.id), refund.status]
        hours = await receivables.get_undo_hours(tx, caller.clinic)
        if hours:
            await refunds.hold(tx, refund, caller.subject)
            [refund] = await refunds.get_refunds(tx, caller.clinic, [refund_id])
            await held.hold_refund(tx, caller, refund, _split(refund), hours)
        else:
            await held.begin(tx, replace(refund, approved_by=caller.subject))
        await audit.record(
            tx, caller, "approve_refund", refund.payment_id, before, [str(refund.id), "approved"]
        )
    return await refunds.get_refunds(tx, caller.clinic, [refund_id])


def _split(refund: Refund) -> dict[UUID, int] | None:
    """The parts of a refund that is of invoices alone, as if its request had named them."""
    return refund.parts if sum(refund.parts.values()) == refund.amount else None


async def reject_refund(tx: Connection, caller: Caller, refund_id: UUID) -> list[Refund]:
    """Cancel a refund that waits for approval, and give its money back. To do it again changes nothing.

    Where the money is by now too much on an invoice, the worker does it. Raises `RefundNotFound`,
    `NotAwaitingApproval`.
    """
    refund = await _lock_waiting(tx, caller, refund_id)
    if refund.status == "canceled" and refund.failure_reason == NOT_APPROVED:
        return [refund]
    if refund.status != "awaiting_approval":
        raise NotAwaitingApproval("This refund does not wait for approval.")
    if not await changes.end_waiting(tx, refund.key):
        await queue.enqueue(tx, held.END_UNBEGUN, [NewTask(refund.clinic_id, refund.id)])
    await audit.record(
        tx, caller, "reject_refund", refund.payment_id, [str(refund.id)], [str(refund.id), NOT_APPROVED]
    )
    return await refunds.get_refunds(tx, caller.clinic, [refund_id])


async def _lock_waiting(tx: Connection, caller: Caller, refund_id: UUID) -> Refund:
    key = (caller.clinic, refund_id)
    found = await refunds.get_refunds(tx, caller.clinic, [refund_id])
    payment = await reads.get_payment(tx, None, found[0].payment_id) if found else None
    if payment is None:
        raise RefundNotFound("The clinic has no such refund.")
    await receivables.lock_receivables(tx, held.keys_of(payment))
    return (await refunds.lock_refunds(tx, {key}))[key]


async def on_unbegun(tx: Connection, task: Task) -> Outcome:
    """Cancel a refund that has not begun, whose money had become too much on an invoice."""
    await changes.end_waiting(tx, task.row)
    return Done()
