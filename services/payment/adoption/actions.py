"""The verbs of adoption. Each takes the transaction first, and commits nothing."""

from dataclasses import replace
from uuid import UUID

from services.chassis import audit, clock
from services.chassis.db.database import Connection
from services.chassis.http.auth import Caller
from services.payment.adoption import domain, store
from services.payment.credit.store import lock_credit
from services.payment.ledger import actions as ledger
from services.payment.ledger.domain import Booking
from services.payment.payments import store as payments
from services.payment.payments.domain import Allocation, Payment
from services.payment.receivables import store as receivables
from services.payment.refunds import store as refunds
from services.payment.refunds.domain import Refund
from services.payment.refunds.planning import add_returned
from services.payment.refunds.reads import get_refundable


async def adopt_payment(tx: Connection, payment: Payment) -> bool:
    """Add the payment's row again, so that what happened to its intent is booked. False if it is here.

    Raises `CannotAdopt` if the clinic had another account, or an invoice is not here.
    """
    account_then = await store.get_account_at(tx, payment.clinic_id, payment.created_at)
    domain.check_account(payment, account_then)
    return await _add_payment(tx, payment)


async def adopt_payment_to(
    tx: Connection, payment: Payment, client_id: UUID, invoice_id: UUID, by: str, reason: str
) -> bool:
    """Book an intent of ours to the invoice that an operator names, with an entry in the audit log."""
    share = Allocation(invoice_id, payment.amount)
    named = replace(payment, client_id=client_id, allocations=(share,))
    added = await _add_payment(tx, named)
    caller = Caller(audit.INSTALLATION, "operator", payment.clinic_id)
    decision = (payment.intent_id, client_id, invoice_id, by, reason)
    await audit.record(tx, caller, "adopt_payment", payment.id, None, decision)
    return added


async def _add_payment(tx: Connection, payment: Payment) -> bool:
    """A receivable that another payment reserves by now stays reserved for that one: this one reserves nothing."""
    keys = {(payment.clinic_id, share.receivable_id) for share in payment.allocations}
    domain.check_receivables(payment, await receivables.lock_receivables(tx, keys))
    if await store.is_here(tx, payment):
        return False
    if await store.list_lost_invoices(tx, keys):
        raise domain.CannotAdopt("An invoice of the payment was lost in a restore.")
    live = await payments.lock_live_payments(tx, keys)
    reserved = {share.receivable_id for each in live for share in each.allocations if share.state == "open"}
    if any(share.receivable_id in reserved for share in payment.allocations):
        released = tuple(replace(share, state="released") for share in payment.allocations)
        payment = replace(payment, allocations=released)
    await payments.add_payment(tx, payment)
    assert payment.intent_id is not None, "it was read from its intent"
    await payments.keep_intent(tx, payment, payment.intent_id, payment.customer_id, made=False)
    await store.resume_version(tx, payment)
    return True


async def adopt_refund(tx: Connection, refund: Refund) -> bool:
    """Add the refund's row and set its money aside again. False if it is here. Raises `CannotAdopt`."""
    owed = await receivables.lock_receivables(tx, refund.receivable_keys)
    await payments.lock_payments(tx, {(refund.clinic_id, refund.payment_id)})
    if await refunds.find_refunds(tx, {refund.key}):
        return False
    await lock_credit(tx, {(refund.clinic_id, refund.client_id, refund.currency)})
    left = await get_refundable(tx, refund.clinic_id, refund.payment_id, refund.livemode)
    booking = Booking(entries=[domain.set_aside(refund, left, clock.now())])
    await store.add_refund(tx, refund)
    if refund.shares:
        await refunds.add_shares(tx, refund)
        await receivables.save_returned(tx, add_returned(refund, owed))
    await ledger.book(tx, booking)
    return True
