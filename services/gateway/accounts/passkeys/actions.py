"""Passkeys of a login: add one, remove one, and log in with one in place of password and second factor.

To add one takes the password, and the second factor where there is one: a passkey stands for both. A new password by a
link removes all, since who lost control of the login chooses one so (`resets`).
"""

from uuid import UUID

from litestar.di import NamedDependency

from services.chassis.db.database import Connection, Database
from services.chassis.ids import new_id
from services.gateway.accounts import actions as accounts
from services.gateway.accounts import store as logins
from services.gateway.accounts.domain import LoginSession
from services.gateway.accounts.letters import actions as letters
from services.gateway.accounts.passkeys import domain, store
from services.gateway.accounts.passkeys.domain import NoPasskey, Passkey, PasskeySite
from services.gateway.accounts.passwords import Passwords
from services.gateway.accounts.sealing import Sealer
from services.gateway.accounts.second_factors import actions as second_factors
from services.gateway.accounts.steps import store as steps
from services.gateway.accounts.steps.domain import LASTS, Step
from services.gateway.accounts.store import Login

InjectedPasskeySite = NamedDependency[PasskeySite | None]
"""None where the public URL has no name but an address of numbers: browsers have no passkeys there."""


async def list_passkeys(db: Database, login_id: UUID) -> list[Passkey]:
    async with db.tx(None) as tx:
        return await store.list_passkeys(tx, login_id)


async def prepare(
    db: Database, passwords: Passwords, sealer: Sealer, here: LoginSession, present: str, code: str
) -> None:
    """Give this session alone a challenge for a new passkey.

    Raises `WrongPassword`, `WrongCode`, `UsedCode`, `TooManyTries`, `PasswordKnown`, `NoPasskey`.
    """
    await accounts.check_present(db, passwords, here.login_id, present)
    if await second_factors.get(db, here.login_id) is not None:
        await second_factors.check(db, sealer, here.login_id, code)
    async with db.tx(None) as tx:
        await accounts.lock_own(tx, here.login_id)
        await _refuse_too_many(tx, here.login_id)
        await store.put_setup(tx, here.login_id, here.id_hash, domain.new_challenge(), LASTS)


async def get_options(db: Database, site: PasskeySite, here: LoginSession, email: str) -> str | None:
    """JSON for the browser that makes the passkey; None without a set-up of this session."""
    async with db.tx(None) as tx:
        challenge = await store.get_setup(tx, here.login_id, here.id_hash)
        known = [each.credential_id for each in await store.list_passkeys(tx, here.login_id)]
    if challenge is None:
        return None
    return domain.options_to_add(site, here.login_id, email, challenge, known)


async def add(db: Database, site: PasskeySite, here: LoginSession, name: str, answer: str) -> None:
    """Add the passkey that the browser made, which is told to the login's address. The challenge is used up.

    Raises `PasskeyRefused`, `PasswordKnown`, and `NoPasskey` without a set-up of this session.
    """
    async with db.tx(None) as tx:
        challenge = await store.use_setup(tx, here.login_id, here.id_hash)
    if challenge is None:
        raise NoPasskey("This took too long. Please begin again.")
    made = domain.made(site, challenge, answer)
    async with db.tx(None, operator=True) as tx:
        found = await accounts.lock_own(tx, here.login_id)
        await _refuse_too_many(tx, here.login_id)
        if not await store.add_passkey(tx, new_id(), here.login_id, made, name):
            raise domain.refused()
        await letters.tell(tx, found, "passkey_added")
    await accounts.note(db, here.login_id, "add_passkey")


async def remove(db: Database, passwords: Passwords, login_id: UUID, passkey_id: UUID, present: str) -> None:
    """Remove one, which is told to the login's address. All sessions of the login end: a device may be lost.

    One that is not there, or of another login, changes nothing. Raises `WrongPassword`, `TooManyTries`, `NoPasskey`.
    """
    await accounts.check_present(db, passwords, login_id, present)
    async with db.tx(None, operator=True) as tx:
        await logins.lock_login(tx, login_id)
        found = await logins.get_login_by_id(tx, login_id)
        if found is None or not await store.delete_passkey(tx, login_id, passkey_id):
            raise NoPasskey("This passkey was removed already.")
        await accounts.end_everywhere(tx, login_id, "everywhere")
        await letters.tell(tx, found, "passkey_removed")
    await accounts.note(db, login_id, "remove_passkey")


async def log_in(db: Database, site: PasskeySite, step: Step, answer: str) -> Login:
    """The login that the passkey opens, by an answer to the step's challenge, which is used up.

    Raises `PasskeyRefused`.
    """
    async with db.tx(None) as tx:
        is_first = await steps.delete_step(tx, step.id_hash)
    if not is_first or step.challenge is None:
        raise domain.refused()
    credential_id, handle = domain.named_in(answer)
    async with db.tx(None) as tx:
        passkey = await store.get_passkey(tx, credential_id)
        login = await logins.get_login_by_id(tx, passkey.login_id) if passkey else None
    if passkey is None or login is None or login.disabled or handle != login.id.bytes:
        raise domain.refused()
    count = domain.count_of(site, passkey, step.challenge, answer)
    async with db.tx(None) as tx:
        if not await store.use_passkey(tx, passkey.id, count):
            raise domain.refused()
    return login


async def _refuse_too_many(tx: Connection, login_id: UUID) -> None:
    if len(await store.list_passkeys(tx, login_id)) >= domain.MOST:
        raise NoPasskey(f"You have {domain.MOST} passkeys, and no login has more. Remove one first.")
