"""Payments whose rows a restore lost: found at Stripe and adopted, or settled by an operator's word."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from uuid import UUID

from contracts.events.catalogue import decode
from contracts.events.stripe import StripeEvent
from deploy.ops import workers
from deploy.ops.verify.access import Access
from services.chassis.db.database import Database
from services.chassis.errors import DomainError
from services.chassis.kafka import park, parked
from services.chassis.kafka.consume import consumers_of
from services.payment import consumers
from services.payment.adoption import actions, store, stripe_calls
from services.payment.adoption.domain import CannotAdopt
from services.payment.payments import store as payments
from services.payment.stripe.api import Intent, StripeApi
from services.payment.stripe.fields import object_of


@asynccontextmanager
async def opened(access: Access, worker_dsn: str) -> AsyncIterator[tuple[Database, StripeApi]]:
    """The payment service's database as its worker, and Stripe as the service asks it."""
    stripe = StripeApi(access.stripe_secret_key or "", access.stripe_api_base, signer=access.seal)
    try:
        async with workers.opened(worker_dsn) as db:
            yield db, stripe
    finally:
        await stripe.close()


async def adopt_all(db: Database, stripe: StripeApi, since: datetime) -> list[tuple[str, str]]:
    """Adopt each intent of ours that was made since then and has no row: (intent, what became of it)."""
    async with db.worker_tx() as tx:
        accounts = await store.list_accounts(tx)
    done: list[tuple[str, str]] = []
    for account in accounts:
        try:
            intents = await stripe.list_intents(account, since, datetime.now(UTC))
        except DomainError as error:
            done.append((f"account {account or 'platform'}", f"not read: {error.code}"))
            continue
        named = {(account, intent.id) for intent in intents if _is_ours(stripe, intent)}
        async with db.worker_tx() as tx:
            here = {known.intent for known in await payments.find_payments(tx, (), named)}
        for _, intent_id in sorted(named - here):
            done += await _adopted(db, stripe, account, intent_id)
    return done


def _is_ours(stripe: StripeApi, intent: Intent) -> bool:
    metadata = object_of(intent.body.get("metadata"))
    return stripe.signer is not None and stripe.signer.origin(metadata) == "ours"


async def _adopted(db: Database, stripe: StripeApi, account: str, intent_id: str) -> list[tuple[str, str]]:
    try:
        added = await stripe_calls.adopt_payment(db, stripe, account, intent_id)
    except DomainError as error:
        return [(intent_id, f"{error.code}: {error.detail}")]
    return [(intent_id, "adopted")] if added else []


async def settle(
    db: Database, stripe: StripeApi, parked_id: int, client_id: UUID, invoice_id: UUID, by: str, reason: str
) -> bool:
    """Book the charge that a parked event is about to this invoice, and apply all events of it. False if none waits.

    Raises `CannotAdopt` for a charge that we did not make, or an invoice that is not the client's.
    """
    async with db.worker_tx() as tx:
        row = await park.get(tx, parked_id)
    if row is None or row["state"] != "waiting" or row["topic"] != StripeEvent.topic.name:
        return False
    seen = decode(row["topic"], row["record"].value)
    assert isinstance(seen, StripeEvent), "the topic has no other events"
    if seen.payment_intent is None or seen.object_type == "refund":
        raise CannotAdopt("The event is not about a payment. Settle the payment, and its refunds follow.")
    account = seen.account or ""
    payment = await stripe_calls.read_payment(
        stripe, account, await stripe.retrieve_intent(account, seen.payment_intent)
    )
    async with db.worker_tx() as tx:
        await actions.adopt_payment_to(tx, payment, client_id, invoice_id, by, reason)
        waiting = await store.list_waiting_of(tx, row["key"])
    for each in waiting:
        with suppress(DomainError):  # a refund waits for its payment's credit
            await parked.replay(consumers_of(consumers, db), each)
    return True
