"""Refunds as acts that a clinic's `undo_hours` hold (ADR 0037).

The refund's own row is the reservation: its money is set aside, and neither Stripe nor the client knows of it. The act
has the id of its first refund. Once it is done, a task of its own sends it to Stripe.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import cast
from uuid import UUID

from contracts.http.common import Money
from contracts.http.held import InvoiceAfter, PlannedPosting, PlannedRefund, PreviewOut
from contracts.http.payments import ShareOut
from contracts.vocabulary import UNREFUNDABLE_DISPUTES, InvoiceStatus, RefundDestination
from services.chassis import clock
from services.chassis.db.database import Connection, Key
from services.chassis.held import actions as held
from services.chassis.held.domain import Act, HeldAct, Preview, Wanted
from services.chassis.holding import preview_of
from services.chassis.http.auth import Caller
from services.chassis.ids import new_id
from services.chassis.queue import queue
from services.chassis.queue.domain import NewTask
from services.chassis.telemetry.traces import current_traceparent
from services.payment.credit import store as credit
from services.payment.credit.actions import lock_changed_credit
from services.payment.disputes import store as disputes
from services.payment.ledger import actions as ledger
from services.payment.ledger import domain as ledger_domain
from services.payment.ledger.domain import Booking
from services.payment.payments import reads
from services.payment.payments.domain import Payment, PaymentNotFound
from services.payment.receivables import store as receivables
from services.payment.receivables.domain import Receivable
from services.payment.refunds import changes, store
from services.payment.refunds import domain as decide
from services.payment.refunds import reads as left
from services.payment.refunds.domain import Refund, nothing_to_refund
from services.payment.refunds.elsewhere import AtStripe, ChargeDisputed, check_at_stripe
from services.payment.refunds.planning import (
    PaymentRefundRequest,
    Plan,
    Refundable,
    add_returned,
    freed,
    plan_payment,
)
from services.payment.refunds.rules import status_of
from services.payment.refunds.store import Asked

SEND = "send_refund"
"""The task that sends a refund to Stripe."""
END_UNBEGUN = "reject_refund"
"""The task that cancels a refund which has not begun, where its money had become too much on an invoice."""
EMAILS = ["refund"]


async def hold_refund(
    tx: Connection, caller: Caller, refund: Refund, split: Mapping[UUID, int] | None, hours: int
) -> HeldAct:
    """Hold a refund whose row is there, `held`. `split` are the parts that the request named."""
    assert refund.act_id is not None, "its status is held"
    request = {
        "amount": refund.amount,
        "to": refund.destination,
        "split": None if split is None else {str(each): part for each, part in split.items()},
        "taken": await _taken_since(tx, refund.clinic_id, refund.payment_id),
    }
    wanted = Wanted(refund.act_id, caller, refund.payment_id, request)
    return await held.hold(tx, ACT, wanted, timedelta(hours=hours))


async def cancel_disputed(tx: Connection, payments: Collection[Key]) -> frozenset[Key]:
    """`cancel_held` of payments that are disputed."""
    return await cancel_held(tx, payments, "disputed")


async def cancel_held(tx: Connection, payments: Collection[Key], reason: str) -> frozenset[Key]:
    """Cancel the held refunds of payments, and return them: their money is still set aside.

    Give it back in the same transaction. Call it before the payments' receivables are locked.
    """
    if not payments:
        return frozenset()
    canceled = await held.cancel_of(tx, [_KEEPING], payments, reason)
    refunds = await store.list_of_acts(tx, [(act.clinic_id, act.id) for act in canceled])
    return frozenset(refund.key for refund in refunds if refund.status == "held")


async def add_refund(
    tx: Connection,
    payment: Payment,
    plan: Plan,
    asked: Asked,
    destination: RefundDestination,
    owed: Mapping[Key, Receivable],
) -> Refund:
    """Add a refund and set its money aside. The payment's receivables and its client's credit are locked."""
    rows = [(new_id(), payment.id, plan.amount)]
    added = await store.add_refunds(
        tx, rows, payment.clinic_id, current_traceparent(), destination, asked=asked
    )
    refund = replace(added[0], shares=plan.shares)
    if refund.shares:
        await store.add_shares(tx, refund)
        await receivables.save_returned(tx, add_returned(refund, owed))
    await ledger.book(tx, Booking([decide.set_aside(refund, clock.now())]))
    return refund


async def shown(
    tx: Connection,
    planned: Sequence[tuple[Payment, Plan]],
    destination: RefundDestination,
    owed: Mapping[Key, Receivable],
    reserved: Refund | None = None,
    *,
    awaits_approval: bool = False,
) -> PreviewOut:
    """The preview of refunds. `owed` counts the `reserved` refund already."""
    refunded = await receivables.get_refunded(tx, owed.values())
    for receivable_id, part in (reserved.parts if reserved else {}).items():
        refunded[receivable_id] -= part
    of = {receivable.id: receivable for receivable in owed.values()}
    parts = [share for _, plan in planned for share in plan.shares]
    for share in parts:
        refunded[share.receivable_id] += share.amount
    return PreviewOut(
        refunds=[_planned(payment, plan, destination) for payment, plan in planned],
        invoices=[_after(of[share.receivable_id], refunded[share.receivable_id]) for share in parts],
        emails=EMAILS,
        awaits_approval=awaits_approval,
    )


def _planned(payment: Payment, plan: Plan, destination: RefundDestination) -> PlannedRefund:
    parts = {share.receivable_id: share.amount for share in plan.shares}
    postings = ledger_domain.set_aside(plan.amount, payment.currency, payment.client_id, parts)
    return PlannedRefund(
        payment_id=payment.id,
        amount=Money(plan.amount, payment.currency),
        to=destination,
        invoices=[
            ShareOut(invoice_id=each, amount=Money(part, payment.currency)) for each, part in parts.items()
        ],
        postings=[
            PlannedPosting(
                account=each.account,
                amount=Money(each.amount, each.currency),
                invoice_id=each.receivable_id,
            )
            for each in postings
        ],
    )


def _after(receivable: Receivable, refunded: int) -> InvoiceAfter:
    """A refund makes nothing due. An invoice of which all went back is refunded."""
    due, settled = receivable.open_amount, receivable.settled_amount
    gone = due == 0 and 0 < settled <= refunded and receivable.status != "void"
    return InvoiceAfter(
        invoice_id=receivable.id,
        status="refunded" if gone else cast(InvoiceStatus, receivable.status),
        due=Money(due, receivable.currency),
        refunded=Money(refunded, receivable.currency),
        becomes_credit=Money(0, receivable.currency),
    )


async def _read(
    tx: Connection, wanted: Wanted
) -> tuple[Payment, Plan, Mapping[Key, Receivable], Refund | None]:
    """The payment, what would go back of it now, its receivables, and what is reserved. They are locked."""
    payment = await reads.get_payment(tx, None, wanted.subject_id)
    if payment is None or payment.clinic_id != wanted.clinic_id:
        raise PaymentNotFound("The clinic has no such payment.")
    owed = await receivables.lock_receivables(tx, keys_of(payment))
    await credit.lock_credit(tx, {(payment.clinic_id, payment.client_id, payment.currency)})
    await check_undisputed(tx, payment.clinic_id, payment.id)
    refundable = await left.get_refundable(tx, payment.clinic_id, payment.id, payment.livemode)
    if refundable is None:
        raise nothing_to_refund(payment)
    reserved = await _reserved(tx, wanted)
    refundable = freed(refundable, reserved)
    plan = await _plan(tx, wanted, refundable, reserved)
    if wanted.request["to"] == "credit":
        await check_unbooked(tx, payment, refundable, plan.amount)
    return payment, plan, owed, reserved


async def _plan(tx: Connection, wanted: Wanted, refundable: Refundable, reserved: Refund | None) -> Plan:
    """The refund as it was set aside, while the payment pays of its invoices the same as then; else as planned again.

    Other refunds of the payment, and its client's credit, may have changed meanwhile: this act is not about them.
    """
    if reserved is not None:
        taken = await _taken_since(tx, reserved.clinic_id, reserved.payment_id)
        if wanted.request.get("taken") == taken:
            return Plan(reserved.amount, reserved.shares)
    return plan_payment(_request(wanted), refundable)


async def _taken_since(tx: Connection, clinic_id: UUID, payment_id: UUID) -> dict[str, int]:
    """The sum that was taken off the payment's part of each invoice, but for refunds, as JSON values."""
    found = await store.get_taken(tx, clinic_id, payment_id)
    return {str(receivable_id): amount for receivable_id, amount in found.items()}


