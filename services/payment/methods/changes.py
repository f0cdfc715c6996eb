"""The changes that observations of Stripe's make: read and lock in one step each, then save.

A batch of the consumers takes each step in all rooms before the next step, see `consumers`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contracts.events.stripe import StripeEvent
from services.chassis.db.database import Connection, Key
from services.chassis.ids import new_id
from services.payment.consents import store as consents
from services.payment.methods import store as methods
from services.payment.methods.domain import SavedMethod, newest
from services.payment.stripe import origins
from services.payment.stripe.limits import NEVER
from services.payment.stripe.origins import Foreign

_DETACHED = "payment_method.detached"
StripeKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Observed:
    """Methods to keep and to forget, and customers, ours and deleted ones, all by (account, Stripe id)."""

    kept: Mapping[StripeKey, SavedMethod]
    gone: frozenset[StripeKey]
    customers: frozenset[StripeKey]
    deleted: frozenset[StripeKey]
    foreign: list[Foreign]


async def read_observed(tx: Connection, seen: Sequence[StripeEvent]) -> Observed:
    """The methods that our customers have saved, and the methods that were removed. Locks nothing."""
    customers = {(event.account or "", event.customer) for event in seen if event.customer}
    clients = await methods.find_clients(tx, customers) if customers else {}
    kept: dict[StripeKey, SavedMethod] = {}
    for event in seen:
        owner = clients.get((event.account or "", event.customer or ""))
        method = _method_in(event, owner) if owner else None
        if method is not None:
            named = (method.account, method.stripe_id)
            kept[named] = newest(kept.get(named), method)
    strange = [
        event for event in seen if event.customer and (event.account or "", event.customer) not in clients
    ]
    return Observed(
        kept,
        gone=_objects_of(seen, _DETACHED),
        customers=frozenset(clients),
        deleted=_objects_of(seen, "customer.deleted"),
        foreign=[(event, "unknown_customer") for event in strange],
    )


async def lock_observed(tx: Connection, observed: Observed) -> None:
    """Keep others from changing what the events change: customers first, since a new method locks its customer too."""
    customers = observed.customers | observed.deleted
    if customers:
        await methods.lock_customers(tx, customers)
    of_deleted = await methods.list_methods_of(tx, observed.deleted) if observed.deleted else set()
    named = observed.kept.keys() | observed.gone | of_deleted
    if named:
        await methods.lock_methods(tx, named)


async def save_rows(tx: Connection, observed: Observed) -> None:
    if observed.kept:
        await methods.upsert_methods(tx, observed.kept.values())
        await consents.link_consents(tx, observed.kept.keys())
    if observed.gone:
        await methods.remove_methods(tx, observed.gone)
    if observed.deleted:
        await methods.forget_customers(tx, observed.deleted)


def _objects_of(seen: Sequence[StripeEvent], event_type: str) -> frozenset[StripeKey]:
    return frozenset(
        (event.account or "", event.object_id) for event in seen if event.event_type == event_type
    )


def _method_in(event: StripeEvent, owner: Key) -> SavedMethod | None:
    """The method in an event. A SetupIntent knows no details: a job asks for them.

    One that was detached is kept as removed, so that a late event of before does not bring it back.
    """
    if event.payment_method is None:
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
        fingerprint=event.method_fingerprint,
        seen_at=event.created if event.method and event.method.last4 else NEVER,
    )


async def apply_observations(tx: Connection, events: Sequence[StripeEvent]) -> None:
    """Apply what Stripe answered about saved methods."""
    observed = await read_observed(tx, events)
    await _save(tx, observed)
    origins.count(observed.foreign)


async def forget_customer(tx: Connection, account: str, stripe_id: str) -> None:
    """Forget a customer that Stripe does not know any more, with its methods."""
    gone = frozenset({(account, stripe_id)})
    await _save(tx, Observed({}, frozenset(), gone, gone, []))


async def _save(tx: Connection, observed: Observed) -> None:
    await lock_observed(tx, observed)
    await save_rows(tx, observed)
