"""The verbs of the payment service. Each takes the transaction first, and commits nothing."""

from collections.abc import Iterable, Sequence
from typing import TypeVar
from uuid import UUID

from contracts.clinic import ClinicUpdated
from contracts.events import StateEvent
from contracts.invoice import InvoiceState
from contracts.vocabulary import LIVE_PAYMENTS, STARTABLE_PAYMENTS
from services.chassis import audit, clock
from services.chassis.db.database import Connection, Key
from services.chassis.http.auth import Caller
from services.chassis.ids import new_id
from services.chassis.telemetry.traces import current_traceparent
from services.payment import stripe_batches as stripe_actions
from services.payment.accounts import domain as accounts
from services.payment.accounts.domain import ClinicAccount
from services.payment.methods import store as methods
from services.payment.payments import lifecycle, lookups, starting
from services.payment.payments import store as payments
from services.payment.payments.domain import KeyReused, MethodNotFound, Payment, SavedMethod
from services.payment.payments.starting import Started, Wish
from services.payment.receivables import store as payables
from services.payment.stripe.seal import Seal
from services.payment.stripe_batches import Decided

StateT = TypeVar("StateT", bound=StateEvent)


async def take_clinics(tx: Connection, events: Sequence[ClinicUpdated]) -> None:
    await payables.take_clinics(tx, _newest(events))


async def take_invoices(tx: Connection, events: Sequence[InvoiceState]) -> None:
    await payables.take_payables(tx, _newest(events))


def _newest(events: Iterable[StateT]) -> list[StateT]:
    newest: dict[tuple[UUID, UUID | str], StateT] = {}
    for event in events:
        held = newest.get((event.clinic_id, event.key))
        if held is None or held.version < event.version:
            newest[event.clinic_id, event.key] = event
    return list(newest.values())


async def start_payment(
    tx: Connection, clinic_id: UUID, wish: Wish, livemode: bool, signer: Seal | None = None
) -> Started:
    """Reserve the payables for the client's live attempt or for a new one; its Stripe key
    and seal are committed with it.

    Raises what `starting` refuses, `KeyReused`, `MethodNotFound`, `NoStripeAccount`.
    """
    now = clock.now()
    starting.check_wish(wish)
    locked = await payables.lock_payables(tx, {(clinic_id, payable_id) for payable_id in wish.shares})
    chosen = await payables.get_account(tx, clinic_id)
    live = await _earlier_request(tx, wish)
    if live is None:
        starting.check_clinic(await payables.get_clinic(tx, clinic_id), wish)
        starting.check_payables(wish, {payable.id: payable for payable in locked.values()}, now)
        holders = await payments.lock_live_payments(tx, locked)
        live = starting.live_answer(wish, holders)
        if holders and (live is None or not _is_at(live, chosen, livemode)):
            return Started(None, stale=tuple(holders))
    elif live.status in STARTABLE_PAYMENTS and not _is_at(live, chosen, livemode):
        return Started(None, stale=(live,))
    account = live.account if live else accounts.account_to_charge(chosen, livemode)
    saved = await _saved_method(tx, wish, account)
    if live is None:
        starting.check_largest(wish, saved.brand if saved else None)
    payment = live or starting.begin(
        wish,
        clinic_id,
        new_id(),
        account=account,
        livemode=livemode,
        method=saved.shown if saved else None,
        traceparent=current_traceparent(),
        now=now,
    )
    if live is None:
        payment = signer.on_payment(payment) if signer else payment
        await payments.add_payment(tx, payment)
    return Started(payment, saved_method=saved.stripe_id if saved else None, is_new=live is None)


async def get_account_to_charge(tx: Connection, clinic_id: UUID, livemode: bool) -> str:
    """Raises `NoStripeAccount`."""
    return accounts.account_to_charge(await payables.get_account(tx, clinic_id), livemode)


async def put_account(tx: Connection, caller: Caller, chosen: ClinicAccount) -> None:
    """Choose the Stripe account of the caller's clinic. Payments under way keep theirs. Raises `AccountInUse`."""
    before = await payables.put_account(tx, caller.clinic, chosen)
    await audit.record(tx, caller, "put_account", caller.clinic, before, chosen)


def _is_at(payment: Payment, chosen: ClinicAccount, livemode: bool) -> bool:
    """Whether it is paid where the clinic is charged now: the page has its form from there."""
    return (payment.account, payment.livemode) == (chosen.own or accounts.PLATFORM, livemode)


async def check_declines(tx: Connection, client_id: UUID, most: int) -> None:
    """Keep a burst of declines from going on with another payment. Raises `TooManyDeclines`."""
    declines = await lookups.count_declines(tx, client_id, starting.DECLINE_WINDOW)
    starting.check_declines(declines, most)


async def _earlier_request(tx: Connection, wish: Wish) -> Payment | None:
    if wish.request_key is None:
        return None
    earlier = await lookups.get_request(tx, wish.client_id, wish.request_key)
    if earlier is not None and not wish.same_as(earlier):
        raise KeyReused("This Idempotency-Key was used for another payment.")
    return earlier


async def _saved_method(tx: Connection, wish: Wish, account: str) -> SavedMethod | None:
    if wish.saved_method_id is None:
        return None
    method = await methods.get_method(tx, wish.client_id, wish.saved_method_id)
    if method is None or method.account != account:
        raise MethodNotFound("There is no such saved payment method.")
    return method


async def give_up_payment(
    tx: Connection, key: Key, failure_code: str, *, intent_id: str | None = None, on_its_way: bool = False
) -> None:
    """End a payment that can take no money with the intent that it was seen with; one that moved on is left alone.

    One whose money is on its way is ended only when `on_its_way` says so.
    """
    found = await payments.find_payments(tx, {key}, ())
    await payables.lock_payables(tx, {(key[0], each) for known in found for each in known.payable_ids})
    locked = (await payments.lock_payments(tx, {key})).get(key)
    ended = LIVE_PAYMENTS if on_its_way else STARTABLE_PAYMENTS
    if locked is None or locked.intent_id != intent_id or locked.status not in ended:
        return
    change = lifecycle.cancel(locked, clock.now(), failure_code)
    await stripe_actions.save(tx, Decided({}, {key: change.payment}, [(change, None)]))