async def check_undisputed(tx: Connection, clinic_id: UUID, payment_id: UUID) -> None:
    """Refuse money that the bank has, or decides on. Raises `ChargeDisputed`."""
    statuses = await disputes.list_statuses(tx, clinic_id, [payment_id])
    if any(status in UNREFUNDABLE_DISPUTES for status in statuses.get(payment_id, ())):
        raise ChargeDisputed(
            "The payer disputes this payment at the bank. It cannot be refunded.", payment_id=str(payment_id)
        )


async def check_unbooked(tx: Connection, payment: Payment, refundable: Refundable, amount: int) -> None:
    """Refuse money that Stripe refunded and we could not book: an exception says so. Stripe is not asked.

    Raises `RefundedAtStripe`.
    """
    unbooked = await store.sum_unbooked(tx, payment.key, payment.currency)
    seen = {payment.id: AtStripe(refunded=refundable.refunded + unbooked, disputed=False)}
    check_at_stripe([(payment.id, amount)], [refundable.at_stripe], seen)


def keys_of(payment: Payment) -> set[Key]:
    """The payment's receivables."""
    return {(payment.clinic_id, share.receivable_id) for share in payment.allocations}


def _request(wanted: Wanted) -> PaymentRefundRequest:
    given = wanted.request["split"]
    split = None if given is None else {UUID(each): part for each, part in given.items()}
    return PaymentRefundRequest(wanted.subject_id, wanted.request["amount"], split, wanted.request["to"])


