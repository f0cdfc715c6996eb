"""The payment service over HTTP. Who asks stands in the internal token: role, clinic, and for clients who."""

from functools import partial
from typing import Annotated
from uuid import UUID

from litestar import Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter

from contracts.http.accounts import AccountIn, AccountOut
from contracts.http.common import Money, Page
from contracts.http.methods import SavedMethodOut, SetupStart
from contracts.http.payments import PaymentIn, PaymentOut, PaymentStart
from contracts.money import Money as ContractMoney
from services.chassis.db.database import Connection, Database
from services.chassis.errors import DomainError
from services.chassis.http.auth import Caller, client, operator
from services.payment.accounts import actions as accounts_actions
from services.payment.accounts import store
from services.payment.accounts.domain import PLATFORM
from services.payment.credit import store as books
from services.payment.methods import store as methods
from services.payment.methods import stripe_calls as customers
from services.payment.methods.domain import MethodNotFound
from services.payment.payments import actions, schemas
from services.payment.payments import reads as lookups
from services.payment.payments import stripe_calls as checkout
from services.payment.payments.domain import PaymentNotFound
from services.payment.stripe.api import StripeApi

Who = NamedDependency[Caller]
Tx = NamedDependency[Connection]
Limit = Annotated[int, QueryParameter(ge=1, le=100)]
IdempotencyKey = Annotated[
    str | None, HeaderParameter(name="Idempotency-Key", required=False, pattern=r"^[\x21-\x7e]{1,255}$")
]


class InvoiceNamedTwice(DomainError):
    code = "invoice_named_twice"
    status = 422


@put("/account", guards=[operator])
async def put_account(
    data: JSONBody[AccountIn], caller: Who, tx: Tx, stripe: NamedDependency[StripeApi]
) -> AccountOut:
    """Choose the clinic's own Stripe account, the platform's, or none. Payments under way keep theirs."""
    chosen = schemas.clinic_account(data)
    await accounts_actions.put_account(tx, caller, chosen)
    return schemas.account_out(chosen, stripe.livemode)


@get("/account")
async def get_account(caller: Who, tx: Tx, stripe: NamedDependency[StripeApi]) -> AccountOut:
    """Which Stripe account the clinic's clients are charged on."""
    return schemas.account_out(await store.get_account(tx, caller.clinic), stripe.livemode)


@post("/payments", guards=[client])
async def start_payment(
    data: JSONBody[PaymentIn],
    caller: Who,
    db: NamedDependency[Database],
    stripe: NamedDependency[StripeApi],
    declines_per_hour: NamedDependency[int],
    idempotency_key: IdempotencyKey = None,
) -> Response[PaymentStart]:
    """Start paying invoices, or go on with the live payment of the same choice (200); another one is canceled.

    429 `too_many_declines` after a burst of declined cards.
    """
    wish = schemas.wish_of(data, caller.subject, idempotency_key)
    if wish is None:
        raise InvoiceNamedTwice("Name each invoice once.")
    async with db.tx(caller.clinic) as tx:
        await actions.check_declines(tx, caller.subject, declines_per_hour)
    ready = await checkout.start(partial(db.tx, caller.clinic), stripe, caller.clinic, wish)
    return Response(schemas.payment_start(ready), status_code=201 if ready.is_new else 200)


@get("/payments/{payment_id:uuid}")
async def get_payment(payment_id: FromPath[UUID], caller: Who, tx: Tx) -> PaymentOut:
    """A payment; another client's is not found."""
    payment = await lookups.get_payment(tx, _own(caller), payment_id)
    if payment is None:
        raise PaymentNotFound("There is no such payment.")
    return schemas.payment_out(payment)


@get("/payments")
async def list_payments(
    caller: Who,
    tx: Tx,
    invoice_id: FromQuery[UUID | None] = None,
    cursor: FromQuery[UUID | None] = None,
    limit: Limit = 20,
) -> Page[PaymentOut]:
    """Payments, newest first; clients see their own alone."""
    found = await lookups.list_payments(tx, _own(caller), invoice_id, cursor, limit + 1)
    shown = found[:limit]
    following = str(shown[-1].id) if len(found) > limit else None
    return Page(items=[schemas.payment_out(payment) for payment in shown], next=following)


@get("/payment-methods", guards=[client])
async def list_methods(caller: Who, tx: Tx) -> Page[SavedMethodOut]:
    """The client's saved payment methods, the default first."""
    account = (await store.get_account(tx, caller.clinic)).own or PLATFORM
    saved = await methods.list_methods(tx, caller.subject, account)
    return Page(items=[schemas.saved_method_out(method, default) for method, default in saved])


@delete("/payment-methods/{method_id:uuid}", guards=[client])
async def remove_method(
    method_id: FromPath[UUID], caller: Who, db: NamedDependency[Database], stripe: NamedDependency[StripeApi]
) -> None:
    """Take a saved method away, at Stripe and here."""
    await customers.remove_method(partial(db.tx, caller.clinic), stripe, caller.subject, method_id)


@put("/payment-methods/{method_id:uuid}/default", guards=[client])
async def set_default_method(method_id: FromPath[UUID], caller: Who, tx: Tx) -> SavedMethodOut:
    """Offer this method first from now on."""
    method = await methods.get_method(tx, caller.subject, method_id)
    if method is None:
        raise MethodNotFound("There is no such saved payment method.")
    await methods.set_default(tx, method)
    return schemas.saved_method_out(method, default=True)


@post("/setup-intents", guards=[client])
async def start_setup(
    caller: Who, db: NamedDependency[Database], stripe: NamedDependency[StripeApi]
) -> SetupStart:
    """Start saving a card without paying. The webhook keeps the method once the page has confirmed."""
    secret, account = await customers.start_setup(
        partial(db.tx, caller.clinic), stripe, caller.clinic, caller.subject
    )
    return SetupStart(client_secret=secret, stripe_account=account or None)


@get("/credit", guards=[client])
async def get_credit(caller: Who, tx: Tx) -> list[Money]:
    """What the clinic owes the client, by currency."""
    credit: list[ContractMoney] = await books.get_credit(tx, caller.subject)
    return [Money(each.minor, each.currency) for each in credit]


def _own(caller: Caller) -> UUID | None:
    """The client whose rows alone may be seen; None for those who see the whole clinic."""
    return caller.subject if caller.role == "client" else None


ALL = [
    put_account,
    get_account,
    start_payment,
    get_payment,
    list_payments,
    list_methods,
    remove_method,
    set_default_method,
    start_setup,
    get_credit,
]
