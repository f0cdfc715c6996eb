"""What can be done with logins and portals. Each takes the transaction first, except where time must not tell."""

import hashlib
from uuid import UUID

import asyncpg

from services.chassis.db import Connection, Database
from services.chassis.errors import DomainError
from services.chassis.ids import new_id
from services.gateway import limits, session_store, store
from services.gateway.accounts import Role
from services.gateway.passwords import Passwords, normal_email


class WrongPassword(DomainError):
    """Also for an e-mail that has no login: the answer and its time are the same."""

    code = "wrong_password"
    status = 401


class LoginTaken(DomainError):
    code = "login_taken"


class SlugTaken(DomainError):
    code = "slug_taken"


async def check_login(db: Database, passwords: Passwords, email: str, password: str, address: str) -> UUID:
    """The login that the password opens. Raises `WrongPassword`, or `TooManyTries` before checking anything.

    No connection is held while the password is hashed.
    """
    email = normal_email(email)
    limited = limits.login_limits(email, address)
    await limits.count(db, limited)
    async with db.tx(None) as tx:
        login = await store.get_login(tx, email)
    usable = login if login is not None and not login.disabled else None
    fits = await passwords.check(usable.password_hash if usable else None, password)
    if usable is None or not fits:
        raise WrongPassword("The e-mail address or the password is not right.")
    await limits.take_back(db, limited)
    if passwords.outdated(usable.password_hash):
        renewed = await passwords.hash(password)
        async with db.tx(None) as tx:
            await store.set_password(tx, usable.id, renewed, usable.password_by)
    return usable.id


async def put_login(
    tx: Connection,
    *,
    email: str,
    password_hash: str,
    clinic_id: UUID,
    client_id: UUID | None,
    role: Role,
    by_operator: bool,
) -> None:
    """Let the e-mail's owner sign in to the clinic; again, the same, changes nothing.

    An e-mail that has a login keeps its password. There is one exception: a password that a clinic chose is known to
    that clinic, so it opens no other one; the membership elsewhere waits until an operator gives a password, which
    then replaces it. The answer does not tell, since it would tell one clinic about another's clients.
    Raises `LoginTaken` when the e-mail signs in at this clinic as someone else.
    """
    email = normal_email(email)
    password_by = None if by_operator else clinic_id
    await store.add_login(tx, new_id(), email, password_hash, password_by)
    login = await store.get_login(tx, email)
    assert login is not None, "just added, or there before; logins are never deleted"
    if by_operator and login.password_by is not None:
        await store.set_password(tx, login.id, password_hash, None)
        await store.activate_memberships(tx, login.id)
        await session_store.delete_sessions_of(tx, login.id)
    active = by_operator or login.password_by in (None, clinic_id)
    if not await store.add_membership(tx, clinic_id, login.id, client_id, role, active):
        raise LoginTaken("This e-mail address already signs in at this clinic as someone else.")


async def check_slug(tx: Connection, clinic_id: UUID, slug: str) -> None:
    """Raises `SlugTaken` when another clinic's portal has the address."""
    if await store.slug_is_taken(tx, clinic_id, slug):
        raise SlugTaken("Another clinic has this slug.")


async def put_portal(tx: Connection, clinic_id: UUID, slug: str) -> None:
    """Give the clinic's portal its address. Raises `SlugTaken`."""
    try:
        await store.put_portal(tx, clinic_id, slug)
    except asyncpg.UniqueViolationError:
        raise SlugTaken("Another clinic has this slug.") from None


async def bootstrap_operator_key(db: Database, key: str) -> None:
    """Keep the operator's first API key; done at every start, and nothing after the first."""
    async with db.tx(None, operator=True) as tx:
        await store.add_api_key(tx, new_id(), hash_api_key(key), "bootstrap", "operator", None)


def hash_api_key(key: str) -> bytes:
    """Keys are random and long, so a plain hash keeps them."""
    return hashlib.sha256(key.encode()).digest()
