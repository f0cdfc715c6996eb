"""Logins of a clinic's staff, added over the public API."""

from services.chassis.db.database import Database
from services.chassis.http.auth import Caller
from services.gateway.accounts import actions
from services.gateway.accounts.passwords import Passwords
from services.gateway.api.idempotency.actions import IdempotentRequest
from services.gateway.api.staff.schemas import NewStaff


async def create_staff(
    db: Database, passwords: Passwords, caller: Caller, new: NewStaff, request: IdempotentRequest
) -> None:
    """Let someone of the clinic's staff sign in, once for a key."""
    hashed = await passwords.hash(new.password)
    async with db.tx(caller.clinic, operator=True) as tx:
        if await request.claim(tx) == "none":
            await actions.put_login(
                tx, email=new.email, password_hash=hashed, caller=caller, client_id=None, role="staff"
            )
