"""Saved payment methods over HTTP."""

from functools import partial
from uuid import UUID

from litestar import delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from contracts.http.common import Page
from contracts.http.methods import (
    LONGEST_NICKNAME,
    NicknameIn,
    NicknameOut,
    SavedMethodOut,
    SetupIn,
    SetupStart,
)
from services.chassis import clock
from services.chassis.db.database import Connection, Database
from services.chassis.http.auth import Caller, client
from services.payment.accounts import store as accounts
from services.payment.consents import store as consents
from services.payment.methods import schemas, store, stripe_calls
from services.payment.methods.domain import Listed, MethodExpired, MethodNotFound, listed
from services.payment.stripe.api import StripeApi
from services.payment.stripe.budget import starting
from services.payment.words import words

Tx = NamedDependency[Connection]


@get("/payment-methods", guards=[client])
async def list_methods(
    caller: NamedDependency[Caller], db: NamedDependency[Database], stripe: NamedDependency[StripeApi]
) -> Page[SavedMethodOut]:
    """The client's saved payment methods, the default first. Stripe is asked whether it still has them."""
    async with db.tx(caller.clinic) as tx:
        account = (await accounts.get_account(tx, caller.clinic)).account
    await stripe_calls.check_kept(
        partial(db.tx, caller.clinic), stripe, caller.clinic, caller.subject, account
    )
    async with db.tx(caller.clinic) as tx:
        kept, chosen, nicknames = await store.list_methods(tx, caller.subject, account)
        agreed = await consents.list_agreed(tx, [method.id for method in kept]) if kept else {}
    rows = listed(kept, chosen, clock.now().date(), nicknames)
    return Page(items=[schemas.saved_method_out(row, agreed.get(row.method.id)) for row in rows])


@delete("/payment-methods/{method_id:uuid}", guards=[client])
async def remove_method(
    method_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    stripe: NamedDependency[StripeApi],
) -> None:
    """Take a saved method away, at Stripe and here."""
    await stripe_calls.remove_method(partial(db.tx, caller.clinic), stripe, caller.subject, method_id)


@put("/payment-methods/{method_id:uuid}/default", guards=[client])
async def set_default_method(
    method_id: FromPath[UUID], caller: NamedDependency[Caller], tx: Tx
) -> SavedMethodOut:
    """Offer this method first from now on."""
    method = await store.get_method(tx, caller.subject, method_id)
    if method is None:
        raise MethodNotFound("There is no such saved payment method.")
    if method.is_expired(clock.now().date()):
        raise MethodExpired("This card has expired. Choose another one, or add it again.")
    await store.set_default(tx, method)
    return schemas.saved_method_out(Listed(method, default=True, expired=False))


@put("/payment-methods/{method_id:uuid}/nickname", guards=[client])
async def set_nickname(
    method_id: FromPath[UUID], caller: NamedDependency[Caller], data: JSONBody[NicknameIn], tx: Tx
) -> NicknameOut:
    """Give a saved method a name, however often its card was saved. 422 `invalid_text`, `card_number_refused`."""
    nickname = words(data.nickname, "nickname", LONGEST_NICKNAME)
    method = await store.get_method(tx, caller.subject, method_id)
    if method is None:
        raise MethodNotFound("There is no such saved payment method.")
    await store.set_nickname(tx, await store.list_same(tx, method), nickname)
    return NicknameOut(nickname=nickname)


@post("/setup-intents", guards=[client])
async def start_setup(
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    stripe: NamedDependency[StripeApi],
    data: JSONBody[SetupIn | None] = None,
) -> SetupStart:
    """Start saving a card without paying. The webhook keeps the method once the page has confirmed.

    The body holds what the client agreed to; the portal always sends it.
    """
    agreed = schemas.consent_of(data.consent) if data else None
    with starting():
        secret, account = await stripe_calls.start_setup(
            partial(db.tx, caller.clinic), stripe, caller.clinic, caller.subject, agreed
        )
    return SetupStart(client_secret=secret, stripe_account=account or None)


ALL = [list_methods, remove_method, set_default_method, set_nickname, start_setup]
