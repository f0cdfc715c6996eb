"""What Stripe tells of saved payment methods."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from contracts.stripe import StripeEvent
from services.chassis.db.database import Connection, Key
from services.chassis.ids import new_id
from services.payment.methods import store as methods
from services.payment.payments.domain import SavedMethod
from services.payment.stripe.origins import Foreign

_DETACHED = "payment_method.detached"
StripeKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class MethodNews:
    """Methods to keep and to forget, and customers, ours and deleted ones, all by (account, Stripe id)."""

    kept: Mapping[StripeKey, SavedMethod]
    gone: frozenset[StripeKey]
    customers: frozenset[StripeKey]
    deleted: frozenset[StripeKey]
    foreign: list[Foreign]


async def read_methods(tx: Connection, seen: Sequence[StripeEvent]) -> MethodNews:
    """The methods that our customers have saved, and those that were taken away. Locks nothing."""
    customers = {(event.account or "", event.customer) for event in seen if event.customer}
    clients = await methods.find_clients(tx, customers) if customers else {}
    kept: dict[StripeKey, SavedMethod] = {}
    for event in seen:
        owner = clients.get((event.account or "", event.customer or ""))
        method = _method_in(event, owner) if owner else None
        if method is not None:
            held = kept.get((method.account, method.stripe_id))
            kept[method.account, method.stripe_id] = method if held is None or method.last4 else held
    strange = [
        event for event in seen if event.customer and (event.account or "", event.customer) not in clients
    ]
    return MethodNews(
        kept,
        gone=_objects_of(seen, _DETACHED),
        customers=frozenset(clients),
        deleted=_objects_of(seen, "customer.deleted"),
        foreign=[(event, "unknown_customer") for event in strange],
    )


async def lock_methods(tx: Connection, news: MethodNews) -> None:
    named = (
        news.kept.keys() | news.gone | await _lock_customers(tx, news.customers | news.deleted, news.deleted)
    )
    if named:
        await methods.lock_methods(tx, named)


async def save_methods(tx: Connection, news: MethodNews) -> None:
    if news.kept:
        await methods.take_methods(tx, news.kept.values())
    if news.gone:
        await methods.remove_methods(tx, news.gone)
    if news.deleted:
        await methods.forget_customers(tx, news.deleted)


async def forget_customer(tx: Connection, account: str, stripe_id: str) -> None:
    """Forget a customer that Stripe does not know any more, with its methods."""
    gone = frozenset({(account, stripe_id)})
    news = MethodNews({}, frozenset(), gone, gone, [])
    await lock_methods(tx, news)
    await save_methods(tx, news)


async def _lock_customers(
    tx: Connection, named: Collection[StripeKey], deleted: Collection[StripeKey]
) -> set[StripeKey]:
    """Lock customers before any method: a new method locks its customer too. The methods of the deleted ones."""
    if named:
        await methods.lock_customers(tx, named)
    return await methods.list_methods_of(tx, deleted) if deleted else set()


def _objects_of(seen: Sequence[StripeEvent], event_type: str) -> frozenset[StripeKey]:
    return frozenset(
        (event.account or "", event.object_id) for event in seen if event.event_type == event_type
    )


def _method_in(event: StripeEvent, owner: Key) -> SavedMethod | None:
    """The method that an event tells of. A SetupIntent knows no details: a job asks for them."""
    if event.payment_method is None or event.event_type == _DETACHED:
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
