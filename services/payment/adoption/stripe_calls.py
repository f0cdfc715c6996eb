"""Rows that were lost, read from Stripe: no connection is held during a call."""

from typing import Any

from services.chassis.db.database import Database
from services.payment.adoption import actions, domain
from services.payment.adoption.domain import CannotAdopt
from services.payment.payments import reads
from services.payment.payments.domain import Payment
from services.payment.stripe import fields
from services.payment.stripe.api import Intent, StripeApi
from services.payment.stripe.limits import MADE_AFTER, MADE_BEFORE


async def adopt_payment(db: Database, stripe: StripeApi, account: str, intent_id: str) -> bool:
    """Add the row of the payment that the intent was made for. False if it is here. Raises `CannotAdopt`."""
    payment = await read_payment(stripe, account, await stripe.retrieve_intent(account, intent_id))
    async with db.worker_tx() as tx:
        return await actions.adopt_payment(tx, payment)


async def read_payment(stripe: StripeApi, account: str, intent: Intent) -> Payment:
    """The payment that an intent was made for. Raises `CannotAdopt`, also when two intents name the same payment."""
    payment = domain.payment_of(intent.body, account, stripe.signer)
    around = payment.created_at
    for other in await stripe.list_intents(account, around - MADE_BEFORE, around + MADE_AFTER):
        names = fields.uuid_of(fields.object_of(other.body.get("metadata")).get("payment_id"))
        if names == payment.id and other.id != intent.id:
            raise CannotAdopt("Two intents carry the metadata of one payment: one is a copy.")
    return payment


async def adopt_refund(db: Database, stripe: StripeApi, account: str, refund_id: str) -> bool:
    """Add the row of the refund, and of its payment if that is lost too. Raises `CannotAdopt`."""
    body = await stripe.retrieve_refund(account, refund_id)
    payment = await _payment_of(db, stripe, account, body)
    refund = domain.refund_of(body, payment, stripe.signer)
    for other in await stripe.list_refunds(account, refund.intent_id):
        names = fields.uuid_of(fields.object_of(other.get("metadata")).get("refund_id"))
        if names == refund.id and other["id"] != refund_id:
            raise CannotAdopt("Two refunds carry the metadata of one refund: one is a copy.")
    async with db.worker_tx() as tx:
        return await actions.adopt_refund(tx, refund)


async def _payment_of(db: Database, stripe: StripeApi, account: str, body: dict[str, Any]) -> Payment:
    """The refunded payment. Raises `CannotAdopt` if its row is not here, and cannot be adopted."""
    payment_id = fields.uuid_of(fields.object_of(body.get("metadata")).get("payment_id"))
    intent_id = fields.text_of(body.get("payment_intent"))
    if payment_id is None or intent_id is None:
        raise CannotAdopt("The refund names no payment.")
    for _ in range(2):
        async with db.worker_tx() as tx:
            payment = await reads.get_payment(tx, None, payment_id)
        if payment is not None:
            return payment
        await adopt_payment(db, stripe, account, intent_id)
    raise CannotAdopt("The refund's payment is not here.")
