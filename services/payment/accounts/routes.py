"""Clinics' Stripe accounts over HTTP."""

from litestar import get, put
from litestar.di import NamedDependency
from litestar.params import JSONBody

from contracts.http.accounts import AccountIn, AccountOut
from services.chassis.db.database import Connection
from services.chassis.http.auth import Caller, operator
from services.payment.accounts import actions, schemas, store
from services.payment.stripe.api import StripeApi

Tx = NamedDependency[Connection]


@put("/account", guards=[operator])
async def put_account(
    data: JSONBody[AccountIn], caller: NamedDependency[Caller], tx: Tx, stripe: NamedDependency[StripeApi]
) -> AccountOut:
    """Choose the clinic's own Stripe account, the platform's, or none. Payments under way keep theirs."""
    chosen = schemas.clinic_account(data)
    await actions.put_account(tx, caller, chosen)
    return schemas.account_out(*await store.get_account_and_state(tx, caller.clinic), stripe.livemode)


@get("/account")
async def get_account(
    caller: NamedDependency[Caller], tx: Tx, stripe: NamedDependency[StripeApi]
) -> AccountOut:
    """Which Stripe account the clinic's clients are charged on, and whether it can take payments."""
    return schemas.account_out(*await store.get_account_and_state(tx, caller.clinic), stripe.livemode)


ALL = [put_account, get_account]
