"""The verbs of the payment service. Each takes the transaction first, and commits nothing."""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from contracts.clinic import ClinicUpdated
from contracts.events import StateEvent
from contracts.invoice import InvoiceState
from contracts.stripe import StripeEvent
from services.chassis import audit, outbox
from services.chassis.auth import Caller
from services.chassis.db import Connection, Key
from services.chassis.ids import new_id
from services.chassis.telemetry import current_traceparent
from services.payment import accounts, ledger, lifecycle, origins, refunds_actions, starting
from services.payment.accounts import ClinicAccount
from services.payment.domain import KeyReused, MethodNotFound, Payable, Payment, SavedMethod
from services.payment.lifecycle import Change
from services.payment.origins import Foreign, Known
from services.payment.seal import Seal
from services.payment.starting import Started, Wish
from services.payment.store import books, lookups, methods, payables, payments

_ABOUT_METHODS = ("payment_method.", "setup_", "customer.")
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
    now = datetime.now(UTC)
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
    elif live.status in ("created", "requires_action", "failed") and not _is_at(live, chosen, livemode):
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


async def apply_stripe_events(tx: Connection, events: Sequence[StripeEvent]) -> None:
    """Apply what Stripe tells, in a constant number of statements. Raises a `lifecycle.StripeMismatch`."""
    about_methods = [event for event in events if event.event_type.startswith(_ABOUT_METHODS)]
    about_refunds = [event for event in events if event.event_type.startswith("refund.")]
    about_payments = [
        event for event in events if event.event_type.startswith(("payment_intent.", "charge."))
    ]
    foreign: list[Foreign] = []
    if about_payments:
        foreign += await apply_observations(tx, about_payments)
    if about_refunds:
        foreign += await refunds_actions.apply_refund_events(tx, about_refunds)
    if about_methods:
        foreign += await keep_methods(tx, about_methods)
    # Last: a batch that refuses runs again event by event.
    origins.count(foreign)


async def apply_observations(tx: Connection, seen: Sequence[StripeEvent]) -> list[Foreign]:
    """Move the payments that were observed, book what succeeded, say so. Locks payables, then payments.

    Returns the events that are about no payment of ours.
    """
    named, foreign = await _name_payments(tx, seen)
    locked_payables = await payables.lock_payables(tx, {key for _, _, keys in named for key in keys})
    locked = await payments.lock_payments(tx, {key for _, key, _ in named})
    now = datetime.now(UTC)
    changes: list[tuple[Change, StripeEvent]] = []
    for event, key, _ in sorted(named, key=lambda each: _turn(each[0])):
        shares = locked[key].allocations
        open_now = {share.payable_id: locked_payables[key[0], share.payable_id] for share in shares}
        change = lifecycle.observe(locked[key], open_now, event, now)
        locked[key] = change.payment
        locked_payables.update({payable.key: payable for payable in change.payables})
        changes.append((change, event))
    await _save(tx, changes, locked, locked_payables)
    return foreign


def _turn(seen: StripeEvent) -> int:
    """A charge knows how it was paid: before its intent's success, which says so to all and does not know,
    and after earlier attempts, which were made otherwise."""
    return {"charge.succeeded": 1, "payment_intent.succeeded": 2}.get(seen.event_type, 0)


async def _name_payments(
    tx: Connection, seen: Sequence[StripeEvent]
) -> tuple[list[tuple[StripeEvent, Key, list[Key]]], list[Foreign]]:
    """Each event with its payment's key and its payables', and the events that are about no payment of ours.

    Raises `UnknownPayment` for an event about a payment of ours that we do not have.
    """
    keys = {(event.clinic, event.payment_id) for event in seen if event.clinic and event.payment_id}
    intents = {(event.account or "", event.payment_intent) for event in seen if event.payment_intent}
    found = await payments.find_payments(tx, keys, intents)
    by_key = {each.key: each for each in found}
    by_intent = {each.intent: each for each in found}
    named: list[tuple[StripeEvent, Key, list[Key]]] = []
    foreign: list[Foreign] = []
    for event in seen:
        by_name = by_key.get((event.clinic, event.payment_id)) if event.clinic and event.payment_id else None
        of_intent = by_intent.get((event.account or "", event.payment_intent))
        about = origins.payment_of(event, by_name, of_intent)
        if isinstance(about, Known):
            named.append((event, about.key, [(about.key[0], each) for each in about.payable_ids]))
        else:
            foreign.append((event, about))
    return named, foreign