async def _reserved(tx: Connection, wanted: Wanted) -> Refund | None:
    """The refund that is held for the act."""
    found = await store.list_of_acts(tx, [(wanted.clinic_id, wanted.id)])
    return next((refund for refund in found if refund.status == "held"), None)


async def _preview(tx: Connection, wanted: Wanted) -> Preview:
    if await _reserved(tx, wanted) is None:
        await _check_limits(tx, wanted)
    payment, plan, owed, reserved = await _read(tx, wanted)
    return preview_of(await shown(tx, [(payment, plan)], wanted.request["to"], owed, reserved))


async def _check_limits(tx: Connection, wanted: Wanted) -> None:
    """A changed refund that a person does after all counts as a new one of who asked for it.

    The clinic's rules are locked, before all else. Raises `RefundLimitReached`.
    """
    [first, *_] = await store.list_of_acts(tx, [(wanted.clinic_id, wanted.id)])
    rules = await store.lock_rules(tx, wanted.clinic_id)
    if rules is not None:
        given = await store.count_given(tx, wanted.clinic_id, wanted.caller.subject, first.currency)
        status_of(rules, given, first.amount, first.currency)


async def _reserve(tx: Connection, wanted: Wanted, _: Preview) -> None:
    """A refund that was asked for has its row already. One that is done after all gets another, like the first."""
    if await _reserved(tx, wanted) is not None:
        return
    payment, plan, owed, _none = await _read(tx, wanted)
    first = (await store.list_of_acts(tx, [(wanted.clinic_id, wanted.id)]))[-1]
    asked = Asked(
        first.made_by, await store.get_on_behalf_of(tx, first), "held", first.approved_by, wanted.id
    )
    refund = await add_refund(tx, payment, plan, asked, first.destination, owed)
    if first.refund_fee:
        await store.give_fee_back(tx, [refund])


async def _do(tx: Connection, wanted: Wanted, _: Preview) -> UUID:
    refund = await _reserved(tx, wanted)
    assert refund is not None, "the act's lock guards it"
    await begin(tx, refund)
    if refund.destination == "method":
        await queue.enqueue(tx, SEND, [NewTask(refund.clinic_id, refund.id)])
    return refund.id


async def begin(tx: Connection, refund: Refund) -> None:
    """Begin a refund that waited or was held: it can be sent now, or becomes the client's credit."""
    await store.begin(tx, refund)
    if refund.destination == "credit":
        await become_credit(tx, refund)


async def become_credit(tx: Connection, refund: Refund) -> Refund:
    """End a refund that goes to its client's credit: nobody has to be asked."""
    change = decide.become_credit(replace(refund, status="created"), clock.now())
    booking = decide.booking_of(change)
    await lock_changed_credit(tx, booking.entries)
    await store.save_refunds(tx, [change.refund])
    await ledger.book(tx, booking)
    return change.refund


async def _release(tx: Connection, wanted: Wanted) -> None:
    refund = await _reserved(tx, wanted)
    if refund is not None and not await changes.end_waiting(tx, refund.key):
        await queue.enqueue(tx, END_UNBEGUN, [NewTask(refund.clinic_id, refund.id)])


async def _keep(_: Connection, __: Wanted) -> None:
    """The caller of `cancel_held` gives the money back, once all that it needs is locked."""


ACT = Act("refund", _preview, _reserve, _do, _release)
_KEEPING = replace(ACT, release=_keep)
