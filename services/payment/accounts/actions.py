"""The verbs of clinics' Stripe accounts. Each takes the transaction first, and commits nothing."""

from uuid import UUID

from services.chassis import audit
from services.chassis.db.database import Connection
from services.chassis.http.auth import Caller
from services.payment.accounts import domain as accounts
from services.payment.accounts import store
from services.payment.accounts.domain import ClinicAccount


async def get_account_to_charge(tx: Connection, clinic_id: UUID, livemode: bool) -> str:
    """Raises `NoStripeAccount`, `AccountCannotCharge`."""
    chosen, state = await store.get_account_and_state(tx, clinic_id)
    return accounts.account_to_charge(chosen, livemode, state)


async def put_account(tx: Connection, caller: Caller, chosen: ClinicAccount) -> None:
    """Choose the Stripe account of the caller's clinic. Payments under way keep theirs. Raises `AccountInUse`."""
    account = chosen.account
    await store.lock_account(tx, caller.clinic)
    await store.lock_states(tx, {account})
    before = await store.put_account(tx, caller.clinic, chosen)
    await store.add_state(tx, account)
    await store.ask_at_once(tx, {account})
    await audit.record(tx, caller, "put_account", caller.clinic, before, chosen)