async def _save(
    tx: Connection,
    changes: Sequence[tuple[Change, StripeEvent | None]],
    changed: dict[Key, Payment],
    settled: dict[Key, Payable],
) -> None:
    """Keep payments, payables, books and facts. What is empty is left out: the api's role may not book."""
    entries = [change.entry for change, _ in changes if change.entry]
    credit = ledger.credit_keys(entries)
    if credit:
        await books.lock_credit(tx, credit)
    if changed:
        await payments.save_payments(tx, changed.values())
    touched = {payable.key for change, _ in changes for payable in change.payables}
    if touched:
        await payables.save_payables(tx, [settled[key] for key in touched])
    if entries:
        await books.add_entries(tx, entries)
    movements = [movement for change, _ in changes for movement in change.movements]
    if movements:
        await books.add_movements(tx, movements)
    facts = [
        (fact, cause)
        for change, cause in changes
        for fact in (*change.movements, change.fact, change.update)
        if fact is not None
    ]
    if facts:
        await outbox.add(tx, facts)


async def give_up_payment(
    tx: Connection, key: Key, failure_code: str, *, intent_id: str | None = None, on_its_way: bool = False
) -> None:
    """End a payment that can take no money with the intent that it was seen with; one that moved on is left alone.

    One whose money is on its way is ended only when `on_its_way` says so.
    """
    found = await payments.find_payments(tx, {key}, ())
    await payables.lock_payables(tx, {(key[0], each) for known in found for each in known.payable_ids})
    locked = (await payments.lock_payments(tx, {key})).get(key)
    kept = ("succeeded", "canceled") if on_its_way else ("succeeded", "canceled", "processing")
    if locked is None or locked.intent_id != intent_id or locked.status in kept:
        return
    change = lifecycle.cancel(locked, datetime.now(UTC), failure_code)
    await _save(tx, [(change, None)], {key: change.payment}, {})


async def keep_methods(tx: Connection, seen: Sequence[StripeEvent]) -> list[Foreign]:
    """Keep the methods that our customers have saved, forget those that were taken away.

    Returns the events that are about no customer of ours.
    """
    customers = {(event.account or "", event.customer) for event in seen if event.customer}
    clients = await methods.find_clients(tx, customers)
    kept: dict[tuple[str, str], SavedMethod] = {}
    for event in seen:
        owner = clients.get((event.account or "", event.customer or ""))
        method = _method_in(event, owner) if owner else None
        if method is not None:
            held = kept.get((method.account, method.stripe_id))
            kept[method.account, method.stripe_id] = method if held is None or method.last4 else held
    if kept:
        await methods.take_methods(tx, kept.values())
    await _remove_detached(tx, seen)
    deleted = {(e.account or "", e.object_id) for e in seen if e.event_type == "customer.deleted"}
    if deleted:
        await methods.forget_customers(tx, deleted)
    strange = [
        event for event in seen if event.customer and (event.account or "", event.customer) not in clients
    ]
    return [(event, "unknown_customer") for event in strange]


async def _remove_detached(tx: Connection, seen: Collection[StripeEvent]) -> None:
    gone = {
        (event.account or "", event.object_id)
        for event in seen
        if event.event_type == "payment_method.detached"
    }
    if gone:
        await methods.remove_methods(tx, gone)


def _method_in(event: StripeEvent, owner: Key) -> SavedMethod | None:
    """The method that an event tells of. A SetupIntent knows no details: a job asks for them."""
    if event.payment_method is None or event.event_type == "payment_method.detached":
        return None
    return SavedMethod(
        clinic_id=owner[0],
        id=new_id(),
        client_id=owner[1],
        account=event.account or "",
        stripe_id=event.payment_method,
        kind=event.method.kind if event.method else "card",
        brand=event.method.brand if event.method else None,
        last4=event.method.last4 if event.method else None,
        exp_month=event.method_exp_month,
        exp_year=event.method_exp_year,
        created_at=event.created,
    )
